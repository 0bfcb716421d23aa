/* Turns peers away with words: who may not come in, or finds no place, gets a FATAL and is let go
 * without taking a client slot. The words go out when the peer has said something (closing a unix
 * socket with unread bytes would take them back), and for a short time only.
 * And sees out whose session is over: what they were already sent, they may still read. */
#ifndef PGB_FRONTEND_DOORMAN_H
#define PGB_FRONTEND_DOORMAN_H

#include "base/error.h"
#include "base/list.h"
#include "io/loop.h"

struct doorman {
        struct loop *loop;
        struct list leaving;
        unsigned count, seen_out;       /* those turned away; those whose session is over */
};

void doorman_init(struct doorman *d, struct loop *l);
void doorman_free(struct doorman *d);
/* Takes the descriptor. */
void doorman_refuse(struct doorman *d, int fd, const struct error *e);
struct stream;
/* Takes the stream, and closes it when all that was sent has gone out. */
void doorman_see_out(struct doorman *d, struct stream *s);

#endif
