/* Brokers that this one has replaced (pgbrokerd --replace), directly or by way of others, and that go on
 * for the clients they have: how many those are, cancel requests for them, and their end. */
#ifndef PGB_OPS_ELDERS_H
#define PGB_OPS_ELDERS_H

#include <sys/types.h>
#include "base/list.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/watch.h"

struct elder {
        struct list link;
        struct elders *all;
        int fd;                         /* the connection to it: ops/handover.h */
        struct watch *watch;
        pid_t pid;
        unsigned clients;               /* by its last word */
        uint64_t since;                 /* loop ms: when it was replaced */
};

struct elders {
        struct loop *loop;
        struct log *log;
        struct list list;               /* the one replaced last comes first */
};

void elders_init(struct elders *es, struct loop *l, struct log *log);
/* Forgets them; they go on. */
void elders_free(struct elders *es);
/* Takes the descriptor. */
void elders_add(struct elders *es, int fd, pid_t pid, unsigned clients, uint64_t age_ms);
/* To all of them: only one has such a client. */
void elders_cancel(struct elders *es, int fd, uint32_t pid, const uint8_t *key, size_t size);
void elders_end(struct elders *es, bool at_once);
/* To whoever takes this broker's place; they are forgotten here. */
void elders_hand_on(struct elders *es, int to);

#endif
