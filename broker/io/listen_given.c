#include "io/listen_given.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "io/listen.h"

#define FIRST_INHERITED 3               /* SD_LISTEN_FDS_START */

static bool has(int fd, int option, int wanted)
{
        int value;
        socklen_t size = sizeof value;
        return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

/* The kernel does not tell which file a descriptor's socket is: the name that it was bound to must lead
 * to the same file as the path, for there may be symbolic links in either. */
static bool stands_at(int fd, const char *path, struct stat *at, char *name, size_t size)
{
        struct sockaddr_un a = {0};
        socklen_t length = sizeof a;
        struct stat there;
        if (getsockname(fd, (struct sockaddr *) &a, &length) != 0 || a.sun_path[0] == '\0')
                return false;
        snprintf(name, size, "%.*s", (int) sizeof a.sun_path, a.sun_path);
        return stat(name, &there) == 0 && stat(path, at) == 0 && S_ISSOCK(at->st_mode) &&
               there.st_dev == at->st_dev && there.st_ino == at->st_ino;
}

bool listen_given_fits(int fd, const char *path, struct stat *at, struct error *e)
{
        char name[sizeof(struct sockaddr_un)] = "";
        if (!has(fd, SO_DOMAIN, AF_UNIX) || !has(fd, SO_TYPE, SOCK_STREAM) || !has(fd, SO_ACCEPTCONN, 1)) {
                error_set(e, "58030", "the socket that was passed on is no unix stream socket that listens");
                return error_hint(e, "In the socket unit say ListenStream=%s.", path);
        }
        if (!stands_at(fd, path, at, name, sizeof name)) {
                error_set(e, "58030", "the socket that was passed on is \"%s\", not \"%s\"", name, path);
                return error_hint(e, "Let socket.directory and socket.port (and ListenStream= of a socket "
                                     "unit) name the same socket.");
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return true;
}

bool listen_inherited(int *fd, struct error *e)
{
        const char *count = getenv("LISTEN_FDS"), *whose = getenv("LISTEN_PID");
        long n = count && whose && strtol(whose, NULL, 10) == (long) getpid() ? strtol(count, NULL, 10) : 0;
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDNAMES");
        *fd = n > 0 ? FIRST_INHERITED : -1;
        if (n <= 1)
                return true;
        error_set(e, "58030", "%ld sockets were passed on (LISTEN_FDS), expected one", n);
        return error_hint(e, "A socket unit of the broker's has one ListenStream=.");
}
