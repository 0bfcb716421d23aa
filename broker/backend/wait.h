/* Clients in line. The local users (kernel uids) take turns, so that one with hundreds in line holds up
 * nobody else for long; the clients of one user are served in the order they asked. */
#ifndef PGB_BACKEND_WAIT_H
#define PGB_BACKEND_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/list.h"

struct server;
struct pool_wait;
struct wait_line;

/* One user's place in one line. */
struct wait_user {
        struct list link;               /* of line->turns */
        struct list clients;            /* the first in line first */
        unsigned count;
        bool held;                      /* they can't be served now, whoever's turn it is */
};

/* What a client that waits is told: each by the loop, later. */
struct pool_wait_events {
        /* Once: what it waited for (a server, or NULL where it was leave to pin) ... */
        void (*given)(struct pool_wait *w, struct server *s);
        /* ... or why it will not come. */
        void (*failed)(struct pool_wait *w, const struct error *e);
        /* It goes on to wait, and for what. */
        void (*notify)(struct pool_wait *w, const char *text);
};

/* A client that waits: embedded in its session. */
struct pool_wait {
        const struct pool_wait_events *events;
        struct list link;               /* of its user's clients */
        struct list in_line;            /* of line->all */
        struct wait_line *line;         /* NULL: it does not wait */
        struct wait_user *user;         /* of that line */
        struct quota_user *quota;       /* what its user has of the pool */
        bool has_server;                /* while it waits for leave to pin */
        bool notified;
        uint64_t since, since_us;       /* loop ms, and microseconds */
};

struct wait_line {
        struct list all;                /* the first to come first */
        struct list turns;              /* users that have somebody to be served; the next first */
        unsigned count;
        unsigned ready;                 /* of them, those whose user is not held */
};

void wait_line_init(struct wait_line *l);
void wait_user_init(struct wait_user *u);
/* Who is to be served next; NULL: nobody. */
struct pool_wait *wait_next(const struct wait_line *l);
/* Who has waited longest. */
static inline struct pool_wait *wait_oldest(const struct wait_line *l)
{
        return list_first(&l->all, struct pool_wait, in_line);
}
void wait_join(struct wait_line *l, struct wait_user *u, struct pool_wait *w, uint64_t now,
               uint64_t now_us);
/* Fine if it does not wait. */
void wait_leave(struct pool_wait *w);
static inline bool wait_waits(const struct pool_wait *w)
{
        return w->line != NULL;
}
/* The user's turn is over with that: the next one's comes. */
void wait_give(struct pool_wait *w, struct server *s);
void wait_fail(struct pool_wait *w, const struct error *e);
void wait_fail_all(struct wait_line *l, const struct error *e);
/* None of this user's is served until it is not held any more. */
void wait_hold(struct wait_line *l, struct wait_user *u, bool held);

#endif
