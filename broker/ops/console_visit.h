/* One connection to the console: reads messages, answers in the order of asking. A command that
 * takes its time holds up what comes behind it; so does a client that does not read its answers. */
#ifndef PGB_OPS_CONSOLE_VISIT_H
#define PGB_OPS_CONSOLE_VISIT_H

#include "ops/console_order.h"
#include "ops/console_portal.h"
#include "wire/frame.h"

#define VISIT_MESSAGE 16384 /* the longest message of a client */

#define VISIT_STATES(X)                                                                            \
        X(READING)                                                                                 \
        X(ORDERED) /* its command is under way */                                                  \
        X(FULL)    /* it must read first what it asked for */                                      \
        X(ENDED)

enum visit_state {
#define X(name) VISIT_##name,
        VISIT_STATES(X)
#undef X
        VISIT_STATE_COUNT
};

/* What a connection asks of the console. */
struct visit_keeper {
        void (*shutdown)(void *arg, enum console_shutdown how); /* later, not while being called */
        void (*ended)(void *arg);
};

struct visit {
        struct list link;
        const struct console_world *world;
        const struct visit_keeper *keeper;
        void *keeper_arg;
        struct stream *stream;
        enum visit_state state;
        struct frame_cutter cutter;
        struct bytes out; /* what this event has been answered with so far */
        struct settings *told;
        struct portals portals;
        struct order order;
        const char *tag;              /* of the order under way */
        char *script;                 /* of a simple Query under way, else NULL */
        struct command_reader reader; /* in it */
        bool answered;                /* anything of it was */
        bool skipping;                /* after an error, up to Sync */
        char transaction;             /* for ReadyForQuery: 'I', or 'T' after BEGIN */
        unsigned rights;              /* bits of enum command_right */
        enum command_kind leaving;    /* a SHUTDOWN that was said, COMMAND_NOTED: none */
        struct deadline again;        /* FULL: see whether the socket took it all at once */
        struct deferred burial;
        pid_t pid;
        uid_t uid;
};

struct visit *visit_new(const struct console_world *world, const struct visit_keeper *keeper,
                        void *arg, struct stream *stream, const struct listen_peer *peer,
                        const struct greet *greet);
/* With a FATAL for the client if `e` is given. */
void visit_end(struct visit *v, const struct error *e);

#endif
