#include "frontend/session_parts.h"

#include <string.h>
#include "backend/pool_notifier.h"
#include "base/expect.h"
#include "base/own.h"
#include "frontend/session_cancel.h"
#include "frontend/session_replication.h"
#include "wire/compose.h"

static const char *const names[SESSION_STATE_COUNT] = {
#define X(name, label) [SESSION_##name] = label,
        SESSION_STATES(X)
#undef X
};

#define TO(state) (1u << SESSION_##state)

static const unsigned moves[SESSION_STATE_COUNT] = {
        [SESSION_GREETING] = TO(LOGIN) | TO(ENDED),
        [SESSION_LOGIN] = TO(TRYING) | TO(IDLE) | TO(ACTIVE) | TO(ENDED),
        [SESSION_TRYING] = TO(LOGIN) | TO(IDLE) | TO(ACTIVE) | TO(ENDED),
        [SESSION_IDLE] = TO(WAITING) | TO(ACTIVE) | TO(WAITING_PIN) | TO(ENDED),
        [SESSION_WAITING] = TO(ACTIVE) | TO(IDLE) | TO(ENDED),
        [SESSION_ACTIVE] = TO(IDLE) | TO(WAITING_PIN) | TO(ENDED),
        [SESSION_WAITING_PIN] = TO(ACTIVE) | TO(IDLE) | TO(ENDED),
        [SESSION_ENDED] = 0,
};

const char *session_state_name(enum session_state s)
{
        return names[s];
}

void session_become(struct session *s, enum session_state state)
{
        expect(moves[s->state] & 1u << state);
        s->state = state;
}

const struct pool_options *session_options(const struct session *s)
{
        return &s->home->pool->config.options;
}

bool session_mode(const struct session *s)
{
        return session_options(s)->pool_mode == POOL_SESSION;
}

/* ---- reading and pausing ---- */

static bool waits(const struct session *s)
{
        return s->state == SESSION_WAITING || s->state == SESSION_WAITING_PIN;
}

/* Each side is read as long as the other takes what it says. A client that waits for a server is
 * paused only when it says more (client_received()): telling the kernel twice for each wait would
 * cost more than the message. */
static void flow(struct session *s)
{
        struct relay *r = &s->relay;
        bool login = s->state == SESSION_LOGIN || s->state == SESSION_TRYING;
        bool full = r->server ? stream_blocked(server_stream(r->server)) ||
                                        turns_full(&r->server->track.turns) || r->server->canceling ||
                                        track_settling(&r->track, &r->server->track)
                              : stream_blocked(r->client);      /* answers of the broker's own */
        if (login || full)
                stream_pause(r->client);
        else if (!waits(s))
                stream_resume(r->client);
        if (!r->server)
                return;
        if (stream_blocked(r->client))
                stream_pause(server_stream(r->server));
        else
                stream_resume(server_stream(r->server));
}

/* No request and no transaction is open. */
static bool may_leave(const struct session *s)
{
        const struct relay *r = &s->relay;
        return s->state == SESSION_IDLE || s->state == SESSION_GREETING || s->replication ||
               (s->state == SESSION_ACTIVE && track_quiet(&r->server->track) &&
                frame_at_border(&r->cutter) && !s->partial);
}

/* Will it be answered, though it says no more? What it has sent in part will not be. */
static bool owes(const struct session *s)
{
        const struct track_server *t = s->relay.server ? &s->relay.server->track : NULL;
        bool begun = t && t->inside && s->relay.cutter.type == 'Q';
        bool asked = t && s->relay.track.check == CHECK_ASKED;
        return waits(s) || asked || (t && t->turns.copy != COPY_IN && turns_readies(&t->turns) > begun);
}

/* Its last answer is on its way: it may go, unless something of what it said is still to be read. */
static bool leave_when_answered(struct session *s)
{
        if (!s->finished || owes(s) || stream_blocked(s->relay.client))
                return false;
        if (s->partial) {
                stream_again(s->relay.client);
                return false;
        }
        session_end(s, NULL);
        return true;
}

/* After every event: who is read, which timeout runs, whether it must go now, and whether it is time
 * for a cancel request. */
void session_settle(struct session *s)
{
        if (s->state == SESSION_ENDED || s->state == SESSION_GREETING)
                return;
        if (s->farewell && may_leave(s)) {
                session_end(s, s->farewell);
                return;
        }
        if (s->replication) {
                session_replication_settle(s);
                return;
        }
        if (leave_when_answered(s))
                return;
        flow(s);
        session_watch_time(s);
        session_cancel_look(s);
}

/* ---- the end ---- */

static void say_fatal(struct session *s, const struct error *e)
{
        struct bytes b;
        bytes_init(&b, 0);
        compose_error(&b, "FATAL", e);
        stream_send_copy(s->relay.client, bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
}

static void leave_server(struct session *s)
{
        struct server *server = TAKE(s->relay.server);
        pool_notifier_left(server, loop_us());
        if (frame_at_border(&s->relay.cutter))
                pool_abandon(server, &s->relay.track);
        else
                pool_discard(server, "its client left in the middle of a message");
}

void session_end(struct session *s, const struct error *e)
{
        if (s->state == SESSION_ENDED)
                return;
        if (e && relay_may_speak(&s->relay))
                say_fatal(s, e);
        if (e) {
                s->keeper->failed(s->keeper->arg, s, e);
                log_info(s->log, "client refused or ended",
                         log_str("environment", s->home ? s->home->pool->environment : ""),
                         log_int("client", (int64_t) s->id), log_int("pid", s->pid),
                         log_int("uid", s->uid), log_reason(e));
        }
        session_become(s, SESSION_ENDED);
        session_cancel_end(s);
        loop_clear(s->loop, &s->patience);
        if (s->home) {
                pool_leave(s->home->pool, &s->wait);
                session_unpin(s);
        }
        if (s->relay.server)
                leave_server(s);
        if (s->home)
                pool_exit(s->home->pool, &s->wait);
        if (e || s->finished)
                s->keeper->see_out(s->keeper->arg, s->relay.client);
        else
                stream_free(s->relay.client);
        s->keeper->ended(s->keeper->arg, s);
        list_remove(&s->link);
        loop_defer(s->loop, &s->burial);
}

void session_bury(struct deferred *d)
{
        struct session *s = container_of(d, struct session, burial);
        if (s->greet)
                greet_free(s->greet);
        free(s->greet);
        free(s->user);
        free(s->farewell);
        free(s->relay.canceled_for);
        track_client_free(&s->relay.track);
        free(s->pin);
        free(s);
}

void session_flow_changed(void *arg)
{
        session_settle(arg);
}

/* ---- from the client ---- */

static bool get_server(struct session *s)
{
        struct server *server = pool_take(s->home->pool, &s->wait);
        if (!server) {
                session_become(s, SESSION_WAITING);
                return false;
        }
        session_become(s, SESSION_ACTIVE);
        session_borrow(s, server);
        return true;
}

static bool get_pin(struct session *s)
{
        if (!pool_pin(s->home->pool, session_pin(s), &s->wait)) {
                session_become(s, SESSION_WAITING_PIN);
                if (s->relay.server && !session_mode(s) && relay_done(&s->relay))
                        session_give_back(s);
                return false;
        }
        s->relay.may_pin = true;
        return true;
}

/* A request that would pin asks for leave first, so that it does not hold a server while it waits. */
static size_t requests(struct session *s, const uint8_t *p, size_t n)
{
        struct error e;
        size_t at = 0, used;
        error_clear(&e);
        for (;;) {
                enum relay_verdict v = relay_requests(&s->relay, p + at, n - at, &used, &e);
                at += used;
                switch (v) {
                case RELAY_NEED_SERVER:
                        if (get_server(s))
                                continue;
                        return at;
                case RELAY_NEED_PIN:
                        if (get_pin(s))
                                continue;
                        return at;
                case RELAY_GOODBYE:
                        s->finished = owes(s);
                        if (!s->finished)
                                session_end(s, NULL);
                        return n;
                case RELAY_BAD:
                        session_end(s, &e);
                        return n;
                default:
                        return at;
                }
        }
}

static size_t client_received(void *arg, const uint8_t *p, size_t n)
{
        struct session *s = arg;
        if (waits(s)) {
                stream_pause(s->relay.client);
                return 0;
        }
        s->heard_at = loop_now(s->loop);
        session_clock(s);
        size_t used = requests(s, p, n);
        s->partial = used < n;
        if (s->finished && used == 0 && !owes(s))
                s->partial = false;     /* the rest of it will never come */
        session_settle(s);
        return s->state == SESSION_ENDED ? n : used;
}

static bool client_finished(void *arg)
{
        struct session *s = arg;
        s->finished = owes(s);
        return s->finished;
}

void session_client_ended(void *arg, const struct error *e)
{
        struct session *s = arg;
        (void) e;
        s->finished = false;            /* nobody is there to read more */
        session_end(s, NULL);
}

const struct stream_events session_client_events = {client_received, session_flow_changed, session_flow_changed,
                                                   session_client_ended, client_finished};

/* ---- waiting ---- */

static void given(struct pool_wait *w, struct server *server)
{
        struct session *s = container_of(w, struct session, wait);
        if (s->state == SESSION_LOGIN) {
                if (s->replication)
                        session_replicating(s, server);
                else
                        session_try(s, server);
                return;
        }
        if (s->state == SESSION_WAITING_PIN) {
                expect(pool_pin(s->home->pool, session_pin(s), &s->wait));
                s->relay.may_pin = true;
                session_become(s, s->relay.server ? SESSION_ACTIVE : SESSION_IDLE);
        } else {
                s->relay.may_pin = session_pinned(s);      /* it may have been passed on meanwhile */
                session_become(s, SESSION_ACTIVE);
                session_borrow(s, server);
        }
        stream_again(s->relay.client);
        session_settle(s);
}

static void wait_failed(struct pool_wait *w, const struct error *e)
{
        session_end(container_of(w, struct session, wait), e);
}

static void wait_notify(struct pool_wait *w, const char *text)
{
        relay_notice(&container_of(w, struct session, wait)->relay, text);
}

const struct pool_wait_events session_wait_events = {given, wait_failed, wait_notify};

/* ---- going ---- */

void session_leave_server(void *borrower)
{
        struct error e = {0};
        error_set(&e, "57P01", "the server connection must be replaced (server_fast_close)");
        error_hint(&e, "Connect again.");
        session_drain(borrower, &e);
}

void session_drain(struct session *s, const struct error *e)
{
        if (may_leave(s)) {
                session_end(s, e);
                return;
        }
        if (!s->farewell)
                s->farewell = own_new(struct error);
        *s->farewell = *e;
}

