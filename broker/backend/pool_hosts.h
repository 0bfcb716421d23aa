/* Hosts of a pool that are not what they were: of another role after a failover, or at another
 * address. Its servers there leave as they come back. */
#ifndef PGB_BACKEND_POOL_HOSTS_H
#define PGB_BACKEND_POOL_HOSTS_H

#include "backend/server.h"
#include "io/resolve.h"

struct pool;

/* What a pool knows of it. */
struct pool_hosts {
        bool doubt;                     /* a server refused to write: a login shows how its host is */
        struct resolve *lookup;         /* of one name, while it is under way */
        char *name;                     /* ... this one */
        unsigned next;                  /* ... the number of the one after it */
        uint64_t looked_up;             /* loop ms: when all had been */
};

/* The server of this connection is not what target_session_attrs asks for: nor are others there. */
void pool_hosts_unfit(struct pool *p, const struct connection *c);
/* It comes back: does it still fit? */
void pool_hosts_judge(struct server *s);
/* Every dns_max_ttl: are the servers' addresses still those of their names? */
void pool_hosts_look_up(struct pool *p, uint64_t now);
void pool_hosts_free(struct pool_hosts *h);

#endif
