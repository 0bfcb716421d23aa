/* An environment as its clients see it: the pool, and what to tell a client at login. Which values a
 * set of startup parameters comes to is tried on a server once and then known. */
#ifndef PGB_FRONTEND_HOME_H
#define PGB_FRONTEND_HOME_H

#include "backend/pool.h"
#include "base/map.h"

struct home {
        struct pool *pool;
        struct map *welcomes;           /* startup parameters as one text -> struct welcome */
        uint64_t known_changes;         /* of the pool when they were tried */
};

/* What a set of startup parameters comes to. Both sets belong to the home. */
struct welcome {
        struct settings *told;          /* all that the client is told */
        struct settings *said;          /* what it asked for itself, as servers spell it */
};

struct home *home_new(struct pool *p);
void home_free(struct home *h);
/* False: it must be tried on a server. */
bool home_welcome(struct home *h, const struct settings *asked, struct welcome *out);
/* It was tried, and this is what it came to. */
void home_learn(struct home *h, const struct settings *asked, const struct welcome *found);
/* `known` with `asked` over it. The caller's. */
struct settings *home_overlay(const struct settings *known, const struct settings *asked);

#endif
