#include "io/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* 0: no address that we could speak to. */
static socklen_t address_of(const char *name, struct sockaddr_un *a)
{
        size_t n = name ? strlen(name) : 0;
        *a = (struct sockaddr_un){.sun_family = AF_UNIX};
        if ((n && name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof a->sun_path)
                return 0;
        memcpy(a->sun_path, name, n);
        if (name[0] == '@')
                a->sun_path[0] = '\0';
        /* An abstract name is as long as it is, without a NUL. */
        return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
}

static uint64_t watchdog_ms(void)
{
        const char *period = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
        if (!period || (whose && strtol(whose, NULL, 10) != (long) getpid()))
                return 0;
        return strtoull(period, NULL, 10) / 1000;
}

struct notify notify_open(void)
{
        struct notify n = {.fd = -1};
        struct sockaddr_un a;
        socklen_t size = address_of(getenv("NOTIFY_SOCKET"), &a);
        if (size) {
                n.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                n.watchdog_ms = watchdog_ms();
        }
        if (n.fd >= 0 && connect(n.fd, (struct sockaddr *) &a, size) != 0)
                notify_close(&n);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        return n;
}

void notify_close(struct notify *n)
{
        if (n->fd >= 0)
                close(n->fd);
        *n = (struct notify){.fd = -1};
}

bool notify_send(const struct notify *n, const char *assignments)
{
        ssize_t sent;
        if (n->fd < 0)
                return true;
        do {
                sent = send(n->fd, assignments, strlen(assignments), MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        return sent >= 0;
}
