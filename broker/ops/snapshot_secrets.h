/* SHOW SECRETS and ROTATIONS. */
#ifndef PGB_OPS_SNAPSHOT_SECRETS_H
#define PGB_OPS_SNAPSHOT_SECRETS_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_secrets, snapshot_rotations;

#endif
