#include "frontend/session_parts.h"

#include "backend/pool_cancel.h"
#include "base/own.h"

/* What can take too long. */
enum timeout {
        TIMEOUT_NONE,
        TIMEOUT_TRIAL,                  /* the server does not answer what the client's login asks */
        TIMEOUT_IDLE,                   /* the client says nothing: outside of a transaction ... */
        TIMEOUT_PIN,                    /* ... there, while it keeps a server from others ... */
        TIMEOUT_IDLE_TRANSACTION,       /* ... in one, or before its Sync ... */
        TIMEOUT_MESSAGE,                /* ... in the middle of a message */
        TIMEOUT_QUERY,
        TIMEOUT_CANCEL,                 /* the server does not end the query that was canceled */
        TIMEOUT_TRANSACTION
};

struct due {
        enum timeout what;
        uint64_t at;                    /* loop ms */
};

static void consider(struct due *first, enum timeout what, uint64_t since, uint64_t limit)
{
        if (limit && since + limit < first->at)
                *first = (struct due){what, since + limit};
}

/* All is answered, and the client has to go on: in a transaction, or up to its Sync. */
static bool server_awaits_client(const struct track_server *t)
{
        return t->turns.count == 0 && t->turns.copy == COPY_NONE && !track_quiet(t);
}

/* Which timeout is over first, as things stand? */
static struct due first_due(const struct session *s)
{
        const struct relay *r = &s->relay;
        const struct pool_options *o = session_options(s);
        struct due d = {TIMEOUT_NONE, DEADLINE_NEVER};
        if (s->state == SESSION_TRYING) {
                consider(&d, TIMEOUT_TRIAL, s->greet->tried_at, o->server_connect_timeout);
                return d;
        }
        if (s->xact_at)
                consider(&d, TIMEOUT_TRANSACTION, s->xact_at, o->transaction_timeout);
        if (s->cancel_at)
                consider(&d, TIMEOUT_CANCEL, s->cancel_at, pool_cancel_patience(o));
        else if (s->query_at)
                consider(&d, TIMEOUT_QUERY, s->query_at, o->query_timeout);
        if (s->state == SESSION_IDLE)
                consider(&d, TIMEOUT_IDLE, s->heard_at, o->client_idle_timeout);
        if (s->state != SESSION_ACTIVE || stream_paused(r->client))
                return d;
        if (!frame_at_border(&r->cutter) || s->partial)
                consider(&d, TIMEOUT_MESSAGE, s->heard_at, o->message_timeout);
        else if (server_awaits_client(&r->server->track))
                consider(&d, TIMEOUT_IDLE_TRANSACTION, s->heard_at, o->idle_transaction_timeout);
        else if (track_quiet(&r->server->track)) {
                consider(&d, TIMEOUT_IDLE, s->heard_at, o->client_idle_timeout);
                if (session_pinned(s) && !session_mode(s))
                        consider(&d, TIMEOUT_PIN, s->heard_at, o->pin_idle_timeout);
        }
        return d;
}

/* The wake-up is put off only when it comes: what is over in time costs nothing but this look. */
static void rearm(struct session *s)
{
        struct due d = first_due(s);
        if (d.what != TIMEOUT_NONE && !(loop_is_set(&s->patience) && s->patience.at <= d.at))
                loop_set(s->loop, &s->patience, d.at);
}

void session_set_patience(struct session *s, uint64_t ms)
{
        if (ms)
                loop_set(s->loop, &s->patience, loop_now(s->loop) + ms);
        else
                loop_clear(s->loop, &s->patience);
}

/* ---- since when ---- */

static void forget_cancel(struct session *s)
{
        s->cancel_at = 0;
        free(TAKE(s->relay.canceled_for));
}

/* Something was answered since the last look: what follows begins anew. */
static void note_answers(struct session *s)
{
        struct relay *r = &s->relay;
        if (r->answers == s->answers)
                return;
        s->heard_at = loop_now(s->loop);
        s->query_at = s->cancel_at = 0;
        if (r->readies != s->readies && r->server && r->server->track.status == 'I')
                s->xact_at = 0;
        s->answers = r->answers;
        s->readies = r->readies;
}

static void note_open(struct session *s)
{
        const struct server *server = s->relay.server;
        uint64_t now = loop_now(s->loop);
        bool at_it, query = server && turns_owe_client(&server->track.turns, &at_it);
        bool xact = server && !track_idle(&server->track);
        /* The rows of a COPY FROM STDIN are the client's time, not the query's. */
        if (!query || (server->track.turns.copy == COPY_IN && s->heard_at == now))
                s->query_at = 0;
        if (query && !s->query_at)
                s->query_at = now;
        if (!xact)
                s->xact_at = 0;
        else if (!s->xact_at)
                s->xact_at = now;
        if (!s->query_at)
                s->cancel_at = 0;
        if (!s->cancel_at && s->relay.canceled_for && !(server && server->canceling))
                forget_cancel(s);
}

void session_watch_time(struct session *s)
{
        const struct pool_options *o = session_options(s);
        note_answers(s);
        if (o->query_timeout || o->transaction_timeout)
                note_open(s);
        else
                s->query_at = s->xact_at = s->cancel_at = 0;
        rearm(s);
}

/* ---- too late ---- */

static bool cancel(struct session *s)
{
        struct server *server = s->relay.server;
        return server && (server->canceling || pool_cancel(server));
}

static void end(struct session *s, const char *sqlstate, const char *what, uint64_t limit)
{
        struct error e = {0};
        error_set(&e, sqlstate, "%s (%g s)", what, (double) limit / 1000);
        session_end(s, &e);
}

/* The query ends as one that its client has canceled does, but in words that tell why. */
static void end_query(struct session *s)
{
        const struct pool_options *o = session_options(s);
        bool others = s->relay.server->canceling;
        if (!cancel(s)) {
                end(s, "57014", "query_timeout: the query ran for too long and could not be canceled",
                    o->query_timeout);
                return;
        }
        s->cancel_at = loop_now(s->loop);
        if (!others) {
                struct error *e = s->relay.canceled_for = own_new(struct error);
                error_set(e, "57014", "query_timeout: the query ran for longer than %g s and was canceled",
                          (double) o->query_timeout / 1000);
                error_hint(e, "Raise query_timeout if it may take that long.");
        }
        log_info(s->log, "query_timeout", log_str("environment", s->home->pool->environment),
                 log_int("client", (int64_t) s->id), log_int("pid", s->pid), log_int("uid", s->uid));
        session_settle(s);
}

/* Its server connection is closed. What it runs would go on, so that is canceled. */
static void end_transaction(struct session *s, uint64_t limit)
{
        if (s->query_at)
                cancel(s);
        end(s, "25P04", "transaction_timeout: the transaction lasted for too long", limit);
}

static void end_pin(struct session *s, uint64_t limit)
{
        struct error e = {0};
        char why[240];
        error_set(&e, "57P05", "pin_idle_timeout: the session was idle for too long (%g s) while it kept a "
                  "server connection from others (%s)", (double) limit / 1000,
                  pins_reasons(&s->relay.track.pins, why, sizeof why));
        error_hint(&e, "End such state when it is not needed any more (UNLISTEN, DROP, DISCARD ALL), or raise "
                   "pin_idle_timeout.");
        session_end(s, &e);
}

void session_patience_over(struct deadline *d)
{
        struct session *s = container_of(d, struct session, patience);
        struct error e = {0};
        if (s->state == SESSION_GREETING) {
                error_set(&e, "57014", "client_login_timeout: the client did not finish its login");
                session_end(s, &e);
                return;
        }
        const struct pool_options *o = session_options(s);
        struct due due = first_due(s);
        if (due.at > loop_now(s->loop)) {
                rearm(s);
                return;
        }
        switch (due.what) {
        case TIMEOUT_NONE:
                break;
        case TIMEOUT_TRIAL:
                session_trial_failed(s);
                break;
        case TIMEOUT_IDLE:
                end(s, "57P05", "client_idle_timeout: the session was idle for too long",
                    o->client_idle_timeout);
                break;
        case TIMEOUT_PIN:
                end_pin(s, o->pin_idle_timeout);
                break;
        case TIMEOUT_IDLE_TRANSACTION:
                end(s, "25P03", "idle_transaction_timeout: the transaction was idle for too long",
                    o->idle_transaction_timeout);
                break;
        case TIMEOUT_MESSAGE:
                end(s, "08P01", "message_timeout: the client stopped in the middle of a message while it "
                    "held a server", o->message_timeout);
                break;
        case TIMEOUT_QUERY:
                end_query(s);
                break;
        case TIMEOUT_CANCEL:
                end(s, "57014", "query_timeout: the query ran for too long, and the server did not end "
                    "it when it was canceled", o->query_timeout);
                break;
        case TIMEOUT_TRANSACTION:
                end_transaction(s, o->transaction_timeout);
                break;
        }
}
