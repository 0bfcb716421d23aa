/* --check: fetches each secret and logs in once per environment, with a line for each finding:
 * "ok|warn|fail ENVIRONMENT WHAT: text". */
#ifndef PGB_OPS_CHECK_H
#define PGB_OPS_CHECK_H

#include <stdio.h>
#include "io/http.h"
#include "ops/config.h"
#include "secret/chain.h"

struct check;

/* done(ok) is called later, once. Findings go to `to` as they come. */
struct check *check_start(struct loop *l, struct http *http, struct chain *chain, struct log *log,
                          const struct config *config, FILE *to, void (*done)(void *arg, bool ok),
                          void *arg);
void check_free(struct check *c);       /* NULL is fine */

#endif
