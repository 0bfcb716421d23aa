/* What drivers say of their own accord, before or between an admin's commands: settings,
 * transactions, a probe of the connection. It is answered as PostgreSQL would, and nothing comes of
 * it. */
#ifndef PGB_OPS_COMMAND_DRIVER_H
#define PGB_OPS_COMMAND_DRIVER_H

#include "ops/command.h"

/* True if it is such a statement. */
bool command_driver(const struct command_words *w, struct command *out);

/* The parameters that SHOW knows, with their values; `reported`: the client is told at login, too.
 */
struct command_parameter {
        const char *name, *value;
        bool reported;
};
const struct command_parameter *command_parameters(size_t *count);

#endif
