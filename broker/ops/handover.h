/* What two brokers say to each other when one takes the other's place (pgbrokerd --replace), over a
 * connection to the socket that clients use. The new one begins with STARTUP_SUCCESSOR_PACKET; then:
 *
 *   old to new   LISTENER       the listener, and the lock file if the broker made the socket itself;
 *                               the old one accepts nobody any more
 *                or REFUSED     why not
 *   new to old   TAKEN          it is at work but for accepting
 *   old to new   GO             from here on the new one is the broker
 *                ELDER...       a connection to one that was replaced earlier and still has clients
 *
 * The connection stays: over it the old one counts its CLIENTS, and is told of CANCEL requests for them,
 * and to END. If it breaks before GO, everything is as it was. */
#ifndef PGB_OPS_HANDOVER_H
#define PGB_OPS_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "io/pass.h"

enum handover_kind {
        HANDOVER_LISTENER = 1,          /* number: the old one's pid; descriptors: listener, lock file */
        HANDOVER_REFUSED,               /* number: enum handover_refusal */
        HANDOVER_TAKEN,
        HANDOVER_GO,
        HANDOVER_ELDER,                 /* numbers: pid, clients, seconds since it was replaced; a descriptor */
        HANDOVER_CLIENTS,               /* number: how many it has */
        HANDOVER_CANCEL,                /* numbers: pid, and the key as the client sent it; its connection */
        HANDOVER_END                    /* number: 1 = at once, 0 = as clients have nothing open */
};

#define HANDOVER_REFUSALS(X)                                                                       \
        X(STRANGER, "it is another user's, and only that user may replace it")           \
        X(BUSY, "another process is taking its place already")                                     \
        X(ENDING, "it is shutting down")                                                           \
        X(ORDERED, "an environment is paused or disabled, which the new one would not be: RESUME or ENABLE it")

enum handover_refusal {
#define X(name, text) HANDOVER_##name,
        HANDOVER_REFUSALS(X)
#undef X
        HANDOVER_REFUSAL_COUNT
};
const char *handover_refusal_text(uint32_t refusal);

#define HANDOVER_KEY 8                  /* bytes of a cancel key: two numbers */

/* As it goes over the connection: both ends are on one host. */
struct handover {
        uint8_t version, kind;
        uint8_t key_size;               /* of a CANCEL; 0: 4, as older brokers say it */
        uint8_t spare;
        uint32_t number[3];
};

bool handover_send(int socket, struct handover h, const int *fds, size_t count);
/* PASS_OVER: also a message of another version. */
enum pass_verdict handover_receive(int socket, struct handover *h, int *fds);
void handover_close(int *fds);          /* those of a message */

#endif
