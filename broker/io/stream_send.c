#include "io/stream_parts.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/expect.h"

#define RANGES 8
#define SEND_BUFFER (512 * 1024)

/* Writes p[0..n) or a part of it. 0: would wait. -1: broken. */
static ssize_t write_some(struct stream *s, const struct iovec *v, unsigned count)
{
        if (s->ssl) {
                ERR_clear_error();
                int n = SSL_write(s->ssl, v->iov_base, v->iov_len > INT_MAX ? INT_MAX : (int) v->iov_len);
                if (n > 0)
                        return n;
                int why = SSL_get_error(s->ssl, n);
                return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
        }
        struct msghdr m = {.msg_iov = (struct iovec *) v, .msg_iovlen = count};
        ssize_t n = count == 1 ? send(s->fd, v->iov_base, v->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                               : sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
                return n;
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

static void keep_notes(struct stream *s)
{
        for (unsigned i = 0; i < s->notes; i++)
                stream_keep(&s->out, s->note[i].iov_base, s->note[i].iov_len);
        s->notes = 0;
        s->note = NULL;
}

/* Drops the first n noted bytes, which have gone out, and keeps copies of the rest. */
static void noted_gone(struct stream *s, size_t n)
{
        for (unsigned i = 0; i < s->notes; i++) {
                size_t gone = n < s->note[i].iov_len ? n : s->note[i].iov_len;
                n -= gone;
                s->note[i].iov_base = (char *) s->note[i].iov_base + gone;
                s->note[i].iov_len -= gone;
        }
        keep_notes(s);
}

void stream_push(struct stream *s)
{
        ssize_t n = 1;
        if (!s->out && !s->full && (s->notes == 1 || (!s->ssl && s->notes > 1))) {
                n = s->broken ? -1 : write_some(s, s->note, s->notes);
                noted_gone(s, n > 0 ? (size_t) n : 0);
        }
        keep_notes(s);
        while (n > 0 && s->out && !s->full) {
                struct iovec v = {(void *) (uintptr_t) bytes_data(s->out), bytes_length(s->out)};
                n = s->broken ? -1 : write_some(s, &v, 1);
                if (n > 0)
                        bytes_consume(s->out, (size_t) n);
                if (bytes_length(s->out) == 0)
                        stream_let_go(&s->out);
        }
        if (n < 0) {
                s->broken = true;
                stream_let_go(&s->out);
        }
        s->full = s->out != NULL;
}

/* A unix socket that was full once gets more room: in pieces of Linux's 208 KiB a large result costs half
 * as much again. (The kernel gives what net.core.wmem_max allows; TCP sees to itself.) */
static void widen(struct stream *s)
{
        int domain = 0;
        socklen_t size = sizeof domain;
        s->widened = true;
        if (getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX)
                setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
}

void stream_flush(struct deferred *d)
{
        struct stream *s = container_of(d, struct stream, flush);
        stream_push(s);
        if (s->full && !s->widened)
                widen(s);
        stream_rewatch(s);
        if (s->blocked == s->full)
                return;
        s->blocked = s->full;
        if (s->blocked)
                s->events->blocked(s->arg);
        else
                s->events->drained(s->arg);
}

/* Where to note one more range; NULL: it has to be copied. */
static struct iovec *next_note(struct stream *s)
{
        if (s->out || s->notes == RANGES)
                return NULL;
        if (!s->note)
                s->note = loop_scrap(s->loop, RANGES * sizeof *s->note);
        return s->note ? &s->note[s->notes] : NULL;
}

void stream_send(struct stream *s, const void *p, size_t n)
{
        if (n == 0 || s->closing || s->broken)
                return;
        struct iovec *last = s->notes ? &s->note[s->notes - 1] : NULL;
        if (last && (const char *) last->iov_base + last->iov_len == (const char *) p) {
                last->iov_len += n;
                return;
        }
        struct iovec *next = next_note(s);
        if (next) {
                *next = (struct iovec){(void *) (uintptr_t) p, n};
                s->notes++;
        } else {
                keep_notes(s);
                stream_keep(&s->out, p, n);
        }
        loop_flush(s->loop, &s->flush);
}

void stream_send_copy(struct stream *s, const void *p, size_t n)
{
        if (n == 0 || s->closing || s->broken)
                return;
        keep_notes(s);
        stream_keep(&s->out, p, n);
        loop_flush(s->loop, &s->flush);
}

bool stream_blocked(const struct stream *s)
{
        return s->blocked;
}

size_t stream_waiting(const struct stream *s)
{
        size_t n = stream_length(s->out);
        for (unsigned i = 0; i < s->notes; i++)
                n += s->note[i].iov_len;
        return n;
}
