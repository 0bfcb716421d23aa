/* What the parts of pool share: pool.c (coming back), pool_own.c (servers that nobody has), pool_lend.c
 * (lending), pool_wait.c (what those are told who wait), pool_why.c (why they do, in words), pool_sweep.c
 * (what time brings), pool_cancel.c (cancel requests), pool_dedicated.c (servers made for one client),
 * pool_hosts.c (roles and addresses),
 * pool_orders.c (what an administrator orders). */
#ifndef PGB_BACKEND_POOL_PARTS_H
#define PGB_BACKEND_POOL_PARTS_H

#include "backend/pool.h"

#define POOL_SWEEP_MS 1000              /* how often timeouts of whole seconds are looked at */

/* Looks, later in the turn, who can be served or must be told. */
void pool_look(struct pool *p);
/* Of a server that nobody has. */
extern const struct stream_events pool_own_events;
/* It is idle: closes it if it has to go, else looks who can have it. */
void pool_settle_idle(struct server *s);
/* Sends what resets it (and frees that); server_check_query; connect_query. */
void pool_clean(struct server *s, struct bytes *reset);
void pool_test(struct server *s);
void pool_prepare(struct server *s);
void pool_serve(struct deferred *d);
/* An idle one to this client. */
struct server *pool_lend(struct pool *p, struct server *s, struct quota_user *user);
/* It is lent to nobody any more; fine if it was not. */
void pool_lent_no_more(struct server *s);
/* Was it opened with a credential that has been replaced? */
bool pool_outdated(const struct pool *p, const struct server *s);
/* Is there one in use that may come back? */
bool pool_shares(const struct pool *p);
/* Is it leave to pin that this client waits for? Who asks for a dedicated server waits for both at once. */
bool pool_waits_for_pin(const struct pool *p, const struct pool_wait *w);
/* Must it be closed as soon as nobody has it? */
bool pool_must_leave(const struct pool *p, const struct server *s, uint64_t now);
/* Closes a server that nobody has. */
void pool_close(struct server *s, const char *why);
/* No cancel request is under way any more for this server, which is CANCELED. */
void pool_take_back(struct server *s);
void pool_sweep_idle(struct pool *p, uint64_t now);
void pool_sweep_waits(struct pool *p);
void pool_sweep(struct deadline *d);

#endif
