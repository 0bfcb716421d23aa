/* The broker's place: the socket that clients find it at. It is bound, or given by the service manager, or
 * taken from the broker that has it (pgbrokerd --replace) without a moment in which connecting fails; and
 * another may take it from here. A broker that was replaced lingers for the clients it has. */
#ifndef PGB_OPS_PLACE_H
#define PGB_OPS_PLACE_H

#include "base/log.h"
#include "frontend/sessions.h"
#include "io/listen.h"
#include "io/loop.h"
#include "ops/config.h"
#include "ops/elders.h"
#include "ops/life.h"
#include "ops/replace.h"
#include "ops/successor.h"

struct place_world {
        struct loop *loop;
        struct log *log;
        struct sessions *sessions;
        struct life *life;
        const struct config *(*config)(void *arg);      /* the one that holds at the moment */
        void (*replaced)(void *arg);                    /* from here on it lingers */
        void (*drain)(void *arg);                       /* clients go when nothing of theirs is open */
        void (*end)(void *arg);                         /* now */
        void (*failed)(void *arg, const struct error *e);       /* it can't get a place */
        void *arg;
};

struct place {
        struct place_world world;
        struct listener *listener;      /* NULL: not yet, or not any more */
        struct replace *replace;        /* the other is the broker still */
        struct successor *successor;    /* who takes our place, or has it */
        struct elders elders;           /* who had it before */
        bool lingering;
        struct deadline linger;         /* they had their time */
};

void place_init(struct place *p, const struct place_world *w);
/* Stops listening; if it lingers, or another is still the broker, the socket stays where it is. */
void place_free(struct place *p);

/* Binds the socket, or serves at the one that was inherited (-1: none). */
bool place_start(struct place *p, int inherited, struct error *e);
/* In the place of the broker that has it, when every environment has had a login; failed() if not. */
void place_take(struct place *p);
/* No new clients. */
void place_leave(struct place *p);
/* Ends those that were replaced, too. */
void place_end_elders(struct place *p, bool at_once);

#endif
