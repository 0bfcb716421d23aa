#include "ops/successor.h"

#include <string.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/own.h"
#include "io/watch.h"

enum { PATIENCE_MS = 10000, COUNT_MS = 200 };

/* name */
#define SUCCESSOR_STATES(X) X(OFFERED) X(SUCCEEDED) X(OVER)

enum successor_state {
#define X(name) SUCCESSOR_##name,
        SUCCESSOR_STATES(X)
#undef X
        SUCCESSOR_STATE_COUNT
};

struct successor {
        enum successor_state state;
        struct loop *loop;
        struct log *log;
        struct sessions *sessions;
        int fd;
        pid_t pid;
        struct watch *watch;
        struct deadline next;           /* OFFERED: it has had its time; SUCCEEDED: count clients */
        unsigned told;                  /* how many clients it knows of */
        const struct successor_events *events;
        void *arg;
};

/* The only writer of `state`. */
static void become(struct successor *s, enum successor_state state)
{
        static const unsigned moves[SUCCESSOR_STATE_COUNT] = {
                [SUCCESSOR_OFFERED] = 1u << SUCCESSOR_SUCCEEDED | 1u << SUCCESSOR_OVER,
                [SUCCESSOR_SUCCEEDED] = 1u << SUCCESSOR_OVER,
        };
        expect(moves[s->state] & 1u << state);
        s->state = state;
}

static void over(struct successor *s)
{
        bool offered = s->state == SUCCESSOR_OFFERED;
        become(s, SUCCESSOR_OVER);
        watch_for(s->watch, 0);
        loop_clear(s->loop, &s->next);
        (offered ? s->events->stay : s->events->gone)(s->arg);
}

static void tell_clients(struct successor *s)
{
        struct handover h = {.kind = HANDOVER_CLIENTS, .number = {s->sessions->count}};
        if (s->told != s->sessions->count && handover_send(s->fd, h, NULL, 0))
                s->told = s->sessions->count;
        loop_set(s->loop, &s->next, loop_now(s->loop) + COUNT_MS);
}

static void next(struct deadline *d)
{
        struct successor *s = container_of(d, struct successor, next);
        if (s->state == SUCCESSOR_SUCCEEDED) {
                tell_clients(s);
                return;
        }
        log_warn(s->log, "the process that was to take this one's place does not answer", log_int("pid", s->pid));
        over(s);
}

static void taken(struct successor *s)
{
        if (s->state != SUCCESSOR_OFFERED)
                return;
        if (!handover_send(s->fd, (struct handover){.kind = HANDOVER_GO}, NULL, 0)) {
                over(s);
                return;
        }
        become(s, SUCCESSOR_SUCCEEDED);
        s->told = UINT32_MAX;
        s->events->succeeded(s->arg, s->pid);
        tell_clients(s);
}

static void cancel(struct successor *s, const struct handover *h, int *fds)
{
        size_t size = h->key_size ? h->key_size : 4;
        if (fds[0] < 0 || size > HANDOVER_KEY)
                return;
        sessions_cancel_from(s->sessions, fds[0], h->number[0], (const uint8_t *) &h->number[1], size);
        fds[0] = -1;
}

static void take(struct successor *s, const struct handover *h, int *fds)
{
        switch (h->kind) {
        case HANDOVER_TAKEN:
                taken(s);
                break;
        case HANDOVER_CANCEL:
                cancel(s, h, fds);
                break;
        case HANDOVER_END:
                s->events->end(s->arg, h->number[0] != 0);
                break;
        default:
                break;
        }
        handover_close(fds);
}

static void readable(void *arg, unsigned events)
{
        struct successor *s = arg;
        struct handover h;
        int fds[PASS_MOST];
        (void) events;
        switch (handover_receive(s->fd, &h, fds)) {
        case PASS_READY:
                take(s, &h, fds);
                break;
        case PASS_SHORT:
                watch_for(s->watch, WATCH_READABLE);
                break;
        case PASS_OVER:
                over(s);
                break;
        }
}

static bool offer(int fd, uid_t uid, const struct successor_events *events, void *arg,
                  enum handover_refusal *why)
{
        struct listen_given given;
        *why = HANDOVER_STRANGER;
        if (uid != geteuid() || !events->lend(arg, &given, why))
                return false;
        int fds[] = {given.fd, given.lock};
        struct handover h = {.kind = HANDOVER_LISTENER, .number = {(uint32_t) getpid()}};
        if (handover_send(fd, h, fds, given.lock >= 0 ? 2 : 1))
                return true;
        events->stay(arg);
        return false;
}

struct successor *successor_new(struct loop *l, struct log *log, struct sessions *ss, int fd, pid_t pid,
                                uid_t uid, const struct successor_events *events, void *arg)
{
        enum handover_refusal why;
        if (!offer(fd, uid, events, arg, &why)) {
                log_warn(log, "a process may not take this one's place", log_int("pid", pid),
                         log_int("uid", uid), log_str("reason", handover_refusal_text(why)));
                handover_send(fd, (struct handover){.kind = HANDOVER_REFUSED, .number = {why}}, NULL, 0);
                close(fd);
                return NULL;
        }
        log_info(log, "a process takes this one's place", log_int("pid", pid));
        struct successor *s = own_new(struct successor);
        *s = (struct successor){.loop = l, .log = log, .sessions = ss, .fd = fd, .pid = pid,
                                .events = events, .arg = arg};
        deadline_init(&s->next, next);
        loop_set(l, &s->next, loop_now(l) + PATIENCE_MS);
        s->watch = watch_new(l, fd, readable, s);
        watch_for(s->watch, WATCH_READABLE);
        return s;
}

void successor_free(struct successor *s)
{
        if (!s)
                return;
        loop_clear(s->loop, &s->next);
        watch_free(s->watch);
        close(s->fd);
        free(s);
}

int successor_fd(const struct successor *s)
{
        return s->fd;
}
