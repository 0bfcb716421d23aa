/* Of chain: what the environment variables offer for credentials, read once: nobody changes the
 * environment of a process that runs. */
#ifndef PGB_SECRET_CHAIN_ENVIRONMENT_H
#define PGB_SECRET_CHAIN_ENVIRONMENT_H

#include "secret/shared.h"

struct chain_environment {
        struct shared_way keys;         /* AWS_ACCESS_KEY_ID, ...: KEYS, NOTHING or REFUSED */
        struct shared_way web_identity; /* AWS_WEB_IDENTITY_TOKEN_FILE, ...: likewise */
};

void chain_environment_read(struct chain_environment *c,
                            const char *(*getenv_)(const char *name));
void chain_environment_clear(struct chain_environment *c);

#endif
