/* SHOW CLIENTS, SERVERS and PINS: one row for each connection. */
#ifndef PGB_OPS_SNAPSHOT_CLIENTS_H
#define PGB_OPS_SNAPSHOT_CLIENTS_H

#include "ops/snapshot.h"

extern const struct snapshot snapshot_clients, snapshot_servers, snapshot_pins;

#endif
