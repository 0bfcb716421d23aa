/* Makes one server connection with libpq, off the loop, and hands it over ready for use: name
 * resolved, TLS enforced and checked again, login done, proven quiet by a Sync of our own, socket
 * (and SSL*) in a stream. The process must ignore SIGPIPE. */
#ifndef PGB_BACKEND_CONNECT_H
#define PGB_BACKEND_CONNECT_H

#include <stdbool.h>
#include <stdint.h>
#include "backend/enforce.h"
#include "backend/refusal.h"
#include "base/log.h"
#include "io/stream.h"
#include "secret/document.h"
#include "track/settings.h"

struct connection {
        struct stream *stream;          /* nothing kept, nothing owed; retarget it in done() */
        struct settings *reported;      /* every ParameterStatus of the login */
        uint32_t pid, key;              /* BackendKeyData; has_key false: the server sent none */
        bool has_key;
        char tls[64];                   /* "TLSv1.3/TLS_AES_256_GCM_SHA384" or "" */
        char address[108];              /* the one used, numeric, or the socket folder */
        unsigned port;
        void *pg;                       /* the PGconn, for connection_close */
        char sslmode[16];               /* what was enforced, for cancel requests */
};

struct connect_options {
        const struct document *document;
        struct enforce_options tls;
        unsigned timeout_ms;            /* for all of it; 0: no limit */
        const char *application_name;   /* "pgbroker" */
};

struct connect;

/* All of `options` is copied. done() is called later, exactly once: with a connection that the
 * callee owns, or NULL and why (kinds of failure: refusal.h). The addresses of the host are tried
 * in turn while they can't be reached or their server is starting; any other answer ends it. */
struct connect *connect_start(struct loop *l, const struct connect_options *options,
                              void (*done)(void *arg, struct connection *c,
                                           enum connect_failure failure, const struct error *e),
                              void *arg);
/* No call after this. What runs on a thread ends on its own and is thrown away. NULL is fine, and
 * so is a call within done(). */
void connect_cancel(struct connect *c);

/* Says good-bye and closes, never blocking (stream, SSL, PGconn). NULL is fine. */
void connection_close(struct connection *c);

/* Unsets every PG* variable: for main, before there are threads. libpq takes from there what it was
 * given no value for, and can't be told "no value". */
void connect_neutralise_environment(void);

#endif
