/* What libpq is told of a connection. */
#ifndef PGB_BACKEND_CONNECT_PARAMETERS_H
#define PGB_BACKEND_CONNECT_PARAMETERS_H

#include "backend/options.h"
#include "base/sealed.h"

struct connect_parameters {
        const char *host, *hostaddr;    /* hostaddr NULL: a unix socket */
        unsigned port;
        const char *user, *database, *application_name;
        const struct sealed *password;
        const char *sslmode, *root_cert, *channel_binding;
        const struct tcp_options *tcp;
};

/* Begins one with PQconnectStartParams: the PGconn. */
void *connect_begin(const struct connect_parameters *p);

#endif
