/* A role as a provider of temporary credentials, by asking STS: AssumeRole, signed with other
 * credentials, or AssumeRoleWithWebIdentity, with the token in a file, which is read for each
 * asking. */
#ifndef PGB_SECRET_ROLE_H
#define PGB_SECRET_ROLE_H

#include <stdbool.h>
#include "io/http.h"
#include "io/loop.h"
#include "secret/endpoint.h"
#include "secret/lease.h"

struct role_options {                   /* copied; NULL = not set */
        const char *role_arn;
        const char *session_name;       /* not set: made from the host's name */
        const char *external_id;
        unsigned duration_s;            /* 0 = not set */
        const char *token_file;         /* web identity */
        const char *token_setting;      /* what names that file, for messages */
};

struct role_sts {
        struct endpoint at;
        char region[ENDPOINT_REGION];   /* that requests are signed for */
        const char *ca_file;            /* NULL = the usual one */
};

struct role_owner {
        bool (*sts)(void *arg, struct role_sts *out, struct error *e);
        /* Without web identity: with whose credentials. LEASE_WAITING: role_source_settled() will
         * be called. */
        enum lease_state (*source)(void *arg, struct aws_credentials *out, struct error *e);
        void (*source_refused)(void *arg);      /* by STS: they are to be looked up afresh */
        void *arg;
};

struct role;

/* Options that are no good make every asking fail. */
struct role *role_new(struct loop *l, struct http *http, const struct role_options *options,
                      const struct role_owner *owner, const struct lease_user *user);
void role_free(struct role *r);         /* cancels what runs; NULL is fine */
struct lease *role_lease(struct role *r);
void role_source_settled(struct role *r);       /* NULL is fine */

OWN_DEFINE(struct role, role_free)

#endif
