/* AWS's two shared files as one profile sees them: static keys, and settings. Reading them touches
 * the disk, so it is one function that any thread may run on a struct of its own. */
#ifndef PGB_SECRET_SHARED_H
#define PGB_SECRET_SHARED_H

#include <stdbool.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/sealed.h"

/* Settings that are not credentials, by their names in the files. */
#define SHARED_SETTINGS(X)                                                                         \
        X(region)                                                                                  \
        X(endpoint_url)                                                                            \
        X(ca_bundle)                                                                               \
        X(use_fips_endpoint)                                                                       \
        X(use_dualstack_endpoint)                                                                  \
        X(ignore_configured_endpoint_urls)

enum shared_setting {
#define X(name) SHARED_##name,
        SHARED_SETTINGS(X)
#undef X
        SHARED_COUNT
};
const char *shared_setting_name(enum shared_setting s);

/* What the profile offers for credentials. */
enum shared_offer {
        SHARED_NOTHING,         /* no keys, nothing else either */
        SHARED_KEYS,
        SHARED_REFUSED          /* `error` says why: half a pair, role_arn, sso, unreadable, ... */
};

struct shared {
        char *credentials_path, *config_path, *profile; /* NULL path = there is none */
        bool profile_wanted;    /* AWS_PROFILE names it: it must be there */

        enum shared_offer offer;
        struct error error;
        char *access_key_id;
        struct sealed *secret_access_key, *session_token;
        char *settings[SHARED_COUNT];   /* NULL = not set */
        char *service_endpoint; /* endpoint_url of secrets_manager in the services section */
};

/* Paths and profile from the environment: AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE,
 * AWS_CONFIG_FILE, HOME. */
struct shared *shared_new(const char *(*getenv_)(const char *name));
struct shared *shared_again(const struct shared *s);    /* for another reading of the same files */
void shared_free(struct shared *s);                     /* NULL is fine */
void shared_read(struct shared *s);                     /* blocks */

/* All that a file holds, as far as the bytes' limit allows; else false and errno. Blocks. */
bool shared_read_all(int fd, struct bytes *content);

OWN_DEFINE(struct shared, shared_free)

#endif
