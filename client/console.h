/* The broker's console: dbname=pgbroker on its socket. */
#ifndef PGBROKER_CONSOLE_H
#define PGBROKER_CONSOLE_H

#include <libpq-fe.h>
#include "pgbroker.h"

/* As pgbroker_connect(). */
PGconn *console_open(const struct pgbroker_options *options, struct pgbroker_error *e);

/* One command. NULL and *e if the console refuses it, is lost, or has not answered within
 * timeout_ms (0: waits as long as it takes); else rows, or only a tag. The caller clears them. */
PGresult *console_ask(PGconn *conn, const char *command, int timeout_ms, struct pgbroker_error *e);

#endif
