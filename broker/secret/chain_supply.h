/* Of chain: the providers of one way to credentials that the files describe. Keys need none; a role
 * has one, and its source maybe another. */
#ifndef PGB_SECRET_CHAIN_SUPPLY_H
#define PGB_SECRET_CHAIN_SUPPLY_H

#include "io/http.h"
#include "io/loop.h"
#include "secret/lease.h"
#include "secret/process.h"
#include "secret/role.h"
#include "secret/shared.h"

struct chain_supply {
        struct process *process;
        struct role *role;
};

void chain_supply_set(struct chain_supply *s, struct loop *l, struct http *http,
                      const struct shared_way *way, const struct role_owner *owner,
                      const struct lease_user *user);
void chain_supply_clear(struct chain_supply *s);
/* For all offers but NOTHING. The keys are the way's own. */
enum lease_state chain_supply_look(struct chain_supply *s, const struct shared_way *way,
                                   struct aws_credentials *out, struct error *e);
void chain_supply_forget(struct chain_supply *s);
void chain_supply_source_settled(struct chain_supply *s);

#endif
