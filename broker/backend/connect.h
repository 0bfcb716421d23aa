/* Makes one server connection with libpq, off the loop, and hands it over ready for use: name
 * resolved, TLS enforced and checked again, login done, proven quiet by a Sync of our own, socket
 * (and SSL*) in a stream. */
#ifndef PGB_BACKEND_CONNECT_H
#define PGB_BACKEND_CONNECT_H

#include <stdbool.h>
#include <stdint.h>
#include "backend/enforce.h"
#include "base/log.h"
#include "io/stream.h"
#include "secret/document.h"
#include "track/settings.h"

struct connection {
        struct stream *stream;          /* nothing kept, nothing owed; retarget it */
        struct settings *reported;      /* every ParameterStatus of the login */
        uint32_t pid, key;              /* BackendKeyData; has_key false: the server sent none */
        bool has_key;
        char tls[64];                   /* "TLSv1.3/TLS_AES_256_GCM_SHA384" or "" */
        char address[64];               /* the one used, numeric, or the socket folder */
        unsigned port;
        void *pg;                       /* the PGconn, for connection_close */
        char sslmode[16];               /* what was enforced, for cancel requests */
};

enum connect_failure {
        CONNECT_REFUSED,                /* 28P01, or libpq's own word for it (no password, SCRAM signature) */
        CONNECT_DENIED,                 /* 28000 */
        CONNECT_SERVER,                 /* another SQLSTATE: 3D000, 53300, 57P03, ... (in error.sqlstate) */
        CONNECT_TLS,                    /* handshake, certificate, no TLS though required, policy */
        CONNECT_NETWORK,                /* resolve, refused, reset, garbage */
        CONNECT_TIMEOUT
};
const char *connect_failure_name(enum connect_failure f);

struct connect_options {
        const struct document *document;        /* copied or referenced until done: see connect_start */
        struct enforce_options tls;
        unsigned timeout_ms;                    /* for all of it */
        const char *application_name;           /* "pgbroker" */
};

struct connect;

/* `options->document` must live until done() (the caller holds its credential). done() is called
 * later, exactly once: with a connection that the callee owns, or NULL and why. All addresses of
 * the host are tried in turn; the last failure counts, but refused credentials end it at once. */
struct connect *connect_start(struct loop *l, const struct connect_options *options,
                              void (*done)(void *arg, struct connection *c,
                                           enum connect_failure failure, const struct error *e),
                              void *arg);
/* No call after this. What runs on a thread ends on its own and is thrown away. NULL is fine. */
void connect_cancel(struct connect *c);

/* Says good-bye and closes, never blocking (stream, SSL, PGconn). NULL is fine. */
void connection_close(struct connection *c);

#endif
