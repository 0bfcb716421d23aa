#include "wire/request.h"

#include <string.h>

/* Takes the text at *p and moves behind its NUL; NULL if there is none. */
static const char *take_text(const uint8_t **p, size_t *n)
{
        const uint8_t *nul = memchr(*p, 0, *n);
        if (!nul)
                return NULL;
        const char *text = (const char *) *p;
        *n -= (size_t) (nul + 1 - *p);
        *p = nul + 1;
        return text;
}

enum frame_verdict request_parse(const uint8_t *p, size_t n, bool partial,
                                 struct request_parse *out)
{
        *out = (struct request_parse){.name = take_text(&p, &n)};
        if (!out->name)
                return FRAME_BAD;
        const uint8_t *nul = memchr(p, 0, n);
        out->query = (const char *) p;
        out->query_ends = nul;
        out->query_size = nul ? (size_t) (nul - p) : n;
        if (partial)
                return FRAME_READY;
        if (!nul)
                return FRAME_BAD;
        n -= out->query_size + 1;
        if (n < 2)
                return FRAME_BAD;
        return n - 2 == 4 * (size_t) frame_get16(nul + 1) ? FRAME_READY : FRAME_BAD;
}

/* The formats and values behind the names are the server's business: it refuses bad ones with an
 * ERROR and stays in step. */
enum frame_verdict request_bind(const uint8_t *p, size_t n, bool partial, struct request_bind *out)
{
        (void) partial;
        out->portal = take_text(&p, &n);
        out->statement = out->portal ? take_text(&p, &n) : NULL;
        return out->statement ? FRAME_READY : FRAME_BAD;
}

enum frame_verdict request_target(const uint8_t *p, size_t n, struct request_target *out)
{
        if (n == 0 || (*p != 'S' && *p != 'P'))
                return FRAME_BAD;
        out->kind = (char) *p++;
        n--;
        out->name = take_text(&p, &n);
        return out->name && n == 0 ? FRAME_READY : FRAME_BAD;
}

enum frame_verdict request_execute(const uint8_t *p, size_t n, struct request_execute *out)
{
        out->portal = take_text(&p, &n);
        if (!out->portal || n != 4)
                return FRAME_BAD;
        out->max_rows = frame_get32(p);
        if (out->max_rows > INT32_MAX)          /* negative: PostgreSQL takes it for "all" */
                out->max_rows = 0;
        return FRAME_READY;
}

enum frame_verdict request_query(const uint8_t *p, size_t n, bool partial, const char **sql,
                                 size_t *size)
{
        const uint8_t *nul = n ? memchr(p, 0, n) : NULL;
        if (partial ? nul != NULL : !nul || nul != p + n - 1)
                return FRAME_BAD;
        *sql = (const char *) p;
        *size = partial ? n : n - 1;
        return FRAME_READY;
}

bool request_on_large_object(const uint8_t *p, size_t n)
{
        static const uint16_t numbers[] = {715,  764,  765,  767,  952,  953,  954,  955,  956,  957,
                                           958,  964,  1004, 3170, 3171, 3172, 3457, 3458, 3459, 3460};
        uint32_t number = n >= 4 ? frame_get32(p) : 0;
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
                if (numbers[i] == number)
                        return true;
        }
        return false;
}

const char *request_statement(const struct frame_piece *piece)
{
        const uint8_t *p = frame_payload(piece);
        size_t n = frame_payload_size(piece);
        struct request_parse parse;
        struct request_bind bind;
        struct request_target target;
        switch (piece->type) {
        case 'P':
                return request_parse(p, n, !piece->ends, &parse) == FRAME_READY ? parse.name : "";
        case 'B':
                return request_bind(p, n, !piece->ends, &bind) == FRAME_READY ? bind.statement : "";
        default:
                return request_target(p, n, &target) == FRAME_READY && target.kind == 'S' ? target.name : "";
        }
}
