/* Leave to pin: how many clients of a pool may hold a server beyond their transaction, who does,
 * and who waits for leave. Never all servers can be pinned, so that the others go on: but where there is
 * only one, since what pins (a temporary table, LISTEN) could else not be used at all. */
#ifndef PGB_BACKEND_PINNING_H
#define PGB_BACKEND_PINNING_H

#include "backend/options.h"
#include "backend/wait.h"
#include "track/pins.h"

/* A client that is pinned, or asks for leave. */
struct pool_pin {
        struct list link;
        uint64_t since;                 /* loop ms */
        const struct pins *pins;
        const struct pool_wait *wait;   /* the same client's */
        struct server *const *server;   /* the same client's; NULL in it: none yet */
        pid_t pid;
        uid_t uid;
        bool held;
        bool told;                      /* drain() was called */
        void (*drain)(void *client);    /* the pin must end */
        void *client;
};

struct pinning {
        struct list held;
        unsigned count;
        struct wait_line waiting;
};

void pinning_init(struct pinning *p);
/* How many may be pinned: three quarters unless said otherwise, never all but where there is only
 * one. In session mode a client has its server anyway: any number. */
unsigned pinning_most(const struct pool_options *o);
/* Grants leave if one is free. */
bool pinning_take(struct pinning *p, const struct pool_options *o, struct pool_pin *pin, uint64_t now);
/* The same without asking; fine if held already. */
void pinning_hold(struct pinning *p, struct pool_pin *pin, uint64_t now);
void pinning_drop(struct pinning *p, struct pool_pin *pin);     /* fine if not held */
/* Takes leave back from one that has it but waits, in this line, for its server. False: no such. */
bool pinning_reclaim(struct pinning *p, const struct wait_line *for_server);
/* "pid 12 (uid 1000) LISTEN for 31 s, ..." of the first few; returns text. */
const char *pinning_holders(const struct pinning *p, uint64_t now, char *text, size_t size);

#endif
