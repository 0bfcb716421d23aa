/* What each local user (kernel uid) has of one pool: clients, server connections, and its turn where
 * clients have to wait. */
#ifndef PGB_BACKEND_QUOTA_H
#define PGB_BACKEND_QUOTA_H

#include "backend/options.h"
#include "backend/wait.h"
#include "base/map.h"

struct quota_user {
        uid_t uid;
        unsigned clients;
        unsigned servers;               /* lent to them ... */
        unsigned made;                  /* ... and being made for one of them alone */
        struct wait_user for_server, for_pin, for_dedicated;
};

struct quota {
        struct map *users;              /* uid as text -> struct quota_user: those that have clients */
        struct wait_line *line;         /* for servers: who has as many as he may is held there */
        const struct pool_options *options;
};

void quota_init(struct quota *q, struct wait_line *line, const struct pool_options *options);
void quota_free(struct quota *q);
/* One more client; NULL and `e` (53300) if the user has as many as it may. */
struct quota_user *quota_enter(struct quota *q, uid_t uid, struct error *e);
/* The client is gone, and has no server any more. NULL is fine. */
void quota_leave(struct quota *q, struct quota_user *u);
/* A server is lent to one of its clients; comes back. */
void quota_lend(struct quota *q, struct quota_user *u);
void quota_return(struct quota *q, struct quota_user *u);
/* The options have changed. */
void quota_look(struct quota *q);

#endif
