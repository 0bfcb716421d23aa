/* AWS's two shared files as one profile sees them: its way to credentials, and settings. Reading
 * them touches the disk, so it is one function that any thread may run on a struct of its own. */
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
        X(ignore_configured_endpoint_urls)                                                         \
        X(sts_regional_endpoints)

enum shared_setting {
#define X(name) SHARED_##name,
        SHARED_SETTINGS(X)
#undef X
        SHARED_COUNT
};
const char *shared_setting_name(enum shared_setting s);

/* Those that have an endpoint of their own in a services section. */
enum shared_service { SHARED_SECRETS_MANAGER, SHARED_STS, SHARED_SERVICES };

/* A way to credentials. */
enum shared_offer {
        SHARED_NOTHING,         /* the profile offers none */
        SHARED_KEYS,            /* that don't expire */
        SHARED_PROCESS,         /* credential_process */
        SHARED_WEB_IDENTITY,    /* a role, by a token in a file */
        SHARED_ROLE,            /* a role, by other credentials: those of `source` */
        SHARED_REFUSED          /* `error` says why: half a pair, sso, mfa, unreadable, ... */
};

/* With whose credentials a role is assumed. */
enum shared_source { SHARED_PROFILE, SHARED_ENVIRONMENT, SHARED_CONTAINER, SHARED_INSTANCE };

struct shared_way {
        enum shared_offer offer;
        struct error error;
        char *profile;          /* its name */
        char *access_key_id;    /* KEYS */
        struct sealed *secret_access_key, *session_token;
        char *command;          /* PROCESS */
        char *role_arn, *session_name, *external_id, *token_file;       /* of the roles; NULL = not set */
        unsigned duration_s;    /* 0 = not set */
        enum shared_source source;      /* ROLE */
};

struct shared {
        char *credentials_path, *config_path, *profile; /* NULL path = there is none */
        bool profile_wanted;    /* AWS_PROFILE names it: it must be there */

        struct shared_way way;
        struct shared_way source;       /* ROLE by another profile: KEYS, PROCESS or WEB_IDENTITY */
        char *settings[SHARED_COUNT];   /* NULL = not set */
        char *endpoints[SHARED_SERVICES];       /* endpoint_url in the services section */
};

/* Paths and profile from the environment: AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE,
 * AWS_CONFIG_FILE, HOME. */
struct shared *shared_new(const char *(*getenv_)(const char *name));
struct shared *shared_again(const struct shared *s);    /* for another reading of the same files */
void shared_free(struct shared *s);                     /* NULL is fine */
void shared_read(struct shared *s);                     /* blocks */
/* Do both lead to the same credentials in the same way? */
bool shared_same(const struct shared *a, const struct shared *b);

/* All that a file holds, as far as the bytes' limit allows; else false and errno. Blocks. */
bool shared_read_all(int fd, struct bytes *content);

OWN_DEFINE(struct shared, shared_free)

#endif
