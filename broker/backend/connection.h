/* A server connection that libpq has made and the broker uses itself: taken over from a PGconn,
 * which stays until the end, since socket and SSL* are its own. */
#ifndef PGB_BACKEND_CONNECTION_H
#define PGB_BACKEND_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include "backend/greeting.h"
#include "base/error.h"
#include "io/stream.h"
#include "track/settings.h"

struct connection {
        struct stream *stream;          /* nothing kept, nothing owed; retarget it in done() */
        struct settings *reported;      /* every ParameterStatus of the login */
        uint32_t pid, key;              /* BackendKeyData; has_key false: the server sent none */
        bool has_key;
        char tls[64];                   /* "TLSv1.3/TLS_AES_256_GCM_SHA384" or "" */
        char *host;                     /* as it was given */
        char address[108];              /* the one used, numeric, or the socket folder */
        unsigned port;
        void *pg;                       /* the PGconn, for connection_close */
        char sslmode[16];               /* what was enforced, for cancel requests */
};

/* Checks TLS on the live connection (`sslmode` as libpq had it, other than "disable": it must be
 * there), then takes `pg` and makes its stream. NULL and `e` if it is not as demanded; `pg` is the
 * caller's then. *tls_to_blame tells that kind of failure from others. host, address and port
 * are left to the caller. */
struct connection *connection_adopt(struct loop *l, void *pg, const struct greeting *g,
                                    const char *sslmode, bool *tls_to_blame, struct error *e);

/* Wipes libpq's copy of the password: it has no more use for it, but would keep it as long as the
 * connection lives, and not wipe it then. NULL is fine. */
void connection_forget_password(void *pg);

/* Says good-bye and closes, never blocking (stream, SSL, PGconn). NULL is fine. */
void connection_close(struct connection *c);

#endif
