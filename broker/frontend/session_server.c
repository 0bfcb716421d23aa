#include "frontend/session_parts.h"

#include <time.h>
#include "backend/pool_notifier.h"

#define TRIALS 3                        /* servers on which the startup parameters are tried */
#define LONG_RESULT_MS 10
#define GULP (128 * 1024)

static const char again_hint[] = "Connect again; what was running may or may not have been done.";

/* ---- the server comes and goes ---- */

static const struct stream_events server_events;

/* Whoever only tries his parameters on it does nothing else there. */
static void note_client(const struct session *s, struct server *server)
{
        if (s->state == SESSION_TRYING && !session_keeps(s))
                return;
        if (server->last_client && server->last_client != s->id)
                server->track.foreign_sequences = true;
        server->last_client = s->id;
}

void session_hold(struct session *s, struct server *server, const struct stream_events *events)
{
        server->borrower = s;
        server->cancel_over = session_cancel_over;
        server->leave = session_leave_server;
        server->last_pid = s->pid;
        server->last_uid = s->uid;
        server->used = true;
        s->request_time = server->request_time = time(NULL);
        s->wait.has_server = true;
        stream_retarget(server_stream(server), events, s);
}

void session_borrow(struct session *s, struct server *server)
{
        bool reset = pool_must_reset(server, s->uid);
        note_client(s, server);
        session_hold(s, server, &server_events);
        server->result_at = 0;          /* of a client that left in the middle of a result */
        s->relay.pin_notice = session_options(s)->pin_notice && !session_keeps(s);
        relay_attach(&s->relay, server, reset);
        if (s->state != SESSION_TRYING)         /* then it can't notify anybody yet */
                pool_notifier_lent(server, s->relay.pid, loop_us());
        s->relay.xact_us = s->query_us = loop_us();
}

void session_clock(struct session *s)
{
        const struct server *server = s->relay.server;
        if (!server || !turns_own_only(&server->track.turns))
                return;
        s->query_us = loop_us();
        if (track_quiet(&server->track))
                s->relay.xact_us = s->query_us;
}

/* ---- pinned to it ---- */

static void pin_drain(void *client)
{
        struct session *s = client;
        struct error e = {0};
        error_set(&e, "57P01", "the server connection must be replaced and the session is pinned to it "
                  "(%s); pin_drain_timeout is over", pins_reason(&s->relay.track.pins));
        error_hint(&e, "Connect again; SHOW ROTATIONS tells what changed.");
        session_drain(s, &e);
}

struct pool_pin *session_pin(struct session *s)
{
        if (s->pin)
                return s->pin;
        s->pin = own_new(struct pool_pin);
        *s->pin = (struct pool_pin){.pins = &s->relay.track.pins, .wait = &s->wait, .server = &s->relay.server,
                                    .pid = s->pid, .uid = s->uid, .drain = pin_drain, .client = s};
        list_init(&s->pin->link);
        return s->pin;
}

void session_unpin(struct session *s)
{
        s->relay.may_pin = s->relay.pin_told = false;
        if (s->pin)
                pool_unpin(s->home->pool, s->pin);
}

/* ---- given back ---- */

void session_give_back(struct session *s)
{
        struct server *server = TAKE(s->relay.server);
        s->wait.has_server = false;
        session_unpin(s);
        stream_resume(server_stream(server));
        pool_notifier_left(server, s->relay.xact_us);
        pool_return(server);
}

/* Nothing is owed to the client any more; `ended`: nor is its transaction open. */
static void count_time(struct session *s, bool ended)
{
        struct pool *p = s->home->pool;
        uint64_t now = loop_us();
        p->stats.total.query_time += now - s->query_us;
        histogram_add(&p->latency.query, now - s->query_us);
        s->query_us = now;
        if (!ended)
                return;
        p->stats.total.xact_count++;
        p->stats.total.xact_time += now - s->relay.xact_us;
        histogram_add(&p->latency.transaction, now - s->relay.xact_us);
        s->relay.xact_us = now;
}

/* The last reply that was owed has come. What still has to be asked, a cancel request that is under way
 * must not hit: session_cancel_over() comes back here. */
void session_at_rest(struct session *s)
{
        struct relay *r = &s->relay;
        if (r->server->canceling && track_holds(&r->track))
                return;
        if (relay_audit(r))
                return;
        if (session_pinned(s) && !pins_hold(&r->track.pins))
                session_unpin(s);
        else if (pins_hold(&r->track.pins) && !session_mode(s))
                pool_pinned(s->home->pool, session_pin(s));
        if (session_mode(s) || !relay_done(r))
                return;
        if (s->state == SESSION_ACTIVE)
                session_become(s, SESSION_IDLE);
        else if (s->state != SESSION_WAITING_PIN)
                return;
        session_give_back(s);           /* who waits for leave to pin holds up nobody meanwhile */
}

/* The server is lost: only what the client has not begun can go on as if nothing were. */
void session_server_gone(struct session *s, const struct error *why, bool unseen)
{
        s->relay.fatal |= !relay_may_speak(&s->relay);
        s->wait.has_server = false;
        pool_discard(TAKE(s->relay.server), why->text);
        if (s->state == SESSION_TRYING)
                s->relay.fatal = false;         /* the client has heard nothing of it */
        /* Nothing was done yet: another one may do. */
        if (s->state == SESSION_TRYING && ++s->trials < TRIALS) {
                track_client_free(&s->relay.track);
                session_become(s, SESSION_LOGIN);
                session_log_in(s);
                return;
        }
        if (unseen && s->state == SESSION_ACTIVE && !session_keeps(s) && !s->relay.fatal) {
                session_unpin(s);
                session_become(s, SESSION_IDLE);
                session_settle(s);
                return;
        }
        session_end(s, why);
}

/* The server did not answer in server_connect_timeout what it was asked for the client's login. */
void session_trial_failed(struct session *s)
{
        struct error why = {0};
        error_set(&why, "08006", "the database server did not answer while the startup parameters were "
                  "tried (server_connect_timeout)");
        session_server_gone(s, &why, false);
}

/* ---- from the server ---- */

/* PostgreSQL writes 8 KiB at a time, and to be woken for each costs more than moving it. So a long result
 * is taken in gulps, a millisecond's each, once it has been coming for a while: what is still to come is a
 * tenth later at most. One that comes faster than that fills the buffer by itself. */
static void gulp(struct session *s, size_t n, bool goes_on)
{
        struct server *server = s->relay.server;
        uint64_t now = loop_now(s->loop), took = now - server->result_at;
        if (!goes_on) {
                server->result_at = 0;
        } else if (!server->result_at) {
                server->result_at = now;
                server->result_size = n;
        } else {
                server->result_size += n;
                if (took >= LONG_RESULT_MS && server->result_size < took * GULP)
                        stream_rest(server_stream(server));
        }
}

static size_t server_received(void *arg, const uint8_t *p, size_t n)
{
        struct session *s = arg;
        struct relay *r = &s->relay;
        struct server *server = r->server;
        struct error e;
        size_t used;
        error_clear(&e);
        bool owed = !turns_own_only(&server->track.turns), busy = !track_idle(&server->track);
        uint32_t answers = r->answers;
        enum relay_verdict v = relay_replies(r, p, n, &used, &e);
        if (v == RELAY_BAD || v == RELAY_LOST) {
                if (v == RELAY_BAD) {
                        log_error(s->log, "server out of sync",
                                  log_str("environment", s->home->pool->environment),
                                  log_int("client", (int64_t) s->id), log_reason(&e));
                        error_set(&e, "08006", "the database server's connection had to be closed: %s",
                                  e.text);
                        error_hint(&e, again_hint);
                } else {
                        log_info(s->log, "idle server dropped",
                                 log_str("environment", s->home->pool->environment),
                                 log_int("server", (int64_t) server->id), log_reason(&e));
                }
                session_server_gone(s, &e, v == RELAY_LOST);
                return n;
        }
        if (s->state == SESSION_TRYING) {
                if (track_quiet(&server->track))
                        session_tried(s);
                return used;
        }
        if (server->track.restore_failed) {
                const struct error *why = server->track.restore_reason;
                error_set(&e, "08006", "the session's parameters could not be restored on another "
                          "server connection: %s", why ? why->text : "refused");
                error_hint(&e, "Connect again.");
                pool_discard(TAKE(r->server), "a restore was refused");
                session_end(s, &e);
                return n;
        }
        gulp(s, n, owed && r->answers == answers);
        if ((owed || busy) && turns_own_only(&server->track.turns))
                count_time(s, busy && track_idle(&server->track));
        if (track_quiet(&server->track) && used == n)
                session_at_rest(s);
        session_settle(s);
        return used;
}

static void server_ended(void *arg, const struct error *e)
{
        struct session *s = arg;
        struct relay *r = &s->relay;
        bool unseen = track_lendable(&r->track, &r->server->track) && frame_at_border(&r->cutter);
        struct error why = {0};
        error_set(&why, "08006", "the database server closed the connection: %s",
                  e ? e->text : "end of file");
        error_hint(&why, again_hint);
        session_server_gone(s, &why, unseen);
}

static const struct stream_events server_events = {server_received, session_flow_changed,
                                                   session_flow_changed, server_ended, NULL};
