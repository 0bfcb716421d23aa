/* Of chain: settings that are not credentials, from the environment and then the profile. Pure but
 * for the environment. */
#ifndef PGB_SECRET_CHAIN_SETTINGS_H
#define PGB_SECRET_CHAIN_SETTINGS_H

#include <stdbool.h>
#include "secret/chain.h"
#include "secret/role.h"
#include "secret/shared.h"

struct chain_settings {
        const char *(*getenv_)(const char *name);
        const struct shared *shared;
};

/* An environment variable that is set, and not to nothing; else NULL. */
const char *chain_settings_variable(const struct chain_settings *s, const char *name);
/* "" if not set. */
const char *chain_settings_get(const struct chain_settings *s, const char *key);
const char *chain_settings_endpoint(const struct chain_settings *s, enum chain_service service);
/* Where STS is asked; in `region` if no other one is set. */
bool chain_settings_sts(const struct chain_settings *s, const char *region, struct role_sts *out,
                        struct error *e);

#endif
