/* The admin console, the wire side: a database of the name pgbroker for any driver, in the simple
 * and in the extended protocol. What can be said to it is in command.h, what it shows in
 * snapshot.h. */
#ifndef PGB_OPS_CONSOLE_H
#define PGB_OPS_CONSOLE_H

#include "base/error.h"
#include "base/log.h"
#include "frontend/greet.h"
#include "frontend/sessions.h"
#include "io/listen.h"
#include "io/loop.h"
#include "io/stream.h"
#include "ops/config.h"
#include "ops/elders.h"

enum console_shutdown {
        SHUTDOWN_NOW,
        SHUTDOWN_WAIT_FOR_SERVERS, /* clients go when they have no server */
        SHUTDOWN_WAIT_FOR_CLIENTS  /* nobody new, the ones there stay as long as they like */
};

/* What the console sees, and whom it asks. */
struct console_world {
        struct loop *loop;
        struct log *log;
        struct sessions *sessions;
        const struct config *(*config)(void *arg); /* the one that holds at the moment */
        /* `done` is called later, or from within if there is no hope. */
        void (*reload)(void *arg, void (*done)(void *done_arg, const struct error *e_or_null),
                       void *done_arg);
        /* Likewise; see config_set(). */
        void (*set)(void *arg, const char *key, const char *value,
                    void (*done)(void *done_arg, const struct error *e_or_null), void *done_arg);
        void (*shutdown)(void *arg, enum console_shutdown how);
        const struct elders *elders;
        void *arg;
        int64_t started; /* seconds since 1970 */
};

struct console;
struct console *console_new(const struct console_world *w); /* a copy of it is kept */
/* Ends every connection to the console. */
void console_free(struct console *c);
/* The same with this reason; the console goes on. */
void console_send_away(struct console *c, const struct error *e);

/* A client that may be here, up to its welcome: the stream is taken, `greet` is read during the
 * call. */
void console_serve(struct console *c, struct stream *stream, const struct listen_peer *peer,
                   const struct greet *greet);

#endif
