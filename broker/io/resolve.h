/* Names to addresses, off the loop (getaddrinfo on the thread pool), with an own time limit: an
 * answer that comes later is thrown away. Numeric addresses are answered without a thread. */
#ifndef PGB_IO_RESOLVE_H
#define PGB_IO_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "io/loop.h"

#define RESOLVE_MAX 16

struct resolve_addresses {
        size_t count;
        char text[RESOLVE_MAX][64];     /* numeric: "10.0.0.1", "fe80::1%eth0"; no duplicates */
        bool loopback;                  /* every one is 127/8 or ::1 */
};

struct resolve;

/* done() is called later, exactly once, with addresses (then `e` is NULL) or with `e` set (08001;
 * then `addresses` is NULL). 0 ms: no limit. The struct is gone when done() returns. */
struct resolve *resolve_start(struct loop *l, const char *host, unsigned timeout_ms,
                              void (*done)(void *arg, const struct resolve_addresses *addresses,
                                           const struct error *e),
                              void *arg);
void resolve_cancel(struct resolve *r); /* no call after this; NULL is fine */

#endif
