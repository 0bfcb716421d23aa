#include "backend/cancel.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/own.h"
#include "base/sealed.h"
#include "io/tls_client.h"
#include "io/watch.h"
#include "io/work.h"
#include "wire/compose.h"

#define AGAIN_MS 20     /* a unix socket whose line is full says so at once, and can't be waited for */

/* name, what is missing when the time is over */
#define CANCEL_STATES(X)                                                                           \
        X(REACHING, "connection")                                                                  \
        X(ASKING, "answer to the request for TLS")                                                 \
        X(SHAKING, "end of the TLS handshake")                                                     \
        X(SENT, "end of the connection, by which the server says that it is done")                 \
        X(OVER, "")

enum cancel_state {
#define X(name, missing) CANCEL_##name,
        CANCEL_STATES(X)
#undef X
        CANCEL_STATE_COUNT
};

/* A thread of the pool may be at a step of the handshake (`busy`): then the loop leaves it alone. */
struct cancel {
        struct loop *loop;
        cancel_done *done;              /* NULL: was called, or is not wanted any more */
        void *arg;
        enum cancel_state state;
        char address[108], *host, *root_cert;
        unsigned port, timeout_ms;
        bool encrypted, busy;
        enum tls_verify verify;
        uint8_t key[4];
        uint32_t pid;
        int fd;
        struct watch *watch;
        struct deadline limit, again;
        struct deferred start;
        struct tls_client *tls;
        enum tls_step step;             /* what the last one said ... */
        struct error why;               /* ... and why it failed */
};

#define TO(state) (1u << CANCEL_##state)

static const unsigned moves[CANCEL_STATE_COUNT] = {
        [CANCEL_REACHING] = TO(ASKING) | TO(SENT) | TO(OVER),
        [CANCEL_ASKING] = TO(SHAKING) | TO(OVER),
        [CANCEL_SHAKING] = TO(SENT) | TO(OVER),
        [CANCEL_SENT] = TO(OVER),
        [CANCEL_OVER] = 0,
};

static void become(struct cancel *c, enum cancel_state state)
{
        expect(moves[c->state] & 1u << state);
        c->state = state;
}

/* ---- the end ---- */

static void cancel_free(struct cancel *c)
{
        tls_client_free(c->tls);
        if (c->fd >= 0)
                close(c->fd);
        sealed_wipe(c->key, sizeof c->key);
        free(c->host);
        free(c->root_cert);
        free(c);
}

void cancel_abandon(struct cancel *c)
{
        if (!c)
                return;
        become(c, CANCEL_OVER);
        c->done = NULL;
        loop_clear(c->loop, &c->limit);
        loop_clear(c->loop, &c->again);
        deferred_clear(&c->start);
        watch_free(TAKE(c->watch));
        if (!c->busy)
                cancel_free(c);
}

static void settle(struct cancel *c, enum cancel_outcome outcome, const struct error *e)
{
        cancel_done *done = c->done;
        void *arg = c->arg;
        struct error why = e ? *e : (struct error){0};

        if (e)
                error_context(&why, "cancel request to %s, port %u", c->address, c->port);
        cancel_abandon(c);
        done(arg, outcome, e ? &why : NULL);
}

static void fail(struct cancel *c, const char *what, int number)
{
        struct error e = {0};

        error_set(&e, "08006", "%s%s%s", what, number ? ": " : "", number ? strerror(number) : "");
        settle(c, c->state == CANCEL_SENT ? CANCEL_DOUBTFUL : CANCEL_NOT_SENT, &e);
}

static void too_late(struct deadline *d)
{
        static const char *const missing[] = {
#define X(name, text) [CANCEL_##name] = text,
                CANCEL_STATES(X)
#undef X
        };
        struct cancel *c = container_of(d, struct cancel, limit);
        char text[120];

        snprintf(text, sizeof text, "no %s within %u ms", missing[c->state], c->timeout_ms);
        fail(c, text, 0);
}

/* ---- the request ---- */

static void await_end(struct cancel *c)
{
        become(c, CANCEL_SENT);
        watch_for(c->watch, WATCH_READABLE);
}

static void compose(const struct cancel *c, struct bytes *b)
{
        bytes_init(b, 0);
        compose_cancel(b, c->pid, c->key, sizeof c->key);
}

static bool send_plain(struct cancel *c, struct bytes *b)
{
        size_t n = bytes_length(b);
        bool sent = send(c->fd, bytes_data(b), n, MSG_NOSIGNAL) == (ssize_t) n;
        int number = errno;

        bytes_wipe(b);
        if (!sent)
                fail(c, "sending failed", number);
        return sent;
}

static void request_plain(struct cancel *c)
{
        struct bytes b;

        compose(c, &b);
        if (send_plain(c, &b))
                await_end(c);
}

static void request_encrypted(struct cancel *c)
{
        struct bytes b;
        struct error e = {0};

        compose(c, &b);

        bool sent = tls_client_write(c->tls, bytes_data(&b), bytes_length(&b), &e);

        bytes_wipe(&b);
        if (sent)
                await_end(c);
        else
                settle(c, CANCEL_NOT_SENT, &e);
}

/* Whatever it says is not for us; that it ends is. */
static void look_for_end(struct cancel *c)
{
        char nothing[256];
        ssize_t n;

        while ((n = recv(c->fd, nothing, sizeof nothing, MSG_DONTWAIT)) > 0)
                continue;
        if (n == 0)
                settle(c, CANCEL_DELIVERED, NULL);
        else if (errno != EAGAIN && errno != EINTR)
                fail(c, "the connection broke before the server closed it", errno);
}

/* ---- TLS ---- */

static void step(struct cancel *c);

static void shake(void *arg)
{
        struct cancel *c = arg;

        c->step = tls_client_step(c->tls, &c->why);
}

static void shaken(void *arg)
{
        struct cancel *c = arg;

        c->busy = false;
        if (c->state == CANCEL_OVER)
                cancel_free(c);
        else if (c->step == TLS_DONE)
                request_encrypted(c);
        else if (c->step == TLS_FAILED)
                settle(c, CANCEL_NOT_SENT, &c->why);
        else
                watch_for(c->watch, c->step == TLS_WANTS_READ ? WATCH_READABLE : WATCH_WRITABLE);
}

static void step(struct cancel *c)
{
        watch_for(c->watch, 0);
        c->busy = true;
        work_submit(c->loop, shake, shaken, c);
}

static void ask_for_tls(struct cancel *c)
{
        struct bytes b;

        bytes_init(&b, 0);
        compose_ssl_request(&b);
        if (!send_plain(c, &b))
                return;
        become(c, CANCEL_ASKING);
        watch_for(c->watch, WATCH_READABLE);
}

/* One byte and no more: what follows belongs to TLS or is not read. */
static void read_answer(struct cancel *c)
{
        char answer = 0;
        ssize_t n = recv(c->fd, &answer, 1, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) {
                fail(c, "asking for TLS failed", errno);
                return;
        }
        if (answer != 'S') {
                fail(c, n ? "the server offers no TLS, but its session has it"
                          : "the server closed the connection when it was asked for TLS", 0);
                return;
        }

        struct tls_client_options o = {
                .fd = c->fd, .verify = c->verify, .root_cert = c->root_cert, .host = c->host};

        c->tls = tls_client_new(&o);
        become(c, CANCEL_SHAKING);
        step(c);
}

/* ---- reaching the server ---- */

static void reached(struct cancel *c)
{
        int number = 0;
        socklen_t size = sizeof number;

        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
                number = errno;
        if (number)
                fail(c, "connecting failed", number);
        else if (c->encrypted)
                ask_for_tls(c);
        else
                request_plain(c);
}

static void ready(void *arg, unsigned events)
{
        struct cancel *c = arg;

        (void) events;
        switch (c->state) {
        case CANCEL_REACHING:
                reached(c);
                break;
        case CANCEL_ASKING:
                read_answer(c);
                break;
        case CANCEL_SHAKING:
                step(c);
                break;
        case CANCEL_SENT:
                look_for_end(c);
                break;
        default:
                expect(!"an event after the end");
        }
}

/* The address is numeric: no file and no name server is asked. */
static bool find_address(const struct cancel *c, struct sockaddr_storage *to, socklen_t *size)
{
        struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                 .ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        struct sockaddr_un *un = (struct sockaddr_un *) to;
        char port[12];

        memset(to, 0, sizeof *to);
        if (c->address[0] == '/') {
                un->sun_family = AF_UNIX;
                *size = sizeof *un;
                return snprintf(un->sun_path, sizeof un->sun_path, "%s/.s.PGSQL.%u", c->address,
                                c->port) < (int) sizeof un->sun_path;
        }
        snprintf(port, sizeof port, "%u", c->port);
        if (getaddrinfo(c->address, port, &hints, &list) != 0)
                return false;
        memcpy(to, list->ai_addr, list->ai_addrlen);
        *size = list->ai_addrlen;
        freeaddrinfo(list);
        return true;
}

/* Without delay: else the request waits 40 ms for the server to acknowledge the handshake's end. */
static bool open_socket(struct cancel *c, int family)
{
        int on = 1;

        if (c->fd >= 0)
                return true;
        c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->fd >= 0 && family != AF_UNIX)
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return c->fd >= 0;
}

static void reach(struct cancel *c)
{
        struct sockaddr_storage to;
        socklen_t size;

        if (!find_address(c, &to, &size)) {
                fail(c, "the address can't be read", 0);
                return;
        }
        if (!open_socket(c, to.ss_family)) {
                fail(c, "no socket", errno);
                return;
        }
        if (connect(c->fd, (struct sockaddr *) &to, size) != 0 && errno != EINPROGRESS) {
                if (errno == EAGAIN)
                        loop_set(c->loop, &c->again, loop_now(c->loop) + AGAIN_MS);
                else
                        fail(c, "connecting failed", errno);
                return;
        }
        c->watch = watch_new(c->loop, c->fd, ready, c);
        watch_for(c->watch, WATCH_WRITABLE);
}

static void reach_first(struct deferred *d)
{
        reach(container_of(d, struct cancel, start));
}

static void reach_again(struct deadline *d)
{
        reach(container_of(d, struct cancel, again));
}

/* What the session's own login was held to: enforce.h. */
static enum tls_verify verify_as(const char *sslmode)
{
        return strcmp(sslmode, "verify-full") == 0 ? TLS_VERIFY_FULL
               : strcmp(sslmode, "verify-ca") == 0 ? TLS_VERIFY_CA
                                                   : TLS_VERIFY_NONE;
}

struct cancel *cancel_start(struct loop *l, const struct cancel_options *options, cancel_done *done,
                            void *arg)
{
        const struct connection *of = options->connection;
        struct cancel *c = own_new(struct cancel);
        uint32_t key = of->key;

        *c = (struct cancel){.loop = l, .done = done, .arg = arg, .fd = -1};
        snprintf(c->address, sizeof c->address, "%s", of->address);
        c->port = of->port;
        c->pid = of->pid;
        for (size_t i = 0; i < sizeof c->key; i++)
                c->key[i] = (uint8_t) (key >> (24 - 8 * i));
        c->host = own_string(options->host ? options->host : "");
        c->root_cert = own_string(options->root_cert ? options->root_cert : "");
        /* Either is enough: a session that has TLS, or should have. */
        c->encrypted = of->tls[0] || strcmp(of->sslmode, "disable") != 0;
        c->verify = verify_as(of->sslmode);
        c->timeout_ms = options->timeout_ms;
        deadline_init(&c->limit, too_late);
        deadline_init(&c->again, reach_again);
        deferred_init(&c->start, reach_first);
        loop_set(l, &c->limit, loop_now(l) + options->timeout_ms);
        loop_defer(l, &c->start);
        return c;
}
