#include "io/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "base/own.h"

#define RANGES 8
#define SEND_BUFFER (512 * 1024)

struct stream {
        uv_poll_t poll;
        struct loop *loop;
        SSL *ssl;
        const struct stream_events *events;
        void *arg;
        struct deferred flush;          /* something was noted to be sent */
        struct deferred again;          /* kept input, or input inside the SSL, waits for a call */
        struct bytes *in, *out;         /* kept, waiting to be sent; NULL = nothing */
        struct iovec *note;             /* noted to be sent; in the turn's memory; NULL = nothing */
        int fd;
        uint8_t watched;                /* what uv_poll was last told */
        uint8_t notes;
        bool paused, blocked, closing, ended;
        bool widened;                   /* the socket's buffer */
        bool full;                      /* the socket takes no more, an event tells when it does */
        bool broken;                    /* writing failed: what is sent vanishes, reading tells why */
        bool half_closed;               /* the peer sends no more but may still read */
        bool hidden;                    /* the SSL may hold input that no event will tell of */
};

static void on_poll(uv_poll_t *h, int status, int events);

/* ---- what is kept ---- */

static size_t length_of(const struct bytes *b)
{
        return b ? bytes_length(b) : 0;
}

static struct bytes *some(struct bytes **b)
{
        if (!*b)
                *b = own_new(struct bytes);
        return *b;
}

static void keep(struct bytes **b, const void *p, size_t n)
{
        if (n)
                bytes_append(some(b), p, n);
}

static void let_go(struct bytes **b)
{
        bytes_free(*b);
        free(TAKE(*b));
}

/* ---- waiting for the socket ---- */

/* Tells libuv what to wait for, if that is not what it waits for already. */
static void rewatch(struct stream *s)
{
        uint8_t want = 0;
        if (!s->ended) {
                want |= s->paused ? (s->half_closed ? 0 : UV_DISCONNECT) : UV_READABLE;
                want |= s->out ? UV_WRITABLE : 0;
        }
        if (want == s->watched || s->closing)
                return;
        s->watched = want;
        if (want)
                expect(uv_poll_start(&s->poll, want, on_poll) == 0);
        else
                uv_poll_stop(&s->poll);
}

static void end(struct stream *s, const struct error *e)
{
        if (s->ended || s->closing)
                return;
        s->ended = true;
        rewatch(s);
        deferred_clear(&s->again);
        s->events->ended(s->arg, e);
}

/* ---- writing ---- */

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
                keep(&s->out, s->note[i].iov_base, s->note[i].iov_len);
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

/* Sends what waits until the socket is full. */
static void push(struct stream *s)
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
                        let_go(&s->out);
        }
        if (n < 0) {
                s->broken = true;
                let_go(&s->out);
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

static void flush(struct deferred *d)
{
        struct stream *s = container_of(d, struct stream, flush);
        push(s);
        if (s->full && !s->widened)
                widen(s);
        rewatch(s);
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
                keep(&s->out, p, n);
        }
        loop_flush(s->loop, &s->flush);
}

void stream_send_copy(struct stream *s, const void *p, size_t n)
{
        if (n == 0 || s->closing || s->broken)
                return;
        keep_notes(s);
        keep(&s->out, p, n);
        loop_flush(s->loop, &s->flush);
}

bool stream_blocked(const struct stream *s)
{
        return s->blocked;
}

size_t stream_waiting(const struct stream *s)
{
        size_t n = length_of(s->out);
        for (unsigned i = 0; i < s->notes; i++)
                n += s->note[i].iov_len;
        return n;
}

/* ---- reading ---- */

/* Reads up to `size` bytes. 0: nothing there. -1: the end (errno 0 = end of file). */
static ssize_t read_some(struct stream *s, uint8_t *p, size_t size)
{
        if (!s->ssl) {
                ssize_t n = recv(s->fd, p, size, MSG_DONTWAIT);
                if (n > 0)
                        return n;
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return 0;
                if (n == 0)
                        errno = 0;
                return -1;
        }
        size_t got = 0;
        s->hidden = false;
        while (got < size) {
                ERR_clear_error();
                errno = 0;
                int n = SSL_read(s->ssl, p + got, (int) (size - got));
                if (n > 0) {
                        got += (size_t) n;
                        s->hidden = SSL_has_pending(s->ssl);
                        if (!s->hidden)
                                break;
                        continue;
                }
                /* What it holds is a part of a record: the socket tells when the rest comes. */
                s->hidden = false;
                int why = SSL_get_error(s->ssl, n);
                if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                        break;
                if (got) {
                        s->hidden = true;       /* its end, and the socket may never tell of that */
                        break;
                }
                if (why == SSL_ERROR_ZERO_RETURN)
                        errno = 0;
                return -1;
        }
        return (ssize_t) got;
}

/* Offers kept input. Its memory lives on until the end of the turn; the unused rest is kept anew. */
static void offer_kept(struct stream *s)
{
        struct bytes *given = TAKE(s->in);
        const uint8_t *p = bytes_data(given);
        size_t n = bytes_length(given);
        size_t used = s->events->received(s->arg, p, n);
        expect(used <= n);
        if (!s->closing)
                keep(&s->in, p + used, n - used);
        loop_garbage(s->loop, given->memory);
        free(given);
}

static void read_failed(struct stream *s)
{
        if (errno == 0) {
                end(s, NULL);
                return;
        }
        struct error e = {0};
        error_set(&e, "08006", "connection lost: %s", strerror(errno));
        end(s, &e);
}

/* Reads on behind what is kept. */
static ssize_t read_behind(struct stream *s)
{
        size_t kept = bytes_length(s->in), size = kept < STREAM_HOLD ? STREAM_HOLD - kept : LOOP_ROOM;
        ssize_t n = read_some(s, bytes_room(s->in, size), size);
        if (n > 0) {
                bytes_added(s->in, (size_t) n);
                offer_kept(s);
        }
        return n;
}

static ssize_t read_afresh(struct stream *s)
{
        uint8_t *p = loop_room(s->loop);
        ssize_t n = s->closing ? 0 : read_some(s, p, LOOP_ROOM);
        if (n > 0) {
                loop_room_used(s->loop, (size_t) n);
                size_t used = s->events->received(s->arg, p, (size_t) n);
                expect(used <= (size_t) n);
                if (!s->closing)
                        keep(&s->in, p + used, (size_t) n - used);
        }
        return n;
}

static void read_more(struct stream *s)
{
        ssize_t n = s->in ? read_behind(s) : read_afresh(s);
        if (n < 0)
                read_failed(s);
        else if (!s->closing && !s->paused && s->hidden)
                loop_defer(s->loop, &s->again);
}

static void again(struct deferred *d)
{
        struct stream *s = container_of(d, struct stream, again);
        if (s->paused || s->closing || s->ended)
                return;
        if (s->in)
                offer_kept(s);
        if (!s->paused && !s->closing && !s->ended && s->hidden)
                read_more(s);
}

/* The peer of a paused stream has closed or half-closed its side. */
static void disconnected(struct stream *s)
{
        struct pollfd f = {.fd = s->fd, .events = 0};
        if (poll(&f, 1, 0) == 1 && f.revents & (POLLHUP | POLLERR)) {
                end(s, NULL);
                return;
        }
        s->half_closed = true;
        rewatch(s);
}

/* The socket has an error (libuv doesn't say which and stops watching): the peer's last words may be
 * there yet, and reading tells the rest. Nobody would wait for what a paused one could still say. */
static void broken_off(struct stream *s)
{
        s->watched = 0;
        if (s->paused) {
                errno = ECONNRESET;
                read_failed(s);
        } else {
                read_more(s);
        }
        rewatch(s);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
        struct stream *s = h->data;
        if (status < 0) {
                broken_off(s);
                return;
        }
        if (events & UV_WRITABLE) {
                s->full = false;
                loop_flush(s->loop, &s->flush);
        }
        if (s->paused) {
                if (events & UV_DISCONNECT)
                        disconnected(s);
        } else if (events & UV_READABLE) {
                read_more(s);
        }
}

void stream_pause(struct stream *s)
{
        if (s->paused)
                return;
        s->paused = true;
        rewatch(s);
}

void stream_resume(struct stream *s)
{
        if (!s->paused)
                return;
        s->paused = false;
        rewatch(s);
        stream_again(s);
}

/* Asked for from inside received(), too, before the rest has been kept: the call finds out. */
void stream_again(struct stream *s)
{
        if (!s->closing)
                loop_defer(s->loop, &s->again);
}

bool stream_paused(const struct stream *s)
{
        return s->paused;
}

size_t stream_kept(const struct stream *s)
{
        return length_of(s->in);
}

bool stream_quiet(struct stream *s)
{
        char c;
        if (s->in || s->ended || s->broken || (s->ssl && SSL_has_pending(s->ssl)))
                return false;
        return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

int stream_fd(const struct stream *s)
{
        return s->fd;
}

/* ---- life ---- */

struct stream *stream_new(struct loop *l, int fd, void *ssl, const struct stream_events *events,
                          void *arg)
{
        struct stream *s = own_new(struct stream);
        s->loop = l;
        s->fd = fd;
        s->ssl = ssl;
        s->hidden = ssl && SSL_has_pending(ssl);
        s->events = events;
        s->arg = arg;
        deferred_init(&s->flush, flush);
        deferred_init(&s->again, again);
        expect(uv_poll_init(loop_uv(l), &s->poll, fd) == 0);
        s->poll.data = s;
        rewatch(s);
        return s;
}

void stream_retarget(struct stream *s, const struct stream_events *events, void *arg)
{
        s->events = events;
        s->arg = arg;
}

static void closed(uv_handle_t *h)
{
        struct stream *s = h->data;
        free(s);
}

void stream_free(struct stream *s)
{
        if (!s || s->closing)
                return;
        push(s);
        s->closing = true;
        uv_close((uv_handle_t *) &s->poll, closed);     /* stops it, too: the descriptor is free then */
        close(s->fd);
        deferred_clear(&s->flush);
        deferred_clear(&s->again);
        bytes_wipe(s->in);
        let_go(&s->in);
        let_go(&s->out);
}
