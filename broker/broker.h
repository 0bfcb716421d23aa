/* The attic: builds the rooms, joins them, takes them down in reverse. */
#ifndef PGB_BROKER_H
#define PGB_BROKER_H

#include "ops/arguments.h"
#include "ops/config.h"

/* Runs the broker until it is told to end; the exit code. Takes the configuration. */
int broker_run(struct config *config, const struct arguments *arguments);
/* --check. */
int broker_check(struct config *config);

#endif
