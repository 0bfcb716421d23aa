#include "io/stream_parts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/expect.h"

#define REST_MS 1

static void on_poll(uv_poll_t *h, int status, int events);

/* ---- waiting for the socket ---- */

static bool resting(const struct stream *s)
{
        return s->rest && loop_is_set(&s->rest->over);
}

/* Nothing more is read: not now, or ever. */
static bool unread(const struct stream *s)
{
        return s->paused || s->finished;
}

void stream_rewatch(struct stream *s)
{
        uint8_t want = 0;
        if (!s->ended) {
                /* Urgent data is nobody's. But whatever is waited for, the socket's hang-up is told, too. */
                if (unread(s))
                        want |= s->half_closed ? UV_PRIORITIZED : UV_DISCONNECT;
                else
                        want |= resting(s) ? 0 : UV_READABLE;
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
        stream_rewatch(s);
        deferred_clear(&s->again);
        s->events->ended(s->arg, e);
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
                stream_keep(&s->in, p + used, n - used);
        loop_garbage(s->loop, given->memory);
        free(given);
}

static bool peer_is_gone(const struct stream *s)
{
        struct pollfd f = {.fd = s->fd, .events = 0};
        return poll(&f, 1, 0) == 1 && f.revents & (POLLHUP | POLLERR);
}

static void end_of_file(struct stream *s)
{
        bool listens = !s->ssl && s->events->finished && !peer_is_gone(s);
        if (!listens || !s->events->finished(s->arg)) {
                end(s, NULL);
                return;
        }
        s->half_closed = s->finished = true;
        stream_rewatch(s);
}

static void read_failed(struct stream *s)
{
        if (errno == 0) {
                end_of_file(s);
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
                        stream_keep(&s->in, p + used, (size_t) n - used);
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

/* The peer of a stream that isn't read has closed or half-closed its side. */
static void disconnected(struct stream *s)
{
        if (peer_is_gone(s)) {
                end(s, NULL);
                return;
        }
        s->half_closed = true;
        stream_rewatch(s);
}

/* The socket has an error (libuv doesn't say which and stops watching): the peer's last words may be
 * there yet, and reading tells the rest. Nobody would wait for what a paused one could still say, and one that
 * has finished has said all. */
static void broken_off(struct stream *s)
{
        s->watched = 0;
        if (unread(s)) {
                errno = ECONNRESET;
                read_failed(s);
        } else {
                read_more(s);
        }
        stream_rewatch(s);
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
        if (events & UV_PRIORITIZED) {
                end(s, NULL);
        } else if (unread(s)) {
                if (events & UV_DISCONNECT)
                        disconnected(s);
        } else if (events & UV_READABLE) {
                read_more(s);
        }
}

static void rested(struct deadline *d)
{
        struct stream *s = container_of(d, struct rest, over)->stream;
        if (!unread(s) && !s->ended)
                read_more(s);
        stream_rewatch(s);
}

/* Nothing is told to epoll as long as one rest follows the other. */
void stream_rest(struct stream *s)
{
        if (s->paused || s->closing || s->ended)
                return;
        if (!s->rest) {
                s->rest = own_new(struct rest);
                s->rest->stream = s;
                deadline_init(&s->rest->over, rested);
        }
        loop_set(s->loop, &s->rest->over, loop_now(s->loop) + REST_MS);
        stream_rewatch(s);
}

void stream_pause(struct stream *s)
{
        if (s->paused)
                return;
        s->paused = true;
        stream_rewatch(s);
}

void stream_resume(struct stream *s)
{
        if (!s->paused)
                return;
        s->paused = false;
        stream_rewatch(s);
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
        return stream_length(s->in);
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
        deferred_init(&s->flush, stream_flush);
        deferred_init(&s->again, again);
        expect(uv_poll_init(loop_uv(l), &s->poll, fd) == 0);
        s->poll.data = s;
        stream_rewatch(s);
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
        stream_push(s);
        s->closing = true;
        uv_close((uv_handle_t *) &s->poll, closed);     /* stops it, too: the descriptor is free then */
        close(s->fd);
        deferred_clear(&s->flush);
        deferred_clear(&s->again);
        if (s->rest)
                loop_clear(s->loop, &s->rest->over);
        free(TAKE(s->rest));
        bytes_wipe(s->in);
        stream_let_go(&s->in);
        stream_let_go(&s->out);
}
