#include "wire/frame.h"

#define NONE 0
#define WHOLE 1
#define STREAM 2

/* PostgreSQL's own bound for a large message from a client (PQ_LARGE_MESSAGE_LIMIT). */
#define LARGE 0x3ffffffeu
/* What it sends is bounded by its string buffer only: 1 GB - 1 of payload. */
#define LARGEST (4 + 0x3fffffffu)
/* Its bound for messages that are always small (PQ_SMALL_MESSAGE_LIMIT). */
#define SMALL 10000u

const struct frame_rules frame_from_client = {.type = {
        ['B'] = {WHOLE, 4 + 2, LARGE},          /* Bind */
        ['C'] = {WHOLE, 4 + 2, SMALL},          /* Close */
        ['d'] = {STREAM, 4, LARGE},             /* CopyData */
        ['c'] = {WHOLE, 4, 4},                  /* CopyDone */
        ['f'] = {WHOLE, 4 + 1, SMALL},          /* CopyFail */
        ['D'] = {WHOLE, 4 + 2, SMALL},          /* Describe */
        ['E'] = {WHOLE, 4 + 5, SMALL},          /* Execute */
        ['H'] = {WHOLE, 4, 4},                  /* Flush */
        ['F'] = {WHOLE, 4 + 4, LARGE},          /* FunctionCall */
        ['P'] = {WHOLE, 4 + 4, LARGE},          /* Parse */
        ['Q'] = {WHOLE, 4 + 1, LARGE},          /* Query */
        ['S'] = {WHOLE, 4, 4},                  /* Sync */
        ['X'] = {WHOLE, 4, 4},                  /* Terminate */
}};

const struct frame_rules frame_from_server = {.type = {
        ['2'] = {WHOLE, 4, 4},                  /* BindComplete */
        ['3'] = {WHOLE, 4, 4},                  /* CloseComplete */
        ['C'] = {WHOLE, 4 + 1, SMALL},          /* CommandComplete */
        ['d'] = {STREAM, 4, LARGEST},           /* CopyData */
        ['c'] = {WHOLE, 4, 4},                  /* CopyDone */
        ['G'] = {WHOLE, 4 + 3, SMALL},          /* CopyInResponse */
        ['H'] = {WHOLE, 4 + 3, SMALL},          /* CopyOutResponse */
        ['D'] = {STREAM, 4 + 2, LARGEST},       /* DataRow */
        ['I'] = {WHOLE, 4, 4},                  /* EmptyQueryResponse */
        ['E'] = {WHOLE, 4 + 1, LARGEST},        /* ErrorResponse */
        ['V'] = {WHOLE, 4 + 4, LARGEST},        /* FunctionCallResponse */
        ['n'] = {WHOLE, 4, 4},                  /* NoData */
        ['N'] = {WHOLE, 4 + 1, LARGEST},        /* NoticeResponse */
        ['A'] = {WHOLE, 4 + 6, SMALL},          /* NotificationResponse */
        ['t'] = {WHOLE, 4 + 2, LARGEST},        /* ParameterDescription */
        ['S'] = {WHOLE, 4 + 2, LARGEST},        /* ParameterStatus */
        ['1'] = {WHOLE, 4, 4},                  /* ParseComplete */
        ['s'] = {WHOLE, 4, 4},                  /* PortalSuspended */
        ['Z'] = {WHOLE, 5, 5},                  /* ReadyForQuery */
        ['T'] = {WHOLE, 4 + 2, LARGEST},        /* RowDescription */
        ['W'] = {WHOLE, 4 + 3, SMALL},          /* CopyBothResponse */
}};

/* Reads the header at p; BAD for a type or length that the peer may not send. */
static enum frame_verdict header(const struct frame_rules *rules, const uint8_t *p, size_t n,
                                 uint64_t *length)
{
        if (n == 0)
                return FRAME_SHORT;
        if (rules->type[p[0]].kind == NONE)
                return FRAME_BAD;
        if (n < FRAME_HEADER)
                return FRAME_SHORT;
        uint32_t said = frame_get32(p + 1);
        if (said < rules->type[p[0]].min || said > rules->type[p[0]].max)
                return FRAME_BAD;
        *length = (uint64_t) said + 1;
        return FRAME_READY;
}

/* Walks on over messages of the same streamed type while they begin within p[0..n). A bad header ends
 * the run: the next call says so. */
static void run_of(struct frame_cutter *c, const struct frame_rules *rules, const uint8_t *p,
                   size_t n, struct frame_piece *piece)
{
        const uint8_t type = piece->type;
        const uint32_t min = rules->type[type].min, range = rules->type[type].max - min;
        size_t at = piece->size, length = piece->length;
        uint32_t messages = piece->messages;
        while (n - at >= FRAME_HEADER && p[at] == type) {
                uint32_t said = frame_get32(p + at + 1);
                if (said - min > range)
                        break;
                length = (size_t) said + 1;
                if (length > n - at) {
                        c->left = length - (n - at);
                        c->length = (uint32_t) length;
                        piece->ends = false;
                        at = n;
                        break;
                }
                at += length;
                messages++;
        }
        piece->length = length;
        piece->messages = messages;
        piece->size = at;
}

static void middle(struct frame_cutter *c, const uint8_t *p, size_t n, struct frame_piece *piece)
{
        size_t size = c->left < n ? (size_t) c->left : n;
        c->left -= size;
        *piece = (struct frame_piece){.type = c->type, .ends = c->left == 0,
                                      .messages = c->left == 0, .length = c->length,
                                      .data = p, .size = size};
}

enum frame_verdict frame_next(struct frame_cutter *c, const struct frame_rules *rules,
                              const uint8_t *p, size_t n, size_t hold, struct frame_piece *piece)
{
        if (c->left > 0) {
                if (n == 0)
                        return FRAME_SHORT;
                middle(c, p, n, piece);
        } else {
                uint64_t length;
                enum frame_verdict v = header(rules, p, n, &length);
                if (v != FRAME_READY)
                        return v;
                /* One that outgrows `hold` starts with that much of it, so that the names at its
                 * front can be read. */
                if (rules->type[p[0]].kind == WHOLE && n < length && n < hold)
                        return FRAME_SHORT;
                c->type = p[0];
                c->length = (uint32_t) length;
                c->left = length;
                middle(c, p, n, piece);
                piece->begins = true;
        }
        if (piece->ends && rules->type[piece->type].kind == STREAM)
                run_of(c, rules, p, n, piece);
        return FRAME_READY;
}
