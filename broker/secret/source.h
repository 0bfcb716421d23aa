/* Where a database secret is read from: Secrets Manager (GetSecretValue), a JSON file, or
 * environment variables. A source fetches one version by staging label and gives its document. */
#ifndef PGB_SECRET_SOURCE_H
#define PGB_SECRET_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "io/http.h"
#include "secret/answer.h"              /* enum secret_stage, source_verdict; struct source_answer */
#include "secret/chain.h"
#include "secret/document.h"

/* All texts are copied; NULL counts as "". */
struct source_options {
        enum { SOURCE_AWS, SOURCE_FILE, SOURCE_ENV } kind;
        const char *environment;        /* for messages; ENV without `variable` is for "local" only */
        const char *secret_name;        /* AWS: name or ARN; ENV with variable: "" or the fall-back */
        const char *secret_region;      /* "" = see region rules */
        const char *region, *endpoint_url;      /* of the `aws` block; "" = the usual AWS rules */
        const char *path;               /* FILE */
        const char *variable;           /* ENV: "" = DB_HOST, DB_PORT, ...; else one JSON document */
        struct document_endpoint endpoint;
        const char *(*getenv_)(const char *name);       /* ENV; NULL = getenv */
        uint32_t (*dice)(void *arg, uint32_t below);    /* for pauses; NULL = the kernel's */
        void *dice_arg;
};

struct source;

/* Checks all that can be checked without asking anyone: name convention, region, endpoint. */
struct source *source_new(struct loop *l, struct http *http, struct chain *chain, struct log *log,
                          const struct source_options *options, struct error *e);
void source_free(struct source *s);     /* cancels what runs; NULL is fine */

/* Fetches; done() is called later, exactly once, and may free the source. One at a time. An ENV
 * source with both gives the injected document at the first fetch of AWSCURRENT, and asks Secrets
 * Manager from then on: whoever fetches again has a reason. */
void source_fetch(struct source *s, enum secret_stage stage,
                  void (*done)(void *arg, struct source_answer *answer), void *arg);
/* Calls changed() when a watched file has changed (FILE only). NULL ends that. */
void source_on_change(struct source *s, void (*changed)(void *arg), void *arg);
/* False for environment variables alone: a rotation can't be followed. */
bool source_can_rotate(const struct source *s);
/* What AWS is paid for: requests to Secrets Manager so far. False for those that never ask it. */
bool source_calls(const struct source *s, uint64_t *calls);
/* "secretsmanager eu-west-1 forecaster/database/prod", "file /etc/x", "environment DB_CONFIG". */
const char *source_name(const struct source *s);

/* "" if `name` is forecaster/{database|api-keys|auth}/{environment} for this component, an ARN of
 * such a name, or (for "database") rds!...; else what is wrong with it. */
const char *source_check_name(const char *name, const char *component);

OWN_DEFINE(struct source, source_free)

#endif
