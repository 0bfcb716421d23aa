#include "ops/snapshot_clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* ---- CLIENTS ---- */

/* PgBouncer's columns, as of SERVERS. */
static const struct snapshot_column clients_columns[] = {
        {"type", 's', "C, for client."},
        {"user", 's', "What the client calls itself."},
        {"database", 's', "The environment."},
        {"replication", 's', "physical or logical: it speaks replication; none: it does not."},
        {"state", 's',
         "active: has a server; waiting: for one, or for leave to pin; idle: neither."},
        {"addr", 's', "unix."},
        {"port", 'i', "The number in the socket's name."},
        {"local_addr", 's', "unix."},
        {"local_port", 'i', "The number in the socket's name."},
        {"connect_time", 's', "When it was connected."},
        {"request_time", 's', "When it last got a server; NULL: never yet."},
        {"wait", 'i', "How long it has waited, in whole seconds; 0 if it does not wait."},
        {"wait_us", 'i', "The microseconds on top of wait."},
        {"close_needed", 'i', "1: it is sent away as soon as nothing is open."},
        {"ptr", 's', "A name of its own."},
        {"link", 's', "ptr of the server it has, or empty."},
        {"remote_pid", 'i', "The process at the other end."},
        {"tls", 's', "Empty: the socket is the kernel's own."},
        {"application_name", 's', "What the client says its program is."},
        {"prepared_statements", 'i', "How many named statements it has prepared."},
        {"id", 'i', "The client's number, as in the log."},
};

#define NAME_SIZE 160

static const char *client_name(const struct session *s, char *name)
{
        snprintf(name, NAME_SIZE, "client-%llu", (unsigned long long) s->id);
        return name;
}

static const char *server_name(const struct server *s, const char *environment, char *name)
{
        snprintf(name, NAME_SIZE, "server-%.*s-%llu", NAME_SIZE / 2, environment,
                 (unsigned long long) s->id);
        return name;
}

static uint64_t waited(const struct session *s)
{
        uint64_t now = loop_us();
        return wait_waits(&s->wait) && now > s->wait.since_us ? now - s->wait.since_us : 0;
}

static void clients_row(const struct snapshot_world *w, const struct session *s,
                        struct snapshot_rows *r)
{
        const struct server *server = s->relay.server;
        const char *environment = s->home->pool->environment;
        unsigned port = w->config->socket.port;
        uint64_t wait = waited(s);
        char name[NAME_SIZE];
        snapshot_text(r, "C");
        snapshot_text(r, s->user);
        snapshot_text(r, environment);
        snapshot_text(r, replication_name(s->replication));
        snapshot_text(r, session_state_name(s->state));
        snapshot_text(r, "unix");
        snapshot_count(r, port);
        snapshot_text(r, "unix");
        snapshot_count(r, port);
        snapshot_moment(r, s->connect_time);
        snapshot_moment(r, s->request_time);
        snapshot_count(r, wait / 1000000);
        snapshot_count(r, wait % 1000000);
        snapshot_count(r, s->farewell != NULL);
        snapshot_text(r, client_name(s, name));
        snapshot_text(r, server ? server_name(server, environment, name) : "");
        snapshot_number(r, s->pid);
        snapshot_text(r, "");
        snapshot_text(r, settings_get(s->relay.track.wanted, "application_name"));
        snapshot_count(r, statements_count(&s->relay.track.statements));
        snapshot_count(r, s->id & INT32_MAX);
        snapshot_end(r);
}

static void clients_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct session *s;
        list_each(s, &w->sessions->all, struct session, link) {
                if (s->home)
                        clients_row(w, s, r);
        }
}

const struct snapshot snapshot_clients = {
        .name = "CLIENTS",
        .description = "Each client, with what it is at.",
        SNAPSHOT_OF(clients_columns),
        .rows = clients_rows,
};

/* ---- SERVERS ---- */

static const struct snapshot_column servers_columns[] = {
        {"type", 's', "S, for server."},
        {"user", 's', "The name it has logged in with."},
        {"database", 's', "The environment."},
        {"replication", 's', "physical or logical: made for one client that speaks replication; else none."},
        {"state", 's',
         "active: a client has it; idle: may be lent; tested: being cleaned; being_canceled: a "
         "cancel request may still hit it; new: being made."},
        {"addr", 's', "The server's address; NULL while it is being made."},
        {"port", 'i', "The server's port."},
        {"local_addr", 's', "Our address towards the server; NULL while it is being made."},
        {"local_port", 'i', "Our port towards the server: client_port in pg_stat_activity."},
        {"connect_time", 's', "When it was connected."},
        {"request_time", 's', "When it was last lent; NULL: never yet."},
        {"wait", 'i', "0: servers do not wait."},
        {"wait_us", 'i', "0: servers do not wait."},
        {"close_needed", 'i', "1: it is closed as soon as no client has it."},
        {"ptr", 's', "A name of its own."},
        {"link", 's', "ptr of the client that has it, or empty."},
        {"remote_pid", 'i', "The server's own process: pid in pg_stat_activity."},
        {"tls", 's', "TLS version and cipher, or empty where the connection is not encrypted."},
        {"application_name", 's', "What the server calls the program that it serves."},
        {"prepared_statements", 'i', "How many of its clients' named statements it has."},
        {"id", 'i', "The connection's number in its environment."},
};

struct place {
        char address[INET6_ADDRSTRLEN];
        unsigned port;
};

/* Our own end of a connection. */
static struct place local_place(int fd)
{
        struct place place = {"unix", 0};
        struct sockaddr_storage a = {0};
        socklen_t size = sizeof a;
        if (getsockname(fd, (struct sockaddr *) &a, &size) != 0)
                return place;
        if (a.ss_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *) &a;
                inet_ntop(AF_INET, &in->sin_addr, place.address, sizeof place.address);
                place.port = ntohs(in->sin_port);
        } else if (a.ss_family == AF_INET6) {
                const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) &a;
                inet_ntop(AF_INET6, &in->sin6_addr, place.address, sizeof place.address);
                place.port = ntohs(in->sin6_port);
        }
        return place;
}

static void servers_row(const struct pool *p, const struct server *s, struct snapshot_rows *r)
{
        const struct connection *c = s->connection;
        const struct session *client = s->state == SERVER_LENT ? s->borrower : NULL;
        struct place local = c ? local_place(stream_fd(c->stream)) : (struct place){"", 0};
        char name[NAME_SIZE];
        snapshot_text(r, "S");
        snapshot_text(r, s->credential->document->username);
        snapshot_text(r, p->environment);
        snapshot_text(r, replication_name(s->replication));
        snapshot_text(r, server_state_name(s->state));
        snapshot_text(r, c ? c->address : NULL);
        snapshot_count(r, c ? c->port : s->credential->document->port);
        snapshot_text(r, c ? local.address : NULL);
        snapshot_count(r, local.port);
        snapshot_moment(r, s->connect_time);
        snapshot_moment(r, s->request_time);
        snapshot_count(r, 0);
        snapshot_count(r, 0);
        snapshot_count(r, s->close_needed);
        snapshot_text(r, server_name(s, p->environment, name));
        snapshot_text(r, client ? client_name(client, name) : "");
        snapshot_count(r, c ? c->pid : 0);
        snapshot_text(r, c ? c->tls : "");
        snapshot_text(r, settings_get(s->track.reported, "application_name"));
        snapshot_count(r, s->track.prepared.there ? map_count(s->track.prepared.there) : 0);
        snapshot_count(r, s->id & INT32_MAX);
        snapshot_end(r);
}

static void servers_of(const struct pool *p, struct snapshot_rows *r)
{
        const struct server *s;
        for (int state = 0; state < SERVER_CLOSED; state++) {
                list_each(s, &p->servers.in[state], struct server, link)
                        servers_row(p, s, r);
        }
}

static void servers_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                servers_of(v->pool, r);
}

const struct snapshot snapshot_servers = {
        .name = "SERVERS",
        .description = "Each server connection, with what it is at.",
        SNAPSHOT_OF(servers_columns),
        .rows = servers_rows,
};

/* ---- PINS ---- */

static const struct snapshot_column pins_columns[] = {
        {"environment", 's', "The environment."},
        {"client_id", 'q', "The client's number: id in SHOW CLIENTS."},
        {"pid", 'i', "The client's process."},
        {"uid", 'i', "The client's user, as the kernel says."},
        {"reason", 's', "The kinds of session state that tie it to its server, as in ISOLATION.md."},
        {"age_s", 'q', "For how many seconds it has been tied."},
        {"query", 's', "The beginning of the statement that tied it, with ? for every constant: strings, numbers, "
         "and what a SET sets; no comments. NULL: it was not seen as a whole (a message longer than 64 KiB, a "
         "function called by its number), or can be read in two ways (standard_conforming_strings off)."},
};

static void pins_row(const struct session *s, struct snapshot_rows *r)
{
        uint64_t now = loop_now(s->loop);
        char reason[240];
        pins_reasons(&s->relay.track.pins, reason, sizeof reason);
        snapshot_text(r, s->home->pool->environment);
        snapshot_count(r, s->id);
        snapshot_number(r, s->pid);
        snapshot_number(r, s->uid);
        snapshot_text(r, *reason ? reason : "a statement that may pin is under way");
        snapshot_count(r, now > s->pin->since ? (now - s->pin->since) / 1000 : 0);
        snapshot_text(r, s->relay.track.pins.query);
        snapshot_end(r);
}

static void pins_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct session *s;
        list_each(s, &w->sessions->all, struct session, link) {
                if (s->home && session_pinned(s))
                        pins_row(s, r);
        }
}

const struct snapshot snapshot_pins = {
        .name = "PINS",
        .description = "Clients that keep their server beyond the transaction, and why.",
        SNAPSHOT_OF(pins_columns),
        .rows = pins_rows,
};
