/* SHOW POOLS, DATABASES and USERS. */
#ifndef PGB_OPS_SNAPSHOT_POOLS_H
#define PGB_OPS_SNAPSHOT_POOLS_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_pools, snapshot_databases, snapshot_users;

/* The name that new server connections log in with; "" while there is none. */
const char *snapshot_login(const struct pool *p);
/* Clients that wait for a server or for leave to pin. */
unsigned snapshot_waiting(const struct pool *p);

#endif
