/* Secrets Manager as a source: GetSecretValue, signed, retried within one fetch as far as the kind
 * of error makes that worth while. */
#ifndef PGB_SECRET_SOURCE_AWS_H
#define PGB_SECRET_SOURCE_AWS_H

#include <stdint.h>
#include "base/log.h"
#include "io/http.h"
#include "io/loop.h"
#include "secret/answer.h"
#include "secret/chain.h"
#include "secret/document.h"

struct source_aws;

struct source_aws_options {
        const char *secret_name;        /* a name or ARN that was checked */
        const char *secret_region, *region;     /* of the secret, of the `aws` block; "" = not set */
        const char *endpoint_url;       /* of the `aws` block; "" = the usual AWS rules */
        struct document_endpoint endpoint;
        uint32_t (*dice)(void *arg, uint32_t below);    /* NULL = the kernel's */
        void *dice_arg;
};

/* NULL and `e` when region or endpoint are no good. */
struct source_aws *source_aws_new(struct loop *l, struct http *http, struct chain *chain,
                                  struct log *log, const struct source_aws_options *options,
                                  struct error *e);
void source_aws_free(struct source_aws *s);     /* cancels; NULL is fine */
/* One at a time; done() is called later, exactly once, and may free the source. */
void source_aws_fetch(struct source_aws *s, enum secret_stage stage,
                      void (*done)(void *arg, struct source_answer *answer), void *arg);
const char *source_aws_region(const struct source_aws *s);
uint64_t source_aws_calls(const struct source_aws *s);  /* requests so far, repeated ones included */

OWN_DEFINE(struct source_aws, source_aws_free)

#endif
