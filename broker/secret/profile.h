/* One of AWS's shared files (~/.aws/credentials, ~/.aws/config), parsed. Source: AWS SDKs and Tools
 * Reference Guide, "Shared config and credentials files". Pure; wiped when freed. */
#ifndef PGB_SECRET_PROFILE_H
#define PGB_SECRET_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/own.h"

struct profile;

/* NULL and `e` with the line number (never the line) for what can't be read. */
struct profile *profile_parse(const char *text, size_t size, struct error *e);
void profile_free(struct profile *p);   /* NULL is fine */

/* Is there a section [name], or [kind name] if kind isn't ""? */
bool profile_has(const struct profile *p, const char *kind, const char *name);
/* The value of `key` in that section; NULL if not set or empty. With `outer`, of the indented line
 * under it: services sections have those. Keys are the same in any case; the last one holds. */
const char *profile_get(const struct profile *p, const char *kind, const char *name,
                        const char *outer, const char *key);

OWN_DEFINE(struct profile, profile_free)

#endif
