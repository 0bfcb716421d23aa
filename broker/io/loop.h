/* One event loop: libuv's, with a heap of deadlines, calls put off to later in the same turn, and
 * the turn's memory: what streams read in a turn stays where it is until the turn's end, when all
 * that was sent is flushed at once. libuv's types stay inside io/. */
#ifndef PGB_IO_LOOP_H
#define PGB_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/deadline.h"
#include "base/list.h"

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *l);         /* runs what closes until it has closed */
void loop_run(struct loop *l);          /* until loop_stop() */
void loop_stop(struct loop *l);

/* Monotonic milliseconds, the same during a turn; and microseconds, read afresh. */
uint64_t loop_now(const struct loop *l);
uint64_t loop_us(void);

void loop_set(struct loop *l, struct deadline *d, uint64_t at);
static inline bool loop_is_set(const struct deadline *d)
{
        return deadline_is_set(d);
}
void loop_clear(struct loop *l, struct deadline *d);

/* Calls `call` later in this turn (or at the start of the next), once; putting off what is put
 * off already does nothing. "Answer now or call later; never call back while being called." */
struct deferred {
        struct list link;
        void (*call)(struct deferred *d);
};
void deferred_init(struct deferred *d, void (*call)(struct deferred *d));
void loop_defer(struct loop *l, struct deferred *d);
void deferred_clear(struct deferred *d);

/* SIGHUP, SIGTERM, ... as calls on the loop. */
void loop_signal(struct loop *l, int signal, void (*call)(void *arg, int signal), void *arg);

/* Turns so far, and the longest in microseconds: of this thread's CPU (which counts only what the loop
 * itself did), and as time went by. Either may be up to a millisecond too long, never too short. */
struct loop_turns {
        uint64_t count, cpu_max_us, wall_max_us;
};
struct loop_turns loop_turns(const struct loop *l);

/* For rooms of io/ only: the uv_loop_t, and the turn's memory (see stream.c). */
void *loop_uv(struct loop *l);
uint8_t *loop_room(struct loop *l);                     /* LOOP_ROOM bytes; may flush all streams */
void loop_room_used(struct loop *l, size_t n);          /* they stay until the end of the turn */
void *loop_scrap(struct loop *l, size_t n);             /* so do these; NULL: there is no more room */
void loop_garbage(struct loop *l, void *p);             /* free()d at the end of the turn */
void loop_flush(struct loop *l, struct deferred *d);    /* as loop_defer, after all deferred calls */

#define LOOP_ROOM (256 * 1024)          /* a large result moves in few system calls */

#endif
