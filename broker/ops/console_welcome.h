/* What a client of the console is told at login: that it may take us for a PostgreSQL. */
#ifndef PGB_OPS_CONSOLE_WELCOME_H
#define PGB_OPS_CONSOLE_WELCOME_H

#include "frontend/greet.h"

/* Appends all up to the first ReadyForQuery. The parameters that were told; the caller's. */
/* Does the client ask for columns of older PgBouncers? */
bool console_wants_former(const struct greet *greet);
struct settings *console_welcome(const struct greet *greet, struct bytes *out);

#endif
