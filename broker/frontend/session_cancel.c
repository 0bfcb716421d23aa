#include "frontend/session_cancel.h"

#include "backend/pool_cancel.h"
#include "base/expect.h"
#include "base/own.h"
#include "frontend/session_parts.h"

/* name */
#define REQUEST_STATES(X) X(WAITING) X(ACTIVE) X(ENDED)

enum request_state {
#define X(name) REQUEST_##name,
        REQUEST_STATES(X)
#undef X
        REQUEST_STATE_COUNT
};

/* A connection that brought a cancel request: in the session's list while it waits, then with the
 * pool. */
struct request {
        enum request_state state;
        struct loop *loop;
        struct pool *pool;
        struct session *session;        /* WAITING */
        struct pool_asker asker;        /* its link is that of both lists */
        struct stream *stream;          /* NULL: the client did not wait for an answer */
        struct deadline patience;
};

static struct request *first(const struct session *s)
{
        return list_first(&s->cancels, struct request, asker.link);
}

/* The only writer of `state`. */
static void become(struct request *q, enum request_state state)
{
        static const unsigned moves[REQUEST_STATE_COUNT] = {
                [REQUEST_WAITING] = 1u << REQUEST_ACTIVE | 1u << REQUEST_ENDED,
                [REQUEST_ACTIVE] = 1u << REQUEST_ENDED,
        };
        struct pool *p = q->pool;
        expect(moves[q->state] & 1u << state);
        *(q->state == REQUEST_WAITING ? &p->cancels_waiting : &p->cancels_active) -= 1;
        q->state = state;
        p->cancels_active += state == REQUEST_ACTIVE;
}

/* Closing is all the answer there is. */
static void end(struct request *q)
{
        become(q, REQUEST_ENDED);
        list_remove(&q->asker.link);
        loop_clear(q->loop, &q->patience);
        stream_free(q->stream);
        free(q);
}

static void over(struct pool_asker *a)
{
        end(container_of(a, struct request, asker));
}

static void waited_too_long(struct deadline *d)
{
        end(container_of(d, struct request, patience));
}

/* ---- the connection ---- */

static size_t received(void *arg, const uint8_t *p, size_t n)
{
        (void) arg;
        (void) p;
        return n;
}

static void filled(void *arg)
{
        (void) arg;
}

/* Most clients wait for the end, some don't: what they asked for holds all the same. One request that
 * waits is enough for all who are gone. */
static void left(void *arg, const struct error *e)
{
        struct request *q = arg;
        (void) e;
        stream_free(TAKE(q->stream));
        if (q->state == REQUEST_ACTIVE || q->asker.link.next != q->asker.link.prev)
                end(q);
}

static const struct stream_events events = {received, filled, filled, left, NULL};

static void join(struct session *s, struct stream *stream)
{
        struct request *q = own_new(struct request);
        struct pool *p = s->home->pool;
        uint64_t timeout = p->config.options.cancel_wait_timeout;
        *q = (struct request){.loop = s->loop, .pool = p, .session = s, .asker = {.over = over}};
        deadline_init(&q->patience, waited_too_long);
        list_push_back(&s->cancels, &q->asker.link);
        if (timeout)
                loop_set(s->loop, &q->patience, loop_now(s->loop) + timeout);
        if (p->cancels_waiting++ + p->cancels_active < SESSION_CANCELS_OPEN) {
                q->stream = stream;
                stream_retarget(stream, &events, q);
                return;
        }
        stream_free(stream);
        if (first(s) != q)
                end(q);
}

/* ---- what to do ---- */

enum aim { AIM_NOTHING, AIM_LATER, AIM_HERE, AIM_SERVER };

/* The client may have said something before it asked for the cancel that was not read yet. */
static enum aim aim_unread(const struct session *s)
{
        return s->partial || stream_quiet(s->relay.client) ? AIM_NOTHING : AIM_LATER;
}

static enum aim aim(const struct session *s)
{
        const struct server *server = s->relay.server;
        bool now;
        if (s->state == SESSION_WAITING || (s->state == SESSION_WAITING_PIN && !server))
                return AIM_HERE;
        if (!server)
                return aim_unread(s);
        if (server->canceling)
                return AIM_LATER;
        if (s->replication)
                return AIM_SERVER;
        if (turns_owe_client(&server->track.turns, &now))
                return now ? AIM_SERVER : AIM_LATER;
        return s->state == SESSION_WAITING_PIN ? AIM_HERE : aim_unread(s);
}

static void end_waiting(struct session *s)
{
        struct request *q;
        while ((q = first(s)))
                end(q);
}

static void send_it(struct session *s)
{
        struct request *q;
        if (!pool_cancel(s->relay.server)) {
                end_waiting(s);
                return;
        }
        while ((q = first(s))) {
                become(q, REQUEST_ACTIVE);
                loop_clear(q->loop, &q->patience);
                list_remove(&q->asker.link);
                pool_cancel_join(s->relay.server, &q->asker);
        }
        session_settle(s);
}

static void answer_here(struct session *s)
{
        end_waiting(s);
        pool_leave(s->home->pool, &s->wait);
        relay_cancel(&s->relay);
        session_become(s, s->relay.server ? SESSION_ACTIVE : SESSION_IDLE);
        session_settle(s);
        stream_again(s->relay.client);
}

void session_cancel_look(struct session *s)
{
        if (list_empty(&s->cancels))
                return;
        switch (aim(s)) {
        case AIM_NOTHING:
                end_waiting(s);
                break;
        case AIM_LATER:
                break;
        case AIM_HERE:
                answer_here(s);
                break;
        case AIM_SERVER:
                send_it(s);
                break;
        }
}

void session_cancel(struct session *s, struct stream *stream)
{
        join(s, stream);
        session_cancel_look(s);
}

void session_cancel_end(struct session *s)
{
        end_waiting(s);
}

/* The cancel request that was under way for the session's server is over. */
void session_cancel_over(void *borrower)
{
        struct session *s = borrower;
        if (s->state == SESSION_ACTIVE && track_quiet(&s->relay.server->track))
                session_at_rest(s);
        session_settle(s);
}
