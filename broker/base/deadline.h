/* Many deadlines on one timer: a binary heap of moments in monotonic milliseconds, pure.
 * The loop asks deadlines_next(), sleeps, then calls deadlines_run(). A callback may set or clear
 * any deadline, its own included. */
#ifndef PGB_BASE_DEADLINE_H
#define PGB_BASE_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
        void (*expired)(struct deadline *d);    /* container_of() gives the owner */
        uint64_t at;
        uint32_t slot;                          /* 1-based place in the heap; 0 = not set */
};

struct deadlines {
        struct deadline **heap;                 /* heap[1..count] */
        uint32_t count, size;
        struct deadline **due;                  /* during a run: due[due_at..due_count) is yet to come */
        uint32_t due_at, due_count, due_size;
};

#define DEADLINE_NEVER UINT64_MAX

void deadlines_init(struct deadlines *ds);
void deadlines_free(struct deadlines *ds);
void deadline_init(struct deadline *d, void (*expired)(struct deadline *d));
void deadline_set(struct deadlines *ds, struct deadline *d, uint64_t at);      /* or moves it */
void deadline_clear(struct deadlines *ds, struct deadline *d);                 /* fine if not set */
static inline bool deadline_is_set(const struct deadline *d)
{
        return d->slot != 0;
}
/* The earliest moment, or DEADLINE_NEVER. */
uint64_t deadlines_next(const struct deadlines *ds);
/* Calls back all that are due at `now`, earliest first. One that a callback sets to `now` or
 * before runs at the next call, not in this one. */
void deadlines_run(struct deadlines *ds, uint64_t now);

#endif
