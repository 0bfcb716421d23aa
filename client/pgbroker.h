/* libpgbroker: opens libpq connections through pgbroker's unix socket, and says what is wrong, and
 * what to do about it, when that fails. It is a convenience: any PostgreSQL driver can connect to
 * the socket without it.
 *
 *      struct pgbroker_error e;
 *      PGconn *conn = pgbroker_connect("prod", NULL, &e);
 *      if (!conn)
 *              fprintf(stderr, "%s\n%s\n", e.message, e.hint);
 *
 * Link with -lpgbroker -lpq. No state is kept between calls: any thread may call at any time. */
#ifndef PGBROKER_H
#define PGBROKER_H

#include <stdbool.h>
#include <libpq-fe.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PGBROKER_DEFAULT_DIRECTORY "/run/pgbroker"
#define PGBROKER_DEFAULT_PORT      5432

/* Where the broker is, and how to connect. Zeroed, or NULL in its place: all defaults. The texts
 * stay the caller's. */
struct pgbroker_options {
        const char *directory;          /* of the socket, absolute; NULL: the variable
                                           PGBROKER_DIRECTORY, else /run/pgbroker */
        unsigned port;                  /* the number in the socket's name; 0: 5432 */
        const char *application_name;   /* for SHOW CLIENTS and the server; NULL: libpq's */
        int timeout_ms;                 /* for pgbroker_connect(); 0: as long as the broker lets it
                                           wait. In a rotation that may be its bridge_timeout. */
};

enum pgbroker_failure {
        PGBROKER_NONE,
        PGBROKER_BAD_ARGUMENT,          /* a directory, port or environment that cannot be */
        PGBROKER_NO_BROKER,             /* nobody listens there */
        PGBROKER_NO_PERMISSION,         /* the socket, or a folder above it, is closed to us */
        PGBROKER_NOT_ALLOWED,           /* 28000: on no list of the environment's `access` */
        PGBROKER_NO_ENVIRONMENT,        /* 3D000: the broker has none of this name */
        PGBROKER_TOO_MANY,              /* 53300, 53400: beyond a limit; may try again */
        PGBROKER_NOT_NOW,               /* 57P03, 57P01: starting or shutting down; may try again */
        PGBROKER_NO_SERVER,             /* 08001: server unreachable, or credentials refused */
        PGBROKER_TIMEOUT,               /* timeout_ms is over */
        PGBROKER_OTHER                  /* see message */
};

struct pgbroker_error {
        enum pgbroker_failure failure;
        char sqlstate[6];               /* as the broker sent it; "" if it sent none */
        char message[1024];             /* what happened: one line, without a newline */
        char hint[512];                 /* what to do about it, likewise; may be "" */
};

/* The path of the socket. Like snprintf(): the length it has, which must be less than `size`. A
 * path above 107 bytes cannot be connected to. */
int pgbroker_socket_path(const struct pgbroker_options *options, char *path, size_t size);

/* The connection string for an environment (or an alias of one), for PQconnectdb() and whatever
 * takes libpq's keywords. It sets aside those PG... variables that would lead elsewhere or ask the
 * socket for TLS. The caller frees it with free(). NULL and *e on failure; e may be NULL. */
char *pgbroker_conninfo(const char *environment, const struct pgbroker_options *options,
                        struct pgbroker_error *e);

/* A connection that is ready for queries, in blocking mode; the caller ends it with PQfinish().
 * NULL and *e on failure; e may be NULL. */
PGconn *pgbroker_connect(const char *environment, const struct pgbroker_options *options,
                         struct pgbroker_error *e);

#ifdef __cplusplus
}
#endif

#endif
