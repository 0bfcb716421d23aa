#include "frontend/session_replication.h"

#include "frontend/session_cancel.h"
#include "frontend/session_parts.h"

#define OPTIONS_MAX 8192                /* with names and the rest they fit into a startup packet */

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

const struct stream_events session_replication_events = {client_received, session_flow_changed, session_flow_changed,
                                                         session_client_ended, NULL};

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
        struct error why = {0};
        error_set(&why, "08006", "the database server closed the replication connection: %s",
                  e ? e->text : "end of file");
        error_hint(&why, "Connect again.");
        session_server_gone(arg, &why, false);
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

/* ---- its login ---- */

static void refuse(struct session *s)
{
        struct error e = {0};
        const char *environment = s->home->pool->environment;
        error_set(&e, "0A000", "replication connections are refused: environments.%s.pool.replication is false",
                  environment);
        error_hint(&e, "Set it to true, or connect to the database server itself.");
        session_end(s, &e);
}

static void ask(struct session *s)
{
        struct bytes options;
        struct error e = {0};
        bytes_init(&options, OPTIONS_MAX);
        settings_options(s->greet->settings, &options);
        bytes_append(&options, "", 1);
        if (!options.failed) {
                const struct connect_session asked = {.options = (const char *) bytes_data(&options),
                                                      .replication = s->greet->replication};
                pins_add(&s->relay.track.pins, PIN_REPLICATION);
                pool_replicate(s->home->pool, &s->wait, session_pin(s), &asked, s->replication);
                session_settle(s);
        } else {
                error_set(&e, "54000", "the parameters of a replication connection may have %d bytes in all, "
                          "written as options", OPTIONS_MAX);
                session_end(s, &e);
        }
        bytes_free(&options);
}

void session_replicate(struct session *s)
{
        s->replication = startup_replication(s->greet->replication);
        if (session_options(s)->replication)
                ask(s);
        else
                refuse(s);
}

void session_replicating(struct session *s, struct server *server)
{
        s->relay.server = server;
        s->relay.raw = true;
        session_hold(s, server, &server_events);
        session_welcome(s);
}
