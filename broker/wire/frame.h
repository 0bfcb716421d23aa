/* Cuts a stream of PostgreSQL protocol 3 messages (type byte, int32 length that counts itself,
 * payload) at message borders, without copying. Source: PostgreSQL manual, "Message Formats".
 *
 * Types whose payload someone reads come whole, if they fit `hold` bytes; larger ones begin with a
 * piece of at least `hold` bytes and go on in pieces, as they arrive; so do rows and COPY data,
 * from their header on. A piece of a streamed type may cover a run of several messages of that
 * type: one step for a buffer full of rows. */
#ifndef PGB_WIRE_FRAME_H
#define PGB_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_verdict {
        FRAME_READY,            /* *piece is set */
        FRAME_SHORT,            /* more bytes are needed */
        FRAME_BAD               /* no such message: the stream can't be trusted any more */
};

/* What a peer may send: one of the two tables below. */
struct frame_rules {
        struct {
                uint8_t kind;           /* 0 unknown, 1 whole, 2 streamed */
                uint32_t min, max;      /* bounds of the length field */
        } type[256];
};
extern const struct frame_rules frame_from_client;      /* after startup */
extern const struct frame_rules frame_from_server;      /* after login */

struct frame_cutter {
        uint64_t left;          /* bytes of the current message still to come */
        uint32_t length;        /* of the current message, with its type byte */
        uint8_t type;
};

struct frame_piece {
        uint8_t type;
        bool begins;            /* data starts with a message's type byte */
        bool ends;              /* data ends where a message ends */
        uint32_t messages;      /* how many messages end within data */
        uint64_t length;        /* of the (last) message, with its type byte */
        const uint8_t *data;
        size_t size;
};

#define FRAME_HEADER 5

/* The next piece of p[0..n). The cutter moves on by piece->size; the caller does, too. */
enum frame_verdict frame_next(struct frame_cutter *c, const struct frame_rules *rules,
                              const uint8_t *p, size_t n, size_t hold, struct frame_piece *piece);

/* True between messages. */
static inline bool frame_at_border(const struct frame_cutter *c)
{
        return c->left == 0;
}
/* A piece that is one whole message: its payload. */
static inline const uint8_t *frame_payload(const struct frame_piece *piece)
{
        return piece->data + FRAME_HEADER;
}
static inline size_t frame_payload_size(const struct frame_piece *piece)
{
        return piece->size - FRAME_HEADER;
}
/* One message, complete. */
static inline bool frame_whole(const struct frame_piece *piece)
{
        return piece->begins && piece->ends && piece->messages == 1;
}

static inline uint16_t frame_get16(const uint8_t *p)
{
        return (uint16_t) (p[0] << 8 | p[1]);
}
static inline uint32_t frame_get32(const uint8_t *p)
{
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

#endif
