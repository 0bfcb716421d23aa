/* Where AWS credentials come from: a chain of providers, the first that has some wins. Environment
 * variables (keys, then a web identity), the profile of the shared files (a role by other
 * credentials, a web identity, keys, a credential_process), the container endpoint if its variables
 * are set, else the instance's metadata. One that is configured and fails ends the chain: nothing
 * else was meant. Files are read again when they change; credentials that expire are asked for anew
 * before they do. CREDENTIALS.md has it in a table. */
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
/* The same for the region, by the instance's metadata where neither environment nor profile has one.
 * NULL and `e` if nobody has. */
struct chain_lookup *chain_get_region(struct chain *c,
                                      void (*done)(void *arg, const char *region,
                                                   const struct error *e),
                                      void *arg);
void chain_cancel(struct chain_lookup *x);      /* NULL is fine */
/* The service refused them as expired or unknown: look afresh next time. */
void chain_forget(struct chain *c);

/* Settings of the profile and the environment that are not credentials. `key` is e.g. "region",
 * "endpoint_url"; "" if not set. The text lives until the next call. */
const char *chain_setting(struct chain *c, const char *key);
bool chain_is_true(struct chain *c, const char *key);
bool chain_has_instance(const struct chain *c); /* may metadata be asked? */

/* endpoint_url for a service by the rules of the AWS SDKs: AWS_ENDPOINT_URL_<SERVICE>,
 * AWS_ENDPOINT_URL, the profile's services section, the profile's endpoint_url;
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS. "" = the region's own endpoint. */
enum chain_service { CHAIN_SECRETS_MANAGER, CHAIN_STS };
const char *chain_endpoint(struct chain *c, enum chain_service service);
/* A secret is asked for there. STS is too, where neither environment nor profile has a region. */
void chain_used_region(struct chain *c, const char *region);

#endif
