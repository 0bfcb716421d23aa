/* Where AWS credentials come from: a chain of providers, the first that has some wins. Environment
 * variables, then the shared files (static keys of a profile), then the container endpoint if its
 * variables are set, else the instance's metadata. What is configured and is not in this version
 * (credential_process, role_arn, sso_*, web identity) is named in the error. Files are read again
 * when they change; credentials that expire are asked for anew before they do. */
#ifndef PGB_SECRET_CHAIN_H
#define PGB_SECRET_CHAIN_H

#include <stdbool.h>
#include "base/error.h"
#include "io/http.h"
#include "io/loop.h"
#include "secret/aws_credentials.h"

struct chain;

/* `getenv_` reads environment variables (tests give their own; NULL = getenv). Reads the shared
 * files once, at once; later only off the loop. */
struct chain *chain_new(struct loop *l, struct http *http, const char *(*getenv_)(const char *name));
void chain_free(struct chain *c);       /* lookups that are under way are forgotten */

/* Calls done() later, exactly once, with credentials (the chain's; valid during the call) or `e`.
 * Lookups that come while credentials are asked for wait together for that one answer. */
struct chain_lookup;
struct chain_lookup *chain_get(struct chain *c,
                               void (*done)(void *arg, const struct aws_credentials *credentials,
                                            const struct error *e),
                               void *arg);
void chain_cancel(struct chain_lookup *x);      /* NULL is fine */
/* The service refused them as expired or unknown: look afresh next time. */
void chain_forget(struct chain *c);

/* Settings of the profile and the environment that are not credentials. `key` is e.g. "region",
 * "endpoint_url"; "" if not set. The text lives until the next call. */
const char *chain_setting(struct chain *c, const char *key);
/* endpoint_url for Secrets Manager by the rules of the AWS SDKs: AWS_ENDPOINT_URL_SECRETS_MANAGER,
 * AWS_ENDPOINT_URL, the profile's services section, the profile's endpoint_url;
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS. "" = the region's own endpoint. */
const char *chain_endpoint(struct chain *c);

#endif
