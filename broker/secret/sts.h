/* AWS Security Token Service, as far as roles need it: AssumeRole, AssumeRoleWithWebIdentity, and
 * their answers in XML (as documented) or JSON (as given to who accepts it). Pure. */
#ifndef PGB_SECRET_STS_H
#define PGB_SECRET_STS_H

#include <stdbool.h>
#include "base/bytes.h"
#include "secret/answer.h"
#include "secret/aws_credentials.h"

struct sts_request {
        const char *role_arn, *session_name;
        const char *external_id;        /* NULL = none */
        unsigned duration_s;            /* 0 = STS's default, an hour */
        const char *web_identity_token; /* NULL = AssumeRole */
};
/* The form that is posted; it may hold the token. */
void sts_compose(const struct sts_request *r, struct bytes *out);

/* True and *out for status 200 with credentials in it; else *why, of any kind but VALUE.
 * answer_clear() is not needed: there is no value in it. */
bool sts_read(const struct http_answer *a, const struct error *e, struct aws_credentials *out,
              struct answer *why);

#endif
