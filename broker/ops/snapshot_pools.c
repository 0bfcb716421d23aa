#include "ops/snapshot_pools.h"

#include <string.h>

const char *snapshot_login(const struct pool *p)
{
        const struct credential *c = keyring_active(p->keyring);
        return c ? c->document->username : "";
}

unsigned snapshot_waiting(const struct pool *p)
{
        return p->waiting.count + p->dedicated.waiting.count + p->pinning.waiting.count;
}

static const char *mode_name(const struct pool *p)
{
        return p->config.options.pool_mode == POOL_SESSION ? "session" : "transaction";
}

/* ---- POOLS ---- */

static const struct snapshot_column pools_columns[] = {
        {"database", 's', "The environment."},
        {"user", 's', "The name that new server connections log in with: the secret's."},
        {"cl_active", 'i', "Clients that have a server or want none at the moment."},
        {"cl_waiting", 'i', "Clients that wait for a server or for leave to pin."},
        {"cl_active_cancel_req", 'i', "Clients whose cancel request is on its way to the server."},
        {"cl_waiting_cancel_req", 'i', "Clients whose cancel request has yet to be sent."},
        {"sv_active", 'i', "Servers that a client has."},
        {"sv_active_cancel", 'i', "Connections that carry a cancel request to the server."},
        {"sv_being_canceled", 'i',
         "Servers that nobody has, and that a cancel request under way may still hit."},
        {"sv_idle", 'i', "Servers that may be lent at once."},
        {"sv_used", 'i', "0: no server needs a check before it is lent."},
        {"sv_tested", 'i', "Servers that are being tested, or cleaned after a client left them as they were."},
        {"sv_login", 'i', "Server connections that are being made."},
        {"maxwait", 'i', "How long the client that waits longest has waited, in whole seconds."},
        {"maxwait_us", 'i', "The microseconds on top of maxwait."},
        {"pool_mode", 's', "For how long a client keeps its server: transaction or session."},
        {"load_balance_hosts", 's', "With which of several hosts a login begins; NULL: there is one."},
};

static uint64_t longest_wait(const struct pool *p)
{
        const struct wait_line *const lines[] = {&p->waiting, &p->dedicated.waiting, &p->pinning.waiting};
        uint64_t now = loop_us(), longest = 0;
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                const struct pool_wait *w = wait_oldest(lines[i]);
                if (w && now > w->since_us && now - w->since_us > longest)
                        longest = now - w->since_us;
        }
        return longest;
}

static const char *balance_name(const struct pool *p)
{
        const struct credential *c = keyring_active(p->keyring);
        if (!c || c->document->hosts.count < 2)
                return NULL;
        return p->config.options.load_balance_hosts == BALANCE_DISABLE ? "disable" : "round-robin";
}

static void pools_row(const struct pool *p, struct snapshot_rows *r)
{
        const unsigned *servers = p->servers.count;
        unsigned waiting = snapshot_waiting(p);
        uint64_t longest = longest_wait(p);
        snapshot_text(r, p->environment);
        snapshot_text(r, snapshot_login(p));
        snapshot_count(r, p->clients > waiting ? p->clients - waiting : 0);
        snapshot_count(r, waiting);
        snapshot_count(r, p->cancels_active);
        snapshot_count(r, p->cancels_waiting);
        snapshot_count(r, servers[SERVER_LENT]);
        snapshot_count(r, p->cancel_count);
        snapshot_count(r, servers[SERVER_CANCELED]);
        snapshot_count(r, servers[SERVER_IDLE]);
        snapshot_count(r, 0);
        snapshot_count(r, servers[SERVER_CLEANING] + servers[SERVER_TESTING]);
        snapshot_count(r, servers[SERVER_LOGIN] + servers[SERVER_PREPARING]);
        snapshot_count(r, longest / 1000000);
        snapshot_count(r, longest % 1000000);
        snapshot_text(r, mode_name(p));
        snapshot_text(r, balance_name(p));
        snapshot_end(r);
}

static void pools_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                pools_row(v->pool, r);
}

const struct snapshot snapshot_pools = {
        .name = "POOLS",
        .description = "Clients and servers of each environment, counted by what they are at.",
        SNAPSHOT_OF(pools_columns),
        .rows = pools_rows,
};

/* ---- DATABASES ---- */

#define DATABASES_COLUMNS                                                                          \
        {"name", 's', "The environment."},                                                         \
        {"host", 's', "The server's host, or the list of them, as the secret in use says; NULL while there is none."}, \
        {"port", 'i', "The (first) server's port; 0 while there is no secret."},                   \
        {"database", 's', "The database on that server; NULL while there is no secret."},          \
        {"force_user", 's', "The name that new server connections log in with: the secret's."},    \
        {"pool_size", 'i', "How many server connections there may be."},                           \
        {"min_pool_size", 'i', "How many are kept open."},                                         \
        {"reserve_pool_size", 'i', "How many more there may be when clients wait for long."},      \
        {"server_lifetime", 'i', "After how many seconds a server connection is replaced."},       \
        {"pool_mode", 's', "For how long a client keeps its server: transaction or session."},     \
        {"load_balance_hosts", 's', "With which of several hosts a login begins; NULL: there is one."},                         \
        {"max_connections", 'i', "pool_size and reserve_pool_size together."},                     \
        {"current_connections", 'i', "Server connections there are, those being made included."},  \
        {"max_client_connections", 'i',                                                            \
         "How many clients it takes; 0: only the broker's limit counts."},                         \
        {"current_client_connections", 'i', "How many clients it has."},                           \
        {"paused", 'i', "1 from PAUSE to RESUME."},                                                \
        {"disabled", 'i', "1 from DISABLE to ENABLE: it takes no new clients."}

static const struct snapshot_column databases_columns[] = {DATABASES_COLUMNS};

static const struct snapshot_column databases_former_columns[] = {
        DATABASES_COLUMNS,
        {"reserve_pool", 'i', "reserve_pool_size, as it was called up to PgBouncer 1.23."},
};

static const struct snapshot databases_former;

static void databases_row(const struct pool *p, struct snapshot_rows *r)
{
        const struct pool_options *o = &p->config.options;
        const struct credential *c = keyring_active(p->keyring);
        snapshot_text(r, p->environment);
        snapshot_text(r, c ? c->document->host : NULL);
        snapshot_count(r, c ? c->document->port : 0);
        snapshot_text(r, c ? c->document->database : NULL);
        snapshot_text(r, snapshot_login(p));
        snapshot_count(r, o->pool_size);
        snapshot_count(r, o->min_pool_size);
        snapshot_count(r, o->reserve_pool_size);
        snapshot_count(r, o->server_lifetime / 1000);
        snapshot_text(r, mode_name(p));
        snapshot_text(r, balance_name(p));
        snapshot_count(r, (uint64_t) o->pool_size + o->reserve_pool_size);
        snapshot_count(r, server_total(&p->servers));
        snapshot_count(r, o->max_client_conn);
        snapshot_count(r, p->clients);
        snapshot_count(r, p->paused);
        snapshot_count(r, p->disabled);
        if (r->of == &databases_former)
                snapshot_count(r, o->reserve_pool_size);
        snapshot_end(r);
}

static void databases_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                databases_row(v->pool, r);
}

static const struct snapshot databases_former = {
        .name = "DATABASES",
        SNAPSHOT_OF(databases_former_columns),
        .rows = databases_rows,
};

const struct snapshot snapshot_databases = {
        .name = "DATABASES",
        .description = "Where each environment leads, and its limits.",
        SNAPSHOT_OF(databases_columns),
        .rows = databases_rows,
        .former = &databases_former,
};

/* ---- USERS ---- */

static const struct snapshot_column users_columns[] = {
        {"name", 's', "A name that server connections log in with."},
        {"pool_size", 's', "pool_size of its environments together."},
        {"reserve_pool_size", 's', "reserve_pool_size of its environments together."},
        {"pool_mode", 's', "NULL: each environment has its own."},
        {"max_user_connections", 'i', "0: there is no limit by user."},
        {"current_connections", 'i', "Server connections of its environments."},
        {"max_user_client_connections", 'i', "0: there is no limit by user."},
        {"current_client_connections", 'i', "Clients of its environments."},
};

/* The first environment with this login has the row, for all of them. */
static bool is_first(const struct snapshot_world *w, const struct sessions_environment *v)
{
        const struct sessions_environment *before;
        list_each(before, &w->sessions->environments, struct sessions_environment, link) {
                if (before == v)
                        return true;
                if (strcmp(snapshot_login(before->pool), snapshot_login(v->pool)) == 0)
                        return false;
        }
        return false;
}

static void users_row(const struct snapshot_world *w, const char *name, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        uint64_t size = 0, reserve = 0, servers = 0, clients = 0;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                if (strcmp(snapshot_login(v->pool), name) != 0)
                        continue;
                size += v->pool->config.options.pool_size;
                reserve += v->pool->config.options.reserve_pool_size;
                servers += server_total(&v->pool->servers);
                clients += v->pool->clients;
        }
        snapshot_text(r, name);
        snapshot_count(r, size);
        snapshot_count(r, reserve);
        snapshot_text(r, NULL);
        snapshot_count(r, 0);
        snapshot_count(r, servers);
        snapshot_count(r, 0);
        snapshot_count(r, clients);
        snapshot_end(r);
}

static void users_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                const char *name = snapshot_login(v->pool);
                if (*name && is_first(w, v))
                        users_row(w, name, r);
        }
}

const struct snapshot snapshot_users = {
        .name = "USERS",
        .description = "The names that server connections log in with.",
        SNAPSHOT_OF(users_columns),
        .rows = users_rows,
};
