/* SHOW WAITS, ERRORS and LATENCY: why is it slow, what fails? */
#ifndef PGB_OPS_SNAPSHOT_WAITS_H
#define PGB_OPS_SNAPSHOT_WAITS_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_waits, snapshot_errors, snapshot_latency;

#endif
