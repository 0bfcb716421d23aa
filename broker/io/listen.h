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

/* A socket that listens already: the service manager's, or that of the broker that this one replaces. */
struct listen_given {
        int fd;
        int lock;                       /* the lock file, open and locked; -1: somebody else made the socket */
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
        /* NULL: bind one. Else this one is used if it is the one at the path (mode, group and backlog are
         * as they are), and nobody is accepted before listen_open(). Takes the descriptors. */
        const struct listen_given *given;
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
/* Stops listening, removes socket and lock file if they are the broker's own. NULL is fine. */
void listen_free(struct listener *l);

/* Clients are accepted; the lock file bears this process's number. */
void listen_open(struct listener *l);
/* For another process: the descriptors (still ours). Who connects waits in the kernel's queue until
 * either of the two says listen_open(). */
void listen_lend(struct listener *l, struct listen_given *out);
/* It is another's now: forgets it, and removes nothing. */
void listen_give_away(struct listener *l);

/* systemd's socket activation (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES; taken out of the environment,
 * so before any thread): the socket that this process was started with, or -1 if none. False and `e` if
 * it is not exactly one that is of use. */
bool listen_inherited(int *fd, struct error *e);

#endif
