/* Names of users and groups to ids, for access lists: once, when the configuration is loaded. */
#ifndef PGB_OPS_ACCOUNT_H
#define PGB_OPS_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "frontend/access.h"
#include "ops/sheet.h"

/* A name, or the id itself in digits. *why: an errno where the lookup failed, 0 where there is no
 * such user or group. */
bool account_user(const char *name, uid_t *uid, int *why);
bool account_group(const char *name, gid_t *gid, int *why);

/* Adds what the sheet's lists `block`.users and `block`.groups name. False and `e`: an unknown
 * name, or one that can never match. */
bool account_list(const struct sheet *s, const char *block, const struct access_self *self,
                  struct access_list *out, struct error *e);

#endif
