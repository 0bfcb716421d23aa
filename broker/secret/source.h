/* Where a database secret is read from: Secrets Manager (GetSecretValue), a JSON file, or
 * environment variables. A source fetches one version by staging label and gives its document. */
#ifndef PGB_SECRET_SOURCE_H
#define PGB_SECRET_SOURCE_H

#include <stdbool.h>
#include "base/log.h"
#include "io/http.h"
#include "secret/chain.h"
#include "secret/document.h"

enum secret_stage { STAGE_CURRENT, STAGE_PENDING, STAGE_PREVIOUS };
const char *secret_stage_name(enum secret_stage s);     /* "AWSCURRENT", ... */

enum source_verdict {
        SOURCE_FOUND,
        SOURCE_NONE,            /* no version with that label, or it may not be read: for PENDING and
                                   PREVIOUS that is normal */
        SOURCE_RETRY,           /* throttled, unreachable, 5xx, ...: worth another try, see retry_ms */
        SOURCE_REFUSED          /* denied, no such secret, bad document, ...: only a change elsewhere helps */
};

struct source_answer {
        enum source_verdict verdict;
        struct document *document;      /* FOUND: the callee takes it with TAKE() */
        char version_id[65];            /* FOUND; of file and environment: a digest of the content
                                           that tells nothing of it (keyed hash, random key) */
        char request_id[65];            /* AWS's, or "" */
        unsigned retry_ms;              /* RETRY, REFUSED: not before */
        struct error error;             /* all but FOUND */
};

struct source_options {
        enum { SOURCE_AWS, SOURCE_FILE, SOURCE_ENV } kind;
        const char *environment;        /* for messages */
        const char *secret_name;        /* AWS: name or ARN; ENV with variable: "" or the fall-back */
        const char *secret_region;      /* "" = see region rules */
        const char *region, *endpoint_url;      /* of the `aws` block; "" = the usual AWS rules */
        const char *path;               /* FILE */
        const char *variable;           /* ENV: "" = DB_HOST, DB_PORT, ...; else one JSON document */
        struct document_endpoint endpoint;
};

struct source;

/* Checks all that can be checked without asking anyone: name convention, region, endpoint. */
struct source *source_new(struct loop *l, struct http *http, struct chain *chain, struct log *log,
                          const struct source_options *options, struct error *e);
void source_free(struct source *s);     /* cancels what runs; NULL is fine */

/* Fetches; done() is called later, exactly once. One at a time. */
void source_fetch(struct source *s, enum secret_stage stage,
                  void (*done)(void *arg, struct source_answer *answer), void *arg);
/* Calls changed() when a watched file has changed (FILE only). */
void source_on_change(struct source *s, void (*changed)(void *arg), void *arg);
/* False for environment variables alone: a rotation can't be followed. */
bool source_can_rotate(const struct source *s);
/* "secretsmanager eu-west-1 forecaster/database/prod", "file /etc/x", "environment DB_CONFIG". */
const char *source_name(const struct source *s);

/* "" if `name` is forecaster/{database|api-keys|auth}/{environment} for this component, an ARN of
 * such a name, or rds!...; else what is wrong with it. */
const char *source_check_name(const char *name, const char *component);

#endif
