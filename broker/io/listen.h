/* The unix socket that clients connect to, and who they are by the kernel's word. */
#ifndef PGB_IO_LISTEN_H
#define PGB_IO_LISTEN_H

#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"
#include "io/loop.h"

struct listen_peer {
        pid_t pid;
        uid_t uid;
        gid_t gid;
        gid_t *groups;                  /* SO_PEERGROUPS; valid during the call */
        size_t group_count;
};

struct listen_options {
        const char *directory;          /* the socket is directory/.s.PGSQL.port */
        unsigned port;
        mode_t mode;
        const char *group;              /* "" = leave */
        int backlog;
        /* May be NULL. Once when accepting fails, with errno (EMFILE, ENFILE, ...), and once with 0 when
         * all who waited have been accepted after that. */
        void (*trouble)(void *arg, int why);
};

struct listener;

/* Binds and listens. The socket can't be connected to before its mode is set. A stale socket file
 * is replaced; one that a living process holds (a lock file beside it: .s.PGSQL.port.lock, flock)
 * is refused. Errors name the path, the cause and the remedy (too long a path: its length and the
 * limit; a folder that is missing or not writable; ...).
 * accepted() takes the descriptor (non-blocking, close-on-exec). When descriptors run out (EMFILE,
 * ENFILE) accepting pauses and goes on after 100 ms. At most 64 are accepted in one turn. */
struct listener *listen_unix(struct loop *l, const struct listen_options *options,
                             void (*accepted)(void *arg, int fd, const struct listen_peer *peer),
                             void *arg, struct error *e);
/* Stops listening, removes socket and lock file. NULL is fine. */
void listen_free(struct listener *l);

#endif
