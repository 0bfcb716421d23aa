/* A version of the database secret as it was fetched, and the handful of them that one environment
 * holds under their ids. */
#ifndef PGB_SECRET_CREDENTIAL_H
#define PGB_SECRET_CREDENTIAL_H

#include <stdbool.h>
#include "base/bytes.h"
#include "secret/answer.h"
#include "secret/document.h"
#include "secret/rotation.h"

/* Counted; never changed once made. */
struct credential {
        unsigned references;
        char version_id[ROTATION_VERSION];
        enum secret_stage stage;        /* under which label it was fetched */
        struct document *document;
};
struct credential *credential_ref(struct credential *c);
void credential_unref(struct credential *c);            /* NULL is fine */
/* Points *p at c (NULL is fine), counting both. */
void credential_set(struct credential **p, struct credential *c);

/* Username, host, port, database or ssl_mode differ. */
bool credential_is_elsewhere(const struct credential *a, const struct credential *b);
/* c leads to the database of AWSCURRENT with no weaker ssl_mode. */
bool credential_fits(const struct credential *c, const struct credential *current);

struct credentials {
        struct held {
                struct credential *credential;  /* NULL = a free place */
                char request_id[65];            /* of the fetch */
                bool refused;                   /* its last login was */
        } held[ROTATION_VERSIONS];
};
void credentials_clear(struct credentials *cs);
struct held *credentials_find(struct credentials *cs, const char *version);     /* NULL: not held */
/* A counted credential of what was FOUND. What is held already stays the same object, so that
 * whoever compares credentials sees no change where there is none. */
struct credential *credentials_read(struct credentials *cs, struct source_answer *a, enum secret_stage s);
/* Throws away what the rotation doesn't know any more. */
void credentials_forget(struct credentials *cs, const struct rotation *r);
void credentials_keep(struct credentials *cs, struct credential *c, const char *request_id);
/* "VERSION (found as LABEL), ...": those that were refused. */
void credentials_refused(const struct credentials *cs, struct bytes *out);

#endif
