/* What must hold between settings, or between a setting and this machine: all that can be known
 * before anything is opened. */
#ifndef PGB_OPS_RULES_H
#define PGB_OPS_RULES_H

#include <stdbool.h>
#include "base/error.h"
#include "ops/sheet.h"

/* A name or alias of an environment: what a client may give as its database. `what` for the
 * message, e.g. "environment". */
bool rules_name(const char *what, const char *name, struct tree_mark mark, struct error *e);
/* No name and no alias may lead to two environments. */
bool rules_names(struct sheet *const *environments, size_t count, struct error *e);
/* The environment that forecaster/database/ENVIRONMENT, or the ARN of such a name, is for; NULL and
 * `e` if it is neither. The caller frees it. */
char *rules_environment_of(const char *secret_name, struct tree_mark mark, struct error *e);
/* The broker's settings. */
bool rules_broker(const struct sheet *s, struct error *e);
/* One environment's, its `config` already read. */
bool rules_environment(const struct sheet *s, struct error *e);

#endif
