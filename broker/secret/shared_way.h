/* Of shared: what one profile of the two files offers for credentials. Pure. */
#ifndef PGB_SECRET_SHARED_WAY_H
#define PGB_SECRET_SHARED_WAY_H

#include "secret/profile.h"
#include "secret/shared.h"

struct shared_files {
        const struct profile *credentials, *config;     /* NULL = there is no such file */
};

bool shared_has_profile(const struct shared_files *f, const char *name);
/* For one key the credentials file wins. */
const char *shared_get(const struct shared_files *f, const char *profile, const char *key);

/* Fills `way`, and `source` if it is a role by another profile. */
void shared_find_ways(const struct shared_files *f, const char *profile, struct shared_way *way,
                      struct shared_way *source);
void shared_way_clear(struct shared_way *w);
bool shared_same_way(const struct shared_way *a, const struct shared_way *b);

#endif
