/* A connected socket, plain or TLS, read and written by the loop.
 *
 * Reading: received() gets what has come and returns how much of it it has used up; the rest is kept
 * and comes again in front of the next bytes (or at stream_resume()). The bytes stay valid until the
 * end of the loop's turn, so they may be sent on from where they are.
 * Writing: stream_send() only notes where the bytes are; at the turn's end everything noted goes out
 * in one system call. What the socket won't take is copied and waits; blocked() is called then, and
 * drained() when all of it has gone.
 * An idle stream owns no buffer. */
#ifndef PGB_IO_STREAM_H
#define PGB_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "io/loop.h"

#define STREAM_HOLD 65536               /* how much unconsumed input can be kept: one receive buffer */
#define STREAM_HIGH (128 * 1024)        /* so much at once is enough for who makes what he sends */

struct stream;

struct stream_events {
        size_t (*received)(void *arg, const uint8_t *p, size_t n);
        void (*blocked)(void *arg);
        void (*drained)(void *arg);
        /* End of file, or an error (then `e` is not NULL). The last call; the owner frees the stream
         * in it or later. */
        void (*ended)(void *arg, const struct error *e);
        /* The peer of a plain socket has half closed it: it says no more, and may still read. True: what it
         * is sent goes out, and nothing more is read. False, or no such function: it has ended. */
        bool (*finished)(void *arg);
};

/* Takes the descriptor (closed by stream_free), not the SSL* (may be NULL; must outlive the stream). */
struct stream *stream_new(struct loop *l, int fd, void *ssl, const struct stream_events *events,
                          void *arg);
/* Closes at once; what was noted to be sent and can be sent without waiting is (best effort). NULL
 * is fine. May be called from any callback of the stream. */
void stream_free(struct stream *s);
void stream_retarget(struct stream *s, const struct stream_events *events, void *arg);

/* p must stay valid until the end of this turn: bytes from received(), or constants. */
void stream_send(struct stream *s, const void *p, size_t n);
void stream_send_copy(struct stream *s, const void *p, size_t n);
/* Stops and restarts reading (not counted: two pauses need one resume). Input that is kept is
 * offered again after resume, later in the turn. A paused stream still sees its peer vanish. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Offers kept input to received() again, later in the turn. */
void stream_again(struct stream *s);
/* Reads nothing for a millisecond, then what has come by then: for a peer that sends little at a time but
 * much in all. Each wake-up costs more than moving a few KiB. */
void stream_rest(struct stream *s);
bool stream_paused(const struct stream *s);
bool stream_blocked(const struct stream *s);            /* and not yet drained */
size_t stream_waiting(const struct stream *s);          /* bytes noted or waiting to be sent */
size_t stream_kept(const struct stream *s);
int stream_fd(const struct stream *s);
/* Reads now, outside an event: true if nothing was there (no byte, no end). Nothing is consumed. */
bool stream_quiet(struct stream *s);

#endif
