/* Cancel requests of one pool. One at a time for a server, and a bounded number at once in all. While
 * one is under way its server is held: not lent to anybody, no request sent that could be hit. */
#ifndef PGB_BACKEND_POOL_CANCEL_H
#define PGB_BACKEND_POOL_CANCEL_H

#include "backend/pool.h"

/* How long the server may take to end what was canceled: cancel_wait_timeout, but never for ever. */
static inline uint64_t pool_cancel_patience(const struct pool_options *o)
{
        return o->cancel_wait_timeout ? o->cancel_wait_timeout : 10000;
}

/* Who wants to hear that it is over: embedded in whatever brought the request. */
struct pool_asker {
        struct list link;
        void (*over)(struct pool_asker *a);     /* later, once; whatever came of it */
};

/* Sends a cancel request for what the server is doing. False, and nothing happens, if the server has
 * given no key, or if too many are under way: twice pool_size, as in PgBouncer. There is at most one
 * for each server, so that many are only reached when servers were closed under theirs and new
 * connections to the database hang: one more would not get through either. */
bool pool_cancel(struct server *s);
/* The asker waits for the one that is under way for this server. To leave: list_remove(). */
void pool_cancel_join(struct server *s, struct pool_asker *a);

/* For pool only: the server will be freed; the pool will be. */
void pool_cancel_forget(struct server *s);
void pool_cancel_end_all(struct pool *p);

#endif
