/* Carries out the commands that change something; some take a while. */
#ifndef PGB_OPS_CONSOLE_ORDER_H
#define PGB_OPS_CONSOLE_ORDER_H

#include "base/deadline.h"
#include "ops/command.h"
#include "ops/console.h"

/* One at a time: embedded in its connection. */
struct order {
        const struct console_world *world;
        struct errand *errand; /* of RELOAD and SET */
        struct deadline look;  /* of PAUSE and WAIT_CLOSE: is it so now? */
        enum command_kind kind;
        char argument[COMMAND_ARGUMENT]; /* an environment, "" = all; or a client's number */
        /* Called by the loop, once, if order_start() said ORDER_WAIT. */
        void (*done)(struct order *o, const struct error *e_or_null);
};

enum order_verdict {
        ORDER_DONE,
        ORDER_WAIT,
        ORDER_FAILED /* see the error */
};

void order_init(struct order *o, const struct console_world *world,
                void (*done)(struct order *o, const struct error *e_or_null));
/* Any of those from COMMAND_RELOAD to COMMAND_KILL_CLIENT. */
enum order_verdict order_start(struct order *o, const struct command *c, struct error *e);
/* Nobody waits for it any more: it goes on, done() is not called. */
void order_forget(struct order *o);

#endif
