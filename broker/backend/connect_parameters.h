/* What libpq is told of a connection. */
#ifndef PGB_BACKEND_CONNECT_PARAMETERS_H
#define PGB_BACKEND_CONNECT_PARAMETERS_H

#include "backend/options.h"
#include "base/sealed.h"

/* What the server is told of the session that begins; each may be NULL or empty. */
struct connect_session {
        const char *application_name;
        const char *options;            /* command-line switches: "-c name=value ..." */
        const char *replication;        /* "true", "database": a walsender is asked for */
};

void connect_session_copy(struct connect_session *to, const struct connect_session *from);
void connect_session_free(struct connect_session *s);           /* of a copy */

struct connect_parameters {
        const char *host, *hostaddr;    /* hostaddr NULL: a unix socket */
        unsigned port;
        const char *user, *database;
        const struct connect_session *session;
        const struct sealed *password;
        const char *sslmode, *root_cert, *channel_binding;
        const struct tcp_options *tcp;
};

/* Begins one with PQconnectStartParams: the PGconn. */
void *connect_begin(const struct connect_parameters *p);

#endif
