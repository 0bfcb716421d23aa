#include "io/pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
        struct cmsghdr header;          /* for its alignment */
        char room[CMSG_SPACE(PASS_MOST * sizeof(int))];
};

bool pass_send(int socket, const void *p, size_t n, const int *fds, size_t count)
{
        union control control = {0};
        struct iovec bytes = {.iov_base = (void *) (size_t) p, .iov_len = n};
        struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
        ssize_t sent;
        if (count) {
                message.msg_control = control.room;
                message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
                struct cmsghdr *h = CMSG_FIRSTHDR(&message);
                *h = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof *fds),
                                      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(h), fds, count * sizeof *fds);
        }
        do {
                sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        return sent == (ssize_t) n;
}

static void take_descriptors(struct msghdr *message, int *fds)
{
        struct cmsghdr *h = CMSG_FIRSTHDR(message);
        if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
                memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
}

enum pass_verdict pass_receive(int socket, void *p, size_t n, int *fds)
{
        union control control;
        struct iovec bytes = {.iov_base = p, .iov_len = n};
        struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room,
                                 .msg_controllen = sizeof control.room};
        ssize_t got;
        for (int i = 0; i < PASS_MOST; i++)
                fds[i] = -1;
        do {
                got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        } while (got < 0 && errno == EINTR);
        if (got < 0)
                return errno == EAGAIN ? PASS_SHORT : PASS_OVER;
        take_descriptors(&message, fds);
        /* More descriptors than there is room for never arrive: the kernel closes them. */
        if ((size_t) got == n && !(message.msg_flags & MSG_CTRUNC))
                return PASS_READY;
        for (int i = 0; i < PASS_MOST; i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
                fds[i] = -1;
        }
        return PASS_OVER;
}

bool pass_peer(int socket, pid_t *pid, uid_t *uid)
{
        struct ucred who;
        socklen_t size = sizeof who;
        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || size != sizeof who)
                return false;
        *pid = who.pid;
        *uid = who.uid;
        return true;
}
