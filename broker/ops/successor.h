/* The process that takes this broker's place (pgbrokerd --replace), as the broker that is replaced sees
 * it: from its request to the end of one of the two. */
#ifndef PGB_OPS_SUCCESSOR_H
#define PGB_OPS_SUCCESSOR_H

#include "base/log.h"
#include "frontend/sessions.h"
#include "io/listen.h"
#include "io/loop.h"
#include "ops/handover.h"

struct successor_events {
        /* Lends the listener; false and the reason if that can't be. */
        bool (*lend)(void *arg, struct listen_given *out, enum handover_refusal *why);
        /* It did not come to it: the listener is ours as before. The successor is over. */
        void (*stay)(void *arg);
        /* It is the broker now. */
        void (*succeeded)(void *arg, pid_t pid);
        /* It is told to end, and so are we. */
        void (*end)(void *arg, bool at_once);
        /* It has ended; or somebody who asked and was refused has. The successor is over. */
        void (*gone)(void *arg);
};

struct successor;

/* Somebody asks; takes the descriptor. Who may not is refused and never becomes one: NULL. */
struct successor *successor_new(struct loop *l, struct log *log, struct sessions *ss, int fd, pid_t pid,
                                uid_t uid, const struct successor_events *events, void *arg);
void successor_free(struct successor *s);       /* NULL is fine */
/* For elders_hand_on(). */
int successor_fd(const struct successor *s);

#endif
