/* Turns peers away with words: who may not come in, or finds no place, gets a FATAL and is let go
 * without taking a client slot. The words go out when the peer has said something (closing a unix
 * socket with unread bytes would take them back), and for a short time only. */
#ifndef PGB_FRONTEND_DOORMAN_H
#define PGB_FRONTEND_DOORMAN_H

#include "base/error.h"
#include "base/list.h"
#include "io/loop.h"

struct doorman {
        struct loop *loop;
        struct list leaving;
        unsigned count;
};

void doorman_init(struct doorman *d, struct loop *l);
void doorman_free(struct doorman *d);
/* Takes the descriptor. */
void doorman_refuse(struct doorman *d, int fd, const struct error *e);

#endif
