/* SHOW STATS and the three other ways in which PgBouncer shows the same counters. */
#ifndef PGB_OPS_SNAPSHOT_STATS_H
#define PGB_OPS_SNAPSHOT_STATS_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_stats, snapshot_averages, snapshot_totals;
extern const struct snapshot snapshot_totals_of; /* STATS_TOTALS: of each environment */

#endif
