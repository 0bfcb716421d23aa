/* One CancelRequest to the server of a connection, over a connection of its own: to the same address,
 * and, where that connection has TLS, over TLS with the same verification, never in plain text.
 * Over when the server has closed it: by then PostgreSQL has signalled the session, and nothing that
 * is sent later can be hit. libpq's PQcancel blocks, and knows plain text only. */
#ifndef PGB_BACKEND_CANCEL_H
#define PGB_BACKEND_CANCEL_H

#include "backend/connection.h"
#include "base/error.h"
#include "io/loop.h"

struct cancel_options {
        const struct connection *connection;    /* one with a key */
        const char *host, *root_cert;           /* as its login had them; "" = none */
        unsigned timeout_ms;                    /* for all of it */
};

enum cancel_outcome {
        CANCEL_DELIVERED,               /* the server has closed the connection */
        CANCEL_NOT_SENT,                /* nothing can come of it */
        CANCEL_DOUBTFUL                 /* sent, but the server did not close: it may act on it at
                                           any time, don't lend its session to anybody else */
};

struct cancel;

/* `e` says why, unless it was delivered. */
typedef void cancel_done(void *arg, enum cancel_outcome outcome, const struct error *e);

/* All of `options` is copied. done() is called later, exactly once; the struct is gone then. */
struct cancel *cancel_start(struct loop *l, const struct cancel_options *options, cancel_done *done,
                            void *arg);
/* No call after this; the request is not sent if it hasn't been. NULL is fine. */
void cancel_abandon(struct cancel *c);

#endif
