/* A login at one of the hosts of a secret: they are tried in turn until one can be had and is what
 * target_session_attrs asks for. Each is a connect of its own, libpq never hears of more than one. */
#ifndef PGB_BACKEND_DIAL_H
#define PGB_BACKEND_DIAL_H

#include "backend/connect.h"

struct dial_options {
        struct connect_options connect; /* host is chosen here; timeout_ms is for all of them, and an
                                           equal part of what is left of it for each */
        unsigned first;                 /* the host to begin with, whatever the number */
};

struct dial;

/* The connection (the callee's) and which host it leads to; or NULL and why, which names each host if
 * there are several: one that refuses the credentials is the last to be asked, since another would
 * refuse them as well. */
typedef void dial_done(void *arg, struct connection *c, unsigned host, enum connect_failure failure,
                       const struct error *e);

/* All of `options` is copied but the document, which stays until done() or dial_cancel(). done() is
 * called later, exactly once. With prefer-standby all are asked for a standby, then for any. */
struct dial *dial_start(struct loop *l, const struct dial_options *options, dial_done *done, void *arg);
void dial_cancel(struct dial *d);       /* no call after this; NULL is fine */

#endif
