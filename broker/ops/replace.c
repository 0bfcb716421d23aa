#include "ops/replace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/own.h"
#include "io/watch.h"
#include "ops/handover.h"

#define LOOK_MS 20

/* name */
#define REPLACE_STATES(X)                                                                          \
        X(REHEARSING)                   /* secrets and logins */                                   \
        X(ASKING)                       /* for the listener */                                     \
        X(TAKING)                       /* it is here: for the other's last word */                \
        X(OVER)

enum replace_state {
#define X(name) REPLACE_##name,
        REPLACE_STATES(X)
#undef X
        REPLACE_STATE_COUNT
};

struct replace {
        enum replace_state state;
        struct loop *loop;
        struct log *log;
        const struct sessions *sessions;
        struct elders *elders;
        struct sockaddr_un address;
        uint64_t patience, until;       /* ms; loop ms */
        int fd;                         /* -1: not connected */
        pid_t pid;                      /* the other's */
        struct watch *watch;
        struct deadline look;
        const struct replace_events *events;
        void *arg;
};

/* The only writer of `state`. */
static void become(struct replace *r, enum replace_state state)
{
        static const unsigned moves[REPLACE_STATE_COUNT] = {
                [REPLACE_REHEARSING] = 1u << REPLACE_ASKING | 1u << REPLACE_OVER,
                [REPLACE_ASKING] = 1u << REPLACE_TAKING | 1u << REPLACE_OVER,
                [REPLACE_TAKING] = 1u << REPLACE_OVER,
        };
        expect(moves[r->state] & 1u << state);
        r->state = state;
}

static void disconnect(struct replace *r)
{
        watch_free(TAKE(r->watch));
        if (r->fd >= 0)
                close(r->fd);
        r->fd = -1;
}

static void over(struct replace *r)
{
        become(r, REPLACE_OVER);
        loop_clear(r->loop, &r->look);
        disconnect(r);
}

static void fail(struct replace *r, const struct error *e)
{
        over(r);
        r->events->failed(r->arg, e);
}

static void fail_with(struct replace *r, const char *what)
{
        struct error e = {0};
        error_set(&e, "55000", "the broker on socket \"%s\" is not replaced: %s", r->address.sun_path, what);
        error_hint(&e, "It goes on as before.");
        fail(r, &e);
}

/* ---- the rehearsal ---- */

/* The first environment that can't serve yet; NULL: all can. */
static const struct sessions_environment *lacking(const struct replace *r)
{
        const struct sessions_environment *v;
        list_each(v, &r->sessions->environments, struct sessions_environment, link) {
                if (!keyring_active(v->pool->keyring) || !v->pool->known)
                        return v;
        }
        return NULL;
}

/* Waiting is of no use: the secret is not there, or not for us. */
static bool hopeless(struct replace *r, const struct sessions_environment *v)
{
        struct error e = {0};
        keyring_demand(v->pool->keyring, true);
        if (!keyring_given_up(v->pool->keyring, &e))
                return false;
        error_context(&e, "environment \"%s\"", v->name);
        fail(r, &e);
        return true;
}

static void fail_rehearsal(struct replace *r, const struct sessions_environment *v)
{
        struct error e = {0};
        struct keyring_status status;
        keyring_status(v->pool->keyring, &status);
        bool told = status.last_error && *status.last_error;
        error_set(&e, "57P03", "no login for environment \"%s\" within %u s%s%s", v->name,
                  (unsigned) (r->patience / 1000), told ? ": " : "", told ? status.last_error : "");
        error_hint(&e, "The broker that runs goes on as before; --check tells more.");
        fail(r, &e);
}

/* ---- the other's place ---- */

static void refuse(struct replace *r, uint32_t refusal)
{
        fail_with(r, handover_refusal_text(refusal));
}

static void take_listener(struct replace *r, const struct handover *h, int *fds)
{
        struct error e = {0};
        struct listen_given given = {fds[0], fds[1]};
        if (given.fd < 0) {
                fail_with(r, "it gave no listener");
                return;
        }
        fds[0] = fds[1] = -1;
        r->pid = (pid_t) h->number[0];
        become(r, REPLACE_TAKING);
        if (!r->events->offered(r->arg, &given, &e))
                fail(r, &e);
        else if (!handover_send(r->fd, (struct handover){.kind = HANDOVER_TAKEN}, NULL, 0))
                fail_with(r, "it does not hear");
}

static void succeed(struct replace *r)
{
        watch_free(TAKE(r->watch));
        elders_add(r->elders, r->fd, r->pid, 0, 0);
        r->fd = -1;
        over(r);
        r->events->succeeded(r->arg);
}

static void take(struct replace *r, const struct handover *h, int *fds)
{
        if (h->kind == HANDOVER_REFUSED && r->state == REPLACE_ASKING)
                refuse(r, h->number[0]);
        else if (h->kind == HANDOVER_LISTENER && r->state == REPLACE_ASKING)
                take_listener(r, h, fds);
        else if (h->kind == HANDOVER_GO && r->state == REPLACE_TAKING)
                succeed(r);
        else
                fail_with(r, "it answers what was not asked");
        handover_close(fds);
}

static void readable(void *arg, unsigned events)
{
        struct replace *r = arg;
        struct handover h;
        int fds[PASS_MOST];
        (void) events;
        switch (handover_receive(r->fd, &h, fds)) {
        case PASS_READY:
                take(r, &h, fds);
                break;
        case PASS_SHORT:
                watch_for(r->watch, WATCH_READABLE);
                break;
        case PASS_OVER:
                fail_with(r, "it ended the conversation, or is of a version that can't be replaced in this way");
                break;
        }
}

/* Who gives the listener may keep a copy and accept with us: only our own user may, or root, whose
 * service manager may have made it. */
static bool is_ours(const struct replace *r)
{
        pid_t pid;
        uid_t uid;
        return pass_peer(r->fd, &pid, &uid) && (uid == geteuid() || uid == 0);
}

/* The connection is made at once, or the queue is full: then later again. */
static void ask(struct replace *r)
{
        static const char request[] = STARTUP_SUCCESSOR_PACKET;
        r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (r->fd >= 0 && connect(r->fd, (struct sockaddr *) &r->address, sizeof r->address) == 0) {
                if (!is_ours(r)) {
                        fail_with(r, "it is another user's");
                } else if (send(r->fd, request, sizeof request - 1, MSG_NOSIGNAL) !=
                           (ssize_t) sizeof request - 1) {
                        fail_with(r, "it does not hear");
                } else {
                        r->watch = watch_new(r->loop, r->fd, readable, r);
                        watch_for(r->watch, WATCH_READABLE);
                }
                return;
        }
        int why = errno;
        disconnect(r);
        if (why == ENOENT || why == ECONNREFUSED) {
                over(r);
                r->events->nobody(r->arg);
        } else if (why != EAGAIN) {
                fail_with(r, strerror(why));
        }
}

/* ---- one after the other ---- */

static void look(struct deadline *d)
{
        struct replace *r = container_of(d, struct replace, look);
        const struct sessions_environment *v = r->state == REPLACE_REHEARSING ? lacking(r) : NULL;
        uint64_t now = loop_now(r->loop);
        loop_set(r->loop, d, now + LOOK_MS);
        if (now >= r->until) {
                v ? fail_rehearsal(r, v) : fail_with(r, "it does not answer");
                return;
        }
        if (v) {
                hopeless(r, v);
                return;
        }
        if (r->state == REPLACE_REHEARSING) {
                become(r, REPLACE_ASKING);
                r->until = now + r->patience;
        }
        if (r->state == REPLACE_ASKING && r->fd < 0)
                ask(r);
}

struct replace *replace_start(struct loop *l, struct log *log, const struct sessions *ss,
                              struct elders *elders, const struct replace_options *o,
                              const struct replace_events *events, void *arg)
{
        struct replace *r = own_new(struct replace);
        *r = (struct replace){.loop = l, .log = log, .sessions = ss, .elders = elders, .fd = -1,
                              .address = {.sun_family = AF_UNIX}, .patience = o->patience_ms,
                              .until = loop_now(l) + o->patience_ms, .events = events, .arg = arg};
        /* What does not fit listen_unix() refuses, with words: nobody can listen there. */
        snprintf(r->address.sun_path, sizeof r->address.sun_path, "%s/.s.PGSQL.%u", o->directory, o->port);
        deadline_init(&r->look, look);
        loop_set(l, &r->look, loop_now(l));
        return r;
}

void replace_free(struct replace *r)
{
        if (!r)
                return;
        loop_clear(r->loop, &r->look);
        disconnect(r);
        free(r);
}
