/* AWS credentials, and the JSON in which the container endpoint, instance metadata and processes
 * hand them out. Pure. */
#ifndef PGB_SECRET_AWS_CREDENTIALS_H
#define PGB_SECRET_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/sealed.h"

struct aws_credentials {
        char *access_key_id;            /* NULL = there are none */
        struct sealed *secret_access_key;
        struct sealed *session_token;   /* NULL = none */
        const char *provider;           /* "environment", "shared file", ... for logs */
        long long expires;              /* seconds since 1970; 0 = not known */
};
void aws_credentials_free(struct aws_credentials *c);   /* the contents; NULL is fine */

/* AccessKeyId, SecretAccessKey, Token, Expiration, and a Code that must be "Success" if it is
 * there. False and `e` (08001; no value is ever quoted) if it isn't that. */
bool aws_credentials_read(const char *json, size_t size, struct aws_credentials *out,
                          struct error *e);
/* What a credential_process prints: a Version that must be 1, and SessionToken for Token. */
bool aws_credentials_read_process(const char *json, size_t size, struct aws_credentials *out,
                                  struct error *e);
/* From an object that was read; the token's name differs. */
struct json_t;
bool aws_credentials_take(const struct json_t *object, const char *token_key,
                          struct aws_credentials *out, struct error *e);
/* Characters that a header's value may hold anywhere: ASCII without blanks. */
bool aws_credentials_is_visible(const char *text, size_t n);
/* "2030-11-22T14:09:43Z", also with a fraction or an offset from UTC, as seconds since 1970.
 * 0 if it is anything else. */
long long aws_credentials_time(const char *text);

#define AWS_CREDENTIALS_COMPLAINT 200
/* What an answer other than 200 says of itself, as printable ASCII: "code: message" of its JSON, or
 * the beginning of its first line. */
void aws_credentials_complaint(const char *body, size_t size,
                               char out[AWS_CREDENTIALS_COMPLAINT]);

#endif
