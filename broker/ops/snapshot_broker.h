/* SHOW LISTS, CONFIG, STATE, MEM and VERSION: the broker as a whole. */
#ifndef PGB_OPS_SNAPSHOT_BROKER_H
#define PGB_OPS_SNAPSHOT_BROKER_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_lists, snapshot_config, snapshot_state, snapshot_memory,
        snapshot_version, snapshot_predecessors;

#endif
