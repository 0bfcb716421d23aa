/* What the parts of stream share: stream.c (reading, waiting, life) and stream_send.c (writing). */
#ifndef PGB_IO_STREAM_PARTS_H
#define PGB_IO_STREAM_PARTS_H

#include "io/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <uv.h>
#include "base/bytes.h"
#include "base/own.h"

struct rest {
        struct deadline over;
        struct stream *stream;
};

/* Thousands of them are idle: small. */
struct stream {
        uv_poll_t poll;
        struct loop *loop;
        SSL *ssl;
        const struct stream_events *events;
        void *arg;
        struct deferred flush;          /* something was noted to be sent */
        struct deferred again;          /* kept input, or input inside the SSL, waits for a call */
        struct rest *rest;              /* NULL: it never rested */
        struct bytes *in, *out;         /* kept, waiting to be sent; NULL = nothing */
        struct iovec *note;             /* noted to be sent; in the turn's memory; NULL = nothing */
        int fd;
        uint8_t watched;                /* what uv_poll was last told */
        uint8_t notes;
        bool paused : 1, blocked : 1, closing : 1, ended : 1;
        bool widened : 1;               /* the socket's buffer */
        bool full : 1;                  /* the socket takes no more, an event tells when it does */
        bool broken : 1;                /* writing failed: what is sent vanishes, reading tells why */
        bool half_closed : 1;           /* the peer sends no more but may still read */
        bool finished : 1;              /* ... the end of what it sent has been read */
        bool hidden : 1;                /* the SSL may hold input that no event will tell of */
};

/* Tells libuv what to wait for, if that is not what it waits for already. */
void stream_rewatch(struct stream *s);
/* Sends what waits until the socket is full. */
void stream_push(struct stream *s);
/* At the turn's end: pushes, and tells the owner if that changed whether the stream is blocked. */
void stream_flush(struct deferred *d);

/* What is kept, in `in` and `out`: NULL = nothing. */
static inline size_t stream_length(const struct bytes *b)
{
        return b ? bytes_length(b) : 0;
}

static inline void stream_keep(struct bytes **b, const void *p, size_t n)
{
        if (n == 0)
                return;
        if (!*b)
                *b = own_new(struct bytes);
        bytes_append(*b, p, n);
}

static inline void stream_let_go(struct bytes **b)
{
        bytes_free(*b);
        free(TAKE(*b));
}

#endif
