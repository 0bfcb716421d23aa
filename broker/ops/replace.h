/* pgbrokerd --replace, as the new broker sees it: a rehearsal first (every environment's secret, and a
 * login with it), then it asks the broker on the socket for its place. Nobody listens there: then there is
 * nobody to replace. */
#ifndef PGB_OPS_REPLACE_H
#define PGB_OPS_REPLACE_H

#include "base/log.h"
#include "frontend/sessions.h"
#include "io/listen.h"
#include "io/loop.h"
#include "ops/elders.h"

struct replace_events {
        /* The listener is here (taken), nobody accepts: be ready to. False and `e` if it is of no use. */
        bool (*offered)(void *arg, const struct listen_given *given, struct error *e);
        void (*succeeded)(void *arg);   /* we are the broker; the one before is among the elders */
        void (*nobody)(void *arg);      /* there is none to replace */
        void (*failed)(void *arg, const struct error *e);       /* the other goes on */
};

struct replace_options {
        const char *directory;
        unsigned port;
        uint64_t patience_ms;           /* for the rehearsal, and then for the other's place */
};

struct replace;

/* One of succeeded(), nobody() and failed() is called later, once; then free it. */
struct replace *replace_start(struct loop *l, struct log *log, const struct sessions *ss,
                              struct elders *elders, const struct replace_options *o,
                              const struct replace_events *events, void *arg);
void replace_free(struct replace *r);   /* NULL is fine */

#endif
