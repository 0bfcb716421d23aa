/* Makes one server connection with libpq, off the loop, and hands it over ready for use: name
 * resolved, TLS enforced and checked again, login done, proven quiet by a Sync of our own, socket
 * (and SSL*) in a stream. The process must ignore SIGPIPE. */
#ifndef PGB_BACKEND_CONNECT_H
#define PGB_BACKEND_CONNECT_H

#include "backend/connect_parameters.h"
#include "backend/connection.h"
#include "backend/enforce.h"
#include "backend/options.h"
#include "backend/refusal.h"
#include "backend/target.h"
#include "base/log.h"
#include "secret/document.h"

struct connect_options {
        const struct document *document;
        const struct server_host *host;        /* one of the document's */
        struct enforce_options tls;
        unsigned timeout_ms;            /* for all of it; 0: no limit */
        struct connect_session session;
        struct tcp_options tcp;
        enum target_session_attrs target;      /* PREFER_STANDBY is ANY here */
        void (*unfit)(void *arg, const struct connection *c);   /* this one is not; may be NULL */
};

struct connect;

/* With a connection that the callee owns (`e` is NULL then), or NULL and why: refusal.h. */
typedef void connect_done(void *arg, struct connection *c, enum connect_failure failure,
                          const struct error *e);

/* All of `options` is copied. done() is called later, exactly once. The addresses of the host are
 * tried in turn while they can't be reached, or their server is starting or not what the target asks
 * for; any other answer ends it. */
struct connect *connect_start(struct loop *l, const struct connect_options *options,
                              connect_done *done, void *arg);
/* No call after this. What runs on a thread ends on its own and is thrown away. NULL is fine, and
 * so is a call within done(). */
void connect_cancel(struct connect *c);

/* Unsets every PG* variable: for main, before there are threads. libpq takes from there what it was
 * given no value for, and can't be told "no value". */
void connect_neutralise_environment(void);

#endif
