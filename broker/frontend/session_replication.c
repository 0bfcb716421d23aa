#include "frontend/session_replication.h"

#include "frontend/session_cancel.h"
#include "frontend/session_parts.h"

/* ---- from the client ---- */

static size_t client_received(void *arg, const uint8_t *p, size_t n)
{
        struct session *s = arg;
        struct error e = {0};
        size_t used;
        enum relay_verdict v = relay_requests(&s->relay, p, n, &used, &e);
        if (v != RELAY_MORE) {
                session_end(s, v == RELAY_BAD ? &e : NULL);
                return n;
        }
        session_settle(s);
        return used;
}

/* It says no more, and still gets what its server says until that has done all. */
static bool client_finished(void *arg)
{
        static const uint8_t terminate[] = {'X', 0, 0, 0, 4};
        struct session *s = arg;
        s->finished = frame_at_border(&s->relay.cutter);
        if (s->finished)
                stream_send(server_stream(s->relay.server), terminate, sizeof terminate);
        return s->finished;
}

const struct stream_events session_replication_events = {client_received, session_flow_changed, session_flow_changed,
                                                         session_client_ended, client_finished};

/* ---- from the server ---- */

static size_t server_received(void *arg, const uint8_t *p, size_t n)
{
        struct session *s = arg;
        struct error e = {0};
        size_t used;
        if (relay_replies(&s->relay, p, n, &used, &e) != RELAY_MORE) {
                session_server_gone(s, &e, false);
                return n;
        }
        session_settle(s);
        return used;
}

static void server_ended(void *arg, const struct error *e)
{
        struct session *s = arg;
        struct error why = {0};
        if (s->finished) {
                session_end(s, NULL);   /* it asked for that */
                return;
        }
        error_set(&why, "08006", "the database server closed the replication connection: %s",
                  e ? e->text : "end of file");
        error_hint(&why, "Connect again.");
        session_server_gone(s, &why, false);
}

static const struct stream_events server_events = {server_received, session_flow_changed, session_flow_changed,
                                                   server_ended, NULL};

/* Each side is read as long as the other takes what it says. */
static void flow(struct stream *from, const struct stream *to)
{
        if (stream_blocked(to))
                stream_pause(from);
        else
                stream_resume(from);
}

void session_replication_settle(struct session *s)
{
        struct stream *server;
        if (!s->relay.server) {
                stream_pause(s->relay.client);
                return;
        }
        server = server_stream(s->relay.server);
        flow(s->relay.client, server);
        flow(server, s->relay.client);
        session_cancel_look(s);
}

void session_replicating(struct session *s, struct server *server)
{
        s->relay.server = server;
        s->relay.raw = true;
        session_hold(s, server, &server_events);
        session_track(s, &(struct welcome){server->connection->reported, NULL});
        session_welcome(s);
}
