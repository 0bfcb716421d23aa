#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/own.h"
#include "io/listen_given.h"
#include "io/watch.h"

enum { IN_ONE_TURN = 64, PAUSE_MS = 100, GROUPS_AT_FIRST = 32 };

struct listener {
        struct loop *loop;
        void (*accepted)(void *arg, int fd, const struct listen_peer *peer);
        void *arg;
        char *path, *lock_path;
        int fd, lock;
        bool bound;                     /* path is the socket that fd was bound to */
        bool locked;                    /* lock_path is ours to remove */
        dev_t device;
        ino_t inode;
        struct watch *watch;
        struct deadline pause;
        void (*trouble)(void *arg, int why);
        bool troubled;
        gid_t *groups;
        size_t group_room;
        uint64_t turn;                  /* of the loop, in which someone came */
        bool accepting, freed;          /* accepted() may free the listener */
};

/* ---- who is there ---- */

static bool peer_of(struct listener *l, int fd, struct listen_peer *peer)
{
        struct ucred who;
        socklen_t size = sizeof who;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || size != sizeof who)
                return false;
        *peer = (struct listen_peer){.pid = who.pid, .uid = who.uid, .gid = who.gid};
        for (;;) {
                size = (socklen_t) (l->group_room * sizeof *l->groups);
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, l->groups, &size) == 0)
                        break;
                /* The kernel has put the size it wants there. A kernel without this option leaves
                 * the peer with its one group: access can only become narrower by that. */
                if (errno != ERANGE || size <= l->group_room * sizeof *l->groups)
                        return true;
                l->group_room = size / sizeof *l->groups;
                l->groups = own_grow(l->groups, size);
        }
        peer->groups = l->groups;
        peer->group_count = size / sizeof *l->groups;
        return true;
}

static void pause_over(struct deadline *d)
{
        struct listener *l = container_of(d, struct listener, pause);

        watch_for(l->watch, WATCH_READABLE);
}

static void tell_trouble(struct listener *l, int why)
{
        if (l->troubled == (why != 0))
                return;
        l->troubled = why != 0;
        if (l->trouble)
                l->trouble(l->arg, why);
}

/* Those who wait stay in the kernel's queue. */
static void pause_accepting(struct listener *l)
{
        watch_for(l->watch, 0);
        loop_set(l->loop, &l->pause, loop_now(l->loop) + PAUSE_MS);
}

/* False: no more for now. */
static bool accept_one(struct listener *l)
{
        struct listen_peer peer;
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                return true;
        if (fd < 0) {
                /* Out of descriptors or memory, or something unforeseen: not at full speed. */
                int why = errno == EAGAIN ? 0 : errno;

                if (why)
                        pause_accepting(l);
                tell_trouble(l, why);
                return false;
        }
        if (peer_of(l, fd, &peer))
                l->accepted(l->arg, fd, &peer);
        else
                close(fd);
        return true;
}

static void listener_drop(struct listener *l)
{
        free(l->groups);
        free(l->lock_path);
        free(l->path);
        free(l);
}

/* Most come alone, and to ask whether there is another costs as much as to take him: only where one came
 * in the turn before, too, or accepting has failed, are there many. */
static void connectable(void *arg, unsigned events)
{
        struct listener *l = arg;
        uint64_t turn = loop_turns(l->loop).count;
        int most = turn == l->turn + 1 || l->troubled ? IN_ONE_TURN : 1;

        (void) events;
        l->turn = turn;
        l->accepting = true;
        for (int i = 0; i < most && !l->freed && accept_one(l); i++)
                ;
        l->accepting = false;
        if (l->freed)
                listener_drop(l);
}

/* ---- the lock ---- */

static bool lock_failed(const struct listener *l, int why, struct error *e)
{
        error_set(e, "58030", "lock file \"%s\" cannot be opened: %s", l->lock_path, strerror(why));
        switch (why) {
        case ENOENT:
        case ENOTDIR:
                return error_hint(e, "Create the folder (systemd: RuntimeDirectory=), or set "
                                     "socket.directory.");
        case EACCES:
        case EPERM:
        case EROFS:
                return error_hint(e, "The broker's user must be able to write to the folder and to "
                                     "this file; set socket.directory to a folder of its own.");
        default:
                return error_hint(e, "Remove it if no server uses it.");
        }
}

static bool lock_held(const struct listener *l, struct error *e)
{
        char text[32] = "";
        ssize_t n = pread(l->lock, text, sizeof text - 1, 0);
        long pid = n > 0 ? strtol(text, NULL, 10) : 0;

        error_set(e, "55006", "socket \"%s\" is held by another broker (process %ld)", l->path,
                  pid);
        return error_hint(e, "Stop that one, or set socket.port or socket.directory.");
}

/* One who goes removes the lock file: what was locked may be a file without a name by then. An
 * empty one was made just now; what has content may be a PostgreSQL's, and is not touched before
 * clear_path() has said that nobody is there. */
static bool lock_is_there(struct listener *l)
{
        struct stat held, named;

        if (fstat(l->lock, &held) != 0 || lstat(l->lock_path, &named) != 0 ||
            held.st_dev != named.st_dev || held.st_ino != named.st_ino)
                return false;
        l->locked = held.st_size == 0;
        return true;
}

static bool lock_take(struct listener *l, struct error *e)
{
        do {
                if (l->lock >= 0)
                        close(l->lock);
                l->lock = open(l->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                               0600);
                if (l->lock < 0)
                        return lock_failed(l, errno, e);
                if (flock(l->lock, LOCK_EX | LOCK_NB) != 0)
                        return errno == EWOULDBLOCK ? lock_held(l, e) : lock_failed(l, errno, e);
        } while (!lock_is_there(l));
        return true;
}

/* Ours from here on, removed at the end. PostgreSQL takes a file of this name as its own kind of
 * lock and looks for the process id in the first line, so it won't take the socket from us. */
static bool lock_sign(struct listener *l, struct error *e)
{
        l->locked = true;
        if (ftruncate(l->lock, 0) == 0 && dprintf(l->lock, "%d\n", (int) getpid()) > 0)
                return true;
        return lock_failed(l, errno, e);
}

/* ---- the socket ---- */

static bool socket_failed(const struct listener *l, const char *what, struct error *e)
{
        return error_set(e, "58030", "socket \"%s\" %s: %s", l->path, what, strerror(errno));
}

static struct sockaddr_un address_of(const struct listener *l)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        /* listen_unix() has seen that it fits. */
        memcpy(a.sun_path, l->path, strlen(l->path) + 1);
        return a;
}

/* 0: someone listens there, or may do. ECONNREFUSED: nobody. ENOENT: nothing. */
static int knock(const struct listener *l)
{
        struct sockaddr_un a = address_of(l);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int why;

        if (fd < 0)
                return errno;
        why = connect(fd, (struct sockaddr *) &a, sizeof a) == 0 ? 0 : errno;
        close(fd);
        return why == EAGAIN || why == EINPROGRESS ? 0 : why;
}

/* We hold the lock, but a server of another kind may sit on the path, or no socket at all. */
static bool clear_path(const struct listener *l, struct error *e)
{
        struct stat s;

        if (lstat(l->path, &s) != 0) {
                if (errno == ENOENT)
                        return true;
                return socket_failed(l, "cannot be made", e);
        }
        if (!S_ISSOCK(s.st_mode)) {
                error_set(e, "58030", "\"%s\" is in the way: it is not a socket", l->path);
                return error_hint(e, "Move it away, or set socket.port or socket.directory.");
        }

        int why = knock(l);

        if (why == 0) {
                error_set(e, "55006", "socket \"%s\" is held by another server", l->path);
                return error_hint(e, "Stop that one, or set socket.port or socket.directory.");
        }
        if (why != ECONNREFUSED && why != ENOENT) {
                error_set(e, "58030", "socket \"%s\" exists and a server may hold it: %s", l->path,
                          strerror(why));
                return error_hint(e, "Remove it if no server uses it.");
        }
        if (unlink(l->path) != 0 && errno != ENOENT) {
                socket_failed(l, "is stale and cannot be removed", e);
                return error_hint(e, "Remove it, or let the broker's user write to its folder.");
        }
        return true;
}

static bool bind_socket(struct listener *l, struct error *e)
{
        struct sockaddr_un a = address_of(l);
        struct stat s;

        l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (l->fd < 0)
                return socket_failed(l, "cannot be made", e);
        /* Linux gives the file the mode of the descriptor: nobody's, until it is set for good. A
         * umask would do the same, but to all threads. Before listen() nobody gets in anyway. */
        fchmod(l->fd, 0);
        if (bind(l->fd, (struct sockaddr *) &a, sizeof a) != 0 || lstat(l->path, &s) != 0) {
                socket_failed(l, "cannot be made", e);
                return error_hint(e, "The broker's user must be able to write to its folder.");
        }
        l->bound = true;
        l->device = s.st_dev;
        l->inode = s.st_ino;
        return true;
}

static bool find_group(const char *name, gid_t *gid, struct error *e)
{
        size_t size = 1024;
        OWN(free) char *text = own_alloc(size);
        struct group group, *found = NULL;
        int why;

        while ((why = getgrnam_r(name, &group, text, size, &found)) == ERANGE)
                text = own_grow(text, size *= 2);
        if (found) {
                *gid = found->gr_gid;
                return true;
        }
        error_set(e, "42704", "group \"%s\" of the socket %s%s", name,
                  why ? "cannot be looked up: " : "does not exist", why ? strerror(why) : "");
        return error_hint(e, "Create it, or change socket.group.");
}

/* The group first: chown may take bits of the mode away. */
static bool let_in(const struct listener *l, const struct listen_options *o, struct error *e)
{
        gid_t gid = (gid_t) -1;

        if (o->group && *o->group) {
                if (!find_group(o->group, &gid, e))
                        return false;
                if (lchown(l->path, (uid_t) -1, gid) != 0) {
                        error_set(e, "58030", "socket \"%s\" cannot be given to group \"%s\": %s",
                                  l->path, o->group, strerror(errno));
                        return error_hint(e, "The broker's user must be a member of that group.");
                }
        }
        if (chmod(l->path, o->mode) != 0)
                return socket_failed(l, "cannot get its mode", e);
        if (listen(l->fd, o->backlog > 0 ? o->backlog : SOMAXCONN) != 0)
                return socket_failed(l, "cannot be listened on", e);
        return true;
}

static bool path_fits(const struct listener *l, struct error *e)
{
        struct sockaddr_un a;
        size_t length = strlen(l->path), limit = sizeof a.sun_path - 1;

        if (length <= limit)
                return true;
        error_set(e, "58030", "socket path \"%s\" has %zu bytes, the limit is %zu", l->path, length,
                  limit);
        return error_hint(e, "Set socket.directory to a shorter path.");
}

static void take_given(struct listener *l, const struct listen_given *g)
{
        l->fd = g->fd;
        l->lock = g->lock;
}

/* Whoever holds the lock file made the socket, and removes both at the end. */
static bool is_given(struct listener *l, struct error *e)
{
        struct stat s;

        if (!listen_given_fits(l->fd, l->path, &s, e))
                return false;
        l->bound = l->locked = l->lock >= 0;
        l->device = s.st_dev;
        l->inode = s.st_ino;
        return true;
}

static bool is_bound(struct listener *l, const struct listen_options *o, struct error *e)
{
        return lock_take(l, e) && clear_path(l, e) && lock_sign(l, e) && bind_socket(l, e) &&
               let_in(l, o, e);
}

struct listener *listen_unix(struct loop *loop, const struct listen_options *o,
                             void (*accepted)(void *arg, int fd, const struct listen_peer *peer),
                             void *arg, struct error *e)
{
        struct listener *l = own_new(struct listener);

        *l = (struct listener){
                .loop = loop, .accepted = accepted, .arg = arg, .fd = -1, .lock = -1};
        l->path = own_format("%s/.s.PGSQL.%u", o->directory, o->port);
        l->lock_path = own_format("%s.lock", l->path);
        l->group_room = GROUPS_AT_FIRST;
        l->groups = own_alloc(l->group_room * sizeof *l->groups);
        deadline_init(&l->pause, pause_over);
        l->trouble = o->trouble;
        if (o->given)
                take_given(l, o->given);
        if (!path_fits(l, e) || !(o->given ? is_given(l, e) : is_bound(l, o, e))) {
                listen_free(l);
                return NULL;
        }
        l->watch = watch_new(loop, l->fd, connectable, l);
        if (!o->given)
                watch_for(l->watch, WATCH_READABLE);
        return l;
}

void listen_open(struct listener *l)
{
        if (l->lock >= 0)
                lock_sign(l, NULL);
        loop_clear(l->loop, &l->pause);
        watch_for(l->watch, WATCH_READABLE);
}

void listen_lend(struct listener *l, struct listen_given *out)
{
        loop_clear(l->loop, &l->pause);
        watch_for(l->watch, 0);
        *out = (struct listen_given){l->fd, l->lock};
}

void listen_give_away(struct listener *l)
{
        l->bound = l->locked = false;
        listen_free(l);
}

/* Only what is still ours: someone may have put another socket there. */
static void remove_socket(const struct listener *l)
{
        struct stat s;

        if (l->bound && lstat(l->path, &s) == 0 && s.st_dev == l->device && s.st_ino == l->inode)
                unlink(l->path);
}

void listen_free(struct listener *l)
{
        if (!l)
                return;
        watch_free(l->watch);
        loop_clear(l->loop, &l->pause);
        remove_socket(l);
        if (l->fd >= 0)
                close(l->fd);
        /* By name first: whoever waits for the lock sees that its file has gone. */
        if (l->locked)
                unlink(l->lock_path);
        if (l->lock >= 0)
                close(l->lock);
        l->freed = true;
        if (!l->accepting)
                listener_drop(l);
}
