#include "wire/reply.h"

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

static void keep_field(struct reply_error *out, uint8_t field, const char *text, bool *unlocalized)
{
        switch (field) {
        case 'V':
                *unlocalized = true;
                out->severity = text;
                break;
        case 'S':
                if (!*unlocalized)
                        out->severity = text;
                break;
        case 'C':
                out->sqlstate = text;
                break;
        case 'M':
                out->message = text;
                break;
        case 'D':
                out->detail = text;
                break;
        case 'H':
                out->hint = text;
                break;
        case 'R':
                out->routine = text;
                break;
        }
}

enum frame_verdict reply_error(const uint8_t *p, size_t n, struct reply_error *out)
{
        bool unlocalized = false;
        *out = (struct reply_error){"", "", "", "", "", ""};
        while (n > 0 && *p) {
                uint8_t field = *p++;
                n--;
                const char *text = take_text(&p, &n);
                if (!text)
                        return FRAME_BAD;
                keep_field(out, field, text, &unlocalized);
        }
        return n == 1 ? FRAME_READY : FRAME_BAD;
}

bool reply_error_in(const struct frame_piece *piece, struct reply_error *out)
{
        return frame_whole(piece) && reply_error(frame_payload(piece), frame_payload_size(piece), out) == FRAME_READY;
}

enum frame_verdict reply_parameter(const uint8_t *p, size_t n, struct reply_parameter *out)
{
        out->name = take_text(&p, &n);
        out->value = out->name ? take_text(&p, &n) : NULL;
        return out->value && n == 0 ? FRAME_READY : FRAME_BAD;
}

enum frame_verdict reply_complete(const uint8_t *p, size_t n, const char **tag)
{
        *tag = take_text(&p, &n);
        return *tag && n == 0 ? FRAME_READY : FRAME_BAD;
}

enum frame_verdict reply_ready(const uint8_t *p, size_t n, char *status)
{
        if (n != 1 || (*p != 'I' && *p != 'T' && *p != 'E'))
                return FRAME_BAD;
        *status = (char) *p;
        return FRAME_READY;
}

enum frame_verdict reply_row(const uint8_t *p, size_t n, const char **column, int32_t *length,
                             size_t max, size_t *count)
{
        if (n < 2)
                return FRAME_BAD;
        *count = frame_get16(p);
        p += 2;
        n -= 2;
        for (size_t i = 0; i < *count; i++) {
                if (n < 4)
                        return FRAME_BAD;
                uint32_t said = frame_get32(p);
                bool null = said == UINT32_MAX;
                p += 4;
                n -= 4;
                if (!null && (said > INT32_MAX || n < said))
                        return FRAME_BAD;
                if (i < max) {
                        column[i] = null ? NULL : (const char *) p;
                        length[i] = null ? -1 : (int32_t) said;
                }
                if (!null) {
                        p += said;
                        n -= said;
                }
        }
        return n == 0 ? FRAME_READY : FRAME_BAD;
}

/* FNV-1a */
static uint64_t digest(uint64_t sum, const void *p, size_t n)
{
        const uint8_t *byte = p;
        for (size_t i = 0; i < n; i++)
                sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
        return sum;
}

/* Behind a column's name: table 4, number 2, type 4, length 2, modifier 4, format 2. */
static bool digest_columns(uint64_t *sum, const uint8_t *p, size_t n)
{
        enum { TYPE = 6, MODIFIER = 12, SIZE = 18 };
        if (n < 2)
                return false;
        uint16_t count = frame_get16(p);
        p += 2;
        n -= 2;
        for (uint16_t i = 0; i < count; i++) {
                const char *name = take_text(&p, &n);
                if (!name || n < SIZE)
                        return false;
                *sum = digest(*sum, name, strlen(name) + 1);
                *sum = digest(*sum, p + TYPE, 4);
                *sum = digest(*sum, p + MODIFIER, 4);
                p += SIZE;
                n -= SIZE;
        }
        return n == 0;
}

uint64_t reply_digest(uint8_t type, const uint8_t *p, size_t n)
{
        uint64_t sum = digest(UINT64_C(0xcbf29ce484222325), &type, 1);
        if (type == 'T' && !digest_columns(&sum, p, n))
                return 0;
        if (type == 't' && (n < 2 || n != 2 + 4 * (size_t) frame_get16(p)))
                return 0;
        if (type == 't')
                sum = digest(sum, p, n);
        return sum ? sum : 1;
}
