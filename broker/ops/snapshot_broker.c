#include "ops/snapshot_broker.h"

/* ---- LISTS ---- */

static const struct snapshot_column lists_columns[] = {
        {"list", 's',
         "What is counted; names of things that the broker has not are there for exporters."},
        {"items", 'i', "How many there are."},
};

struct tally {
        unsigned environments, logins, login_clients, idle, used;
};

static struct tally tally(const struct snapshot_world *w)
{
        struct tally t = {0};
        const struct sessions_environment *v;
        const struct session *s;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                const unsigned *count = v->pool->servers.count;
                t.environments++;
                t.logins += keyring_active(v->pool->keyring) != NULL;
                t.idle += count[SERVER_IDLE];
                t.used += server_total(&v->pool->servers) - count[SERVER_IDLE];
        }
        list_each(s, &w->sessions->all, struct session, link) {
                bool login = s->state == SESSION_GREETING || s->state == SESSION_LOGIN ||
                             s->state == SESSION_TRYING;
                t.login_clients += login;
        }
        return t;
}

static void lists_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions *ss = w->sessions;
        struct tally t = tally(w);
        const struct {
                const char *name;
                unsigned items;
        } lists[] = {
                {"databases", t.environments},
                {"users", t.logins},
                {"peers", 0},
                {"pools", t.environments},
                {"peer_pools", 0},
                {"free_clients",
                 ss->max_client_conn > ss->inside ? ss->max_client_conn - ss->inside : 0},
                {"used_clients", ss->count},
                {"login_clients", t.login_clients},
                {"free_servers", t.idle},
                {"used_servers", t.used},
                {"dns_names", 0},
                {"dns_zones", 0},
                {"dns_queries", 0},
                {"dns_pending", 0},
        };
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
                snapshot_text(r, lists[i].name);
                snapshot_count(r, lists[i].items);
                snapshot_end(r);
        }
}

const struct snapshot snapshot_lists = {
        .name = "LISTS",
        .description = "How many there are of what.",
        SNAPSHOT_OF(lists_columns),
        .rows = lists_rows,
};

/* ---- CONFIG ---- */

static const struct snapshot_column config_columns[] = {
        {"key", 's', "The key's path in the configuration file."},
        {"value", 's', "Its value."},
        {"default", 's', "Its value if it is not given."},
        {"changeable", 's', "yes: RELOAD and SET apply a new value; no: only a restart does."},
};

static void config_row(void *arg, const char *key, const char *value, const char *fallback,
                       bool changeable)
{
        struct snapshot_rows *r = arg;
        snapshot_text(r, key);
        snapshot_text(r, value);
        snapshot_text(r, fallback);
        snapshot_text(r, changeable ? "yes" : "no");
        snapshot_end(r);
}

static void show_config(const struct snapshot_world *w, struct snapshot_rows *r)
{
        config_rows(w->config, config_row, r);
}

const struct snapshot snapshot_config = {
        .name = "CONFIG",
        .description = "Every key of the configuration with its value.",
        SNAPSHOT_OF(config_columns),
        .rows = show_config,
};

/* ---- STATE ---- */

static const struct snapshot_column state_columns[] = {
        {"key", 's', "active, paused or suspended."},
        {"value", 's', "yes or no; paused: every environment is; suspended: never."},
};

static void state_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        bool paused = !list_empty(&w->sessions->environments);
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                paused &= v->pool->paused;
        const struct {
                const char *key;
                bool value;
        } states[] = {{"active", !paused}, {"paused", paused}, {"suspended", false}};
        for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
                snapshot_text(r, states[i].key);
                snapshot_text(r, states[i].value ? "yes" : "no");
                snapshot_end(r);
        }
}

const struct snapshot snapshot_state = {
        .name = "STATE",
        .description = "Is the broker at work?",
        SNAPSHOT_OF(state_columns),
        .rows = state_rows,
};

/* ---- PREDECESSORS ---- */

static const struct snapshot_column predecessors_columns[] = {
        {"pid", 'i', "Its process."},
        {"clients", 'i', "How many clients it still has."},
        {"replaced", 'T', "When it was replaced."},
        {"age_s", 'q', "How many seconds ago that was."},
};

static void predecessors_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct elder *v;
        list_each(v, &w->elders->list, struct elder, link) {
                int64_t age = (int64_t) ((loop_now(w->elders->loop) - v->since) / 1000);
                snapshot_number(r, v->pid);
                snapshot_count(r, v->clients);
                snapshot_moment(r, w->now - age);
                snapshot_number(r, age);
                snapshot_end(r);
        }
}

const struct snapshot snapshot_predecessors = {
        .name = "PREDECESSORS",
        .description = "Brokers that this one has replaced (pgbrokerd --replace) and that go on for the "
                       "clients they have.",
        SNAPSHOT_OF(predecessors_columns),
        .rows = predecessors_rows,
};

/* ---- MEM ---- */

static const struct snapshot_column memory_columns[] = {
        {"name", 's', "What the memory is for."},
        {"size", 'i', "Bytes that one of them takes, buffers and texts not counted."},
        {"used", 'i', "How many there are."},
        {"free", 'i', "0: no memory is kept for more of them."},
        {"memtotal", 'i', "Bytes that all of them take."},
};

static void memory_row(struct snapshot_rows *r, const char *name, size_t size, unsigned used)
{
        snapshot_text(r, name);
        snapshot_count(r, size);
        snapshot_count(r, used);
        snapshot_count(r, 0);
        snapshot_count(r, (uint64_t) size * used);
        snapshot_end(r);
}

static void memory_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        struct tally t = tally(w);
        memory_row(r, "client", sizeof(struct session), w->sessions->count);
        memory_row(r, "server", sizeof(struct server), t.idle + t.used);
        memory_row(r, "pool", sizeof(struct pool), t.environments);
}

const struct snapshot snapshot_memory = {
        .name = "MEM",
        .description = "The memory that connections take.",
        SNAPSHOT_OF(memory_columns),
        .rows = memory_rows,
};

/* ---- VERSION ---- */

static const struct snapshot_column version_columns[] = {
        {"version", 's', "Program and version."},
};

static void version_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        (void) w;
        snapshot_text(r, "pgbroker " PGBROKER_VERSION);
        snapshot_end(r);
}

const struct snapshot snapshot_version = {
        .name = "VERSION",
        .description = "The broker's version.",
        SNAPSHOT_OF(version_columns),
        .rows = version_rows,
};
