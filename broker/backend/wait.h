/* Clients in line: first come, first served. */
#ifndef PGB_BACKEND_WAIT_H
#define PGB_BACKEND_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/list.h"

struct server;
struct wait_line;

/* A client that waits: embedded in its session. */
struct pool_wait {
        struct list link;
        struct wait_line *line;         /* NULL: it does not wait */
        uid_t uid;
        bool has_server;                /* while it waits for leave to pin */
        uint64_t since, since_us;       /* loop ms, and microseconds */
        /* Called by the loop later, once: what it waited for (a server, or NULL where it was leave to
         * pin) ... */
        void (*given)(struct pool_wait *w, struct server *s);
        /* ... or why it will not come. */
        void (*failed)(struct pool_wait *w, const struct error *e);
};

struct wait_line {
        struct list list;
        unsigned count;
};

void wait_line_init(struct wait_line *l);
static inline struct pool_wait *wait_first(const struct wait_line *l)
{
        return list_first(&l->list, struct pool_wait, link);
}
void wait_join(struct wait_line *l, struct pool_wait *w, uint64_t now, uint64_t now_us);
/* Fine if it does not wait. */
void wait_leave(struct pool_wait *w);
static inline bool wait_waits(const struct pool_wait *w)
{
        return w->line != NULL;
}
void wait_give(struct pool_wait *w, struct server *s);
void wait_fail(struct pool_wait *w, const struct error *e);
void wait_fail_all(struct wait_line *l, const struct error *e);

#endif
