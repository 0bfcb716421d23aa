/* What the service manager (systemd) hears of the broker: that it is up, how it is, that it lives.
 *
 * It is up when a first login has gone well, in whichever environment. It listens before that: clients that
 * come before there are credentials wait, or are told why (57P03). So that a unit is not started over and
 * over while Secrets Manager is away, it asks for more time (EXTEND_TIMEOUT_USEC) until then. STATUS= says
 * which environments have credentials. Signs of life come from the loop itself: if that is stuck,
 * they stop. */
#ifndef PGB_OPS_LIFE_H
#define PGB_OPS_LIFE_H

#include "base/log.h"
#include "frontend/sessions.h"
#include "io/loop.h"
#include "io/notify.h"

struct life {
        struct notify notify;
        struct loop *loop;
        const struct sessions *sessions;
        struct deadline beat;
        uint64_t alive_at;              /* loop ms: when to say so next */
        bool up;                        /* a first login has gone well */
        bool ready_due;                 /* to be told as soon as it is up, or can be told */
        char status[256];               /* the last one told */
};

/* Takes the notify. */
void life_init(struct life *v, struct notify n, struct loop *l, const struct sessions *ss);
void life_free(struct life *v);
void life_ready(struct life *v);        /* it listens; also: a reload is over, well or not */
void life_reloading(struct life *v);
void life_stopping(struct life *v);
/* That process has our place. It is the service now if it runs in the same one (a service is a control
 * group); else it has a service of its own, and ours ends with us. */
void life_passed_on(struct life *v, pid_t pid);

#endif
