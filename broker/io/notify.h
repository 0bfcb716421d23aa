/* What a service manager is told, by sd_notify(3)'s protocol: one datagram to the socket that it names
 * in NOTIFY_SOCKET. That is all there is to it, so it is spoken here, without libsystemd. */
#ifndef PGB_IO_NOTIFY_H
#define PGB_IO_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
        int fd;                         /* -1: nobody wants to hear */
        uint64_t watchdog_ms;           /* a sign of life is due so often; 0 = never */
};

/* Reads NOTIFY_SOCKET (a path, or '@' and an abstract name), WATCHDOG_USEC and WATCHDOG_PID, and takes
 * them out of the environment: no program that is run shall speak for the broker. Before any thread. */
struct notify notify_open(void);
void notify_close(struct notify *n);
/* Assignments with newlines between: "READY=1\nSTATUS=...". Never waits; false if it could not go out,
 * true if nobody wants to hear. */
bool notify_send(const struct notify *n, const char *assignments);

#endif
