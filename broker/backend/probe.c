#include "backend/probe.h"

#include "wire/reply.h"

/* More than any message at this point has. */
enum { HOLD = 65536 };

static enum frame_verdict unexpected(struct refusal *why)
{
        *why = (struct refusal){.failure = CONNECT_NETWORK};
        error_set(&why->error, "08P01", "unexpected bytes after login");
        error_hint(&why->error, "If it happens again, a proxy between broker and server may be in the "
                                "way.");
        return FRAME_BAD;
}

/* The server says good-bye: that is no garbage. */
static enum frame_verdict farewell(const uint8_t *p, size_t n, struct refusal *why)
{
        struct reply_error r;

        if (reply_error(p, n, &r) != FRAME_READY || !r.sqlstate[0])
                return unexpected(why);
        refusal_answer(r.sqlstate, r.message, why);
        error_context(&why->error, "the server ended the session after login");
        return FRAME_BAD;
}

static enum frame_verdict read_message(struct probe *p, const struct frame_piece *piece,
                                       struct settings **reported, struct refusal *why)
{
        const uint8_t *payload = frame_payload(piece);
        size_t size = frame_payload_size(piece);
        struct reply_parameter parameter;
        struct reply_error notice;
        char status;

        switch (piece->type) {
        case 'Z':
                if (reply_ready(payload, size, &status) != FRAME_READY || status != 'I')
                        return unexpected(why);
                p->ready = true;
                return FRAME_READY;
        case 'S':
                if (reply_parameter(payload, size, &parameter) != FRAME_READY)
                        return unexpected(why);
                settings_put(reported, parameter.name, parameter.value);
                return FRAME_SHORT;
        case 'N':
                return reply_error(payload, size, &notice) == FRAME_READY ? FRAME_SHORT
                                                                          : unexpected(why);
        case 'A':
                return FRAME_SHORT;
        case 'E':
                return farewell(payload, size, why);
        default:
                return unexpected(why);
        }
}

enum frame_verdict probe_read(struct probe *p, const uint8_t *b, size_t n, size_t *used,
                              struct settings **reported, struct refusal *why)
{
        enum frame_verdict verdict = FRAME_SHORT;
        struct frame_piece piece;

        *used = 0;
        while (*used < n) {
                if (p->ready)
                        return unexpected(why);
                verdict = frame_next(&p->cutter, &frame_from_server, b + *used, n - *used, HOLD,
                                     &piece);
                if (verdict == FRAME_SHORT)
                        break;
                if (verdict == FRAME_BAD || !frame_whole(&piece))
                        return unexpected(why);
                *used += piece.size;
                verdict = read_message(p, &piece, reported, why);
                if (verdict == FRAME_BAD)
                        return verdict;
        }
        return verdict;
}
