/* Dedicated servers: each is made for one client, with what its startup packet asks for, where nothing else will do
 * (a walsender, a parameter that only a session's start can set), and is closed with it. It counts in pool_size,
 * where an idle server makes room for it, and in max_pinned. */
#ifndef PGB_BACKEND_POOL_DEDICATED_H
#define PGB_BACKEND_POOL_DEDICATED_H

#include "backend/connect_parameters.h"
#include "backend/refusal.h"
#include "backend/wait.h"
#include "base/list.h"

struct dedicated {
        struct wait_line waiting;
        struct list asked;              /* what each of those asks for */
};

struct pool;
struct pool_pin;
/* The wait is queued: given() or failed() comes later. Who is given a server has leave to pin. `session`: copied. */
void pool_dedicate(struct pool *p, struct pool_wait *w, struct pool_pin *pin,
                   const struct connect_session *session);

/* For pool only. */
/* How the last try to make what this client waits for has failed; "" if none did. */
const char *pool_dedicated_why(const struct pool *p, const struct pool_wait *w);
/* Is it being made? Its client has leave to pin then, and waits for nobody. */
bool pool_dedicated_begun(const struct pool *p, const struct pool_wait *w);
void pool_dedicated_init(struct dedicated *r);
void pool_dedicated_serve(struct pool *p);
void pool_dedicated_opened(struct server *s);
void pool_dedicated_closed(const struct server *s);     /* before anybody had it, maybe */
void pool_dedicated_not_opened(struct pool *p, const struct server *s, enum connect_failure f,
                               const struct error *e);
/* The client is gone. Fine if it asked for nothing. */
void pool_dedicated_forget(struct pool *p, const struct pool_wait *w);

#endif
