#include "ops/snapshot_waits.h"

#include <string.h>

/* ---- WAITS ---- */

static const struct snapshot_column waits_columns[] = {
        {"environment", 's', "The environment."},
        {"client_id", 'q', "The client's number: id in SHOW CLIENTS."},
        {"pid", 'i', "The client's process."},
        {"uid", 'i', "The client's user, as the kernel says."},
        {"user", 's', "What the client calls itself."},
        {"waiting_for", 's',
         "server: for one to become free; login: for one to try its parameters on; credentials: for "
         "some that the server takes; leave to pin: for fewer pinned clients."},
        {"since", 'T', "Since when it has waited."},
        {"age_ms", 'q', "For how many milliseconds it has waited."},
        {"why", 's', "Why it has to, and who holds what it waits for."},
};

static void waits_row(const struct snapshot_world *w, const struct session *s,
                      struct snapshot_rows *r)
{
        char why[400];
        const struct pool *p = s->home->pool;
        uint64_t now = loop_us(), since = s->wait.since_us;
        uint64_t waited = now > since ? (now - since) / 1000 : 0;
        const char *what = pool_waits_for(p, &s->wait, why, sizeof why);
        if (s->state == SESSION_LOGIN && strcmp(what, "server") == 0)
                what = "login";
        snapshot_text(r, p->environment);
        snapshot_count(r, s->id);
        snapshot_number(r, s->pid);
        snapshot_number(r, s->uid);
        snapshot_text(r, s->user);
        snapshot_text(r, what);
        snapshot_moment(r, w->now - (int64_t) (waited / 1000));
        snapshot_count(r, waited);
        snapshot_text(r, why);
        snapshot_end(r);
}

static void waits_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct session *s;
        list_each(s, &w->sessions->all, struct session, link) {
                if (s->home && wait_waits(&s->wait))
                        waits_row(w, s, r);
        }
}

const struct snapshot snapshot_waits = {
        .name = "WAITS",
        .description = "Each client that waits, for what, and why.",
        SNAPSHOT_OF(waits_columns),
        .rows = waits_rows,
};

/* ---- ERRORS ---- */

static const struct snapshot_column errors_columns[] = {
        {"environment", 's', "The environment; empty: the client had not come to one."},
        {"source", 's',
         "client: the broker ended a client's session with it; login: a login at the server failed; "
         "server: the server's own, passed on to a client."},
        {"sqlstate", 's', "The error's SQLSTATE."},
        {"text", 's',
         "What it said the last time; NULL: a server's answer to a statement, whose text may hold "
         "data and is not kept."},
        {"count", 'q', "How often there was one that differs in nothing but digits."},
        {"last", 'T', "When there was one last."},
};

static void errors_of(const struct errors *e, const char *environment, struct snapshot_rows *r)
{
        const struct errors_one *one;
        for (size_t i = 0; (one = errors_get(e, i)); i++) {
                snapshot_text(r, environment);
                snapshot_text(r, one->source);
                snapshot_text(r, one->sqlstate);
                snapshot_text(r, *one->text ? one->text : NULL);
                snapshot_count(r, one->count);
                snapshot_moment(r, one->last);
                snapshot_end(r);
        }
}

static void errors_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        errors_of(&w->sessions->errors, "", r);
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                errors_of(&v->pool->errors, v->name, r);
}

const struct snapshot snapshot_errors = {
        .name = "ERRORS",
        .description = "The last distinct errors of each environment, the newest first.",
        SNAPSHOT_OF(errors_columns),
        .rows = errors_rows,
};

/* ---- LATENCY ---- */

#define X(name, text) " " #name ": " text "."
static const struct snapshot_column latency_columns[] = {
        {"environment", 's', "The environment; empty: the broker itself."},
        {"of", 's',
         "What was measured." POOL_LATENCIES(X) " turn: one turn of the broker's event loop, in CPU time, "
         "during which nothing else is served. turn_wall: the same as time that went by, which is "
         "longer on a busy machine."},
        {"count", 'q', "How often, since the start."},
        {"p50_us", 'q',
         "Half of them took no longer, in microseconds (it may be up to an eighth less); NULL for turns."},
        {"p90_us", 'q', "Nine of ten took no longer."},
        {"p99_us", 'q', "Ninety-nine of a hundred took no longer."},
        {"max_us", 'q', "The longest; of turns it may be up to 1000 too much."},
};
#undef X

static void latency_row(const char *environment, const char *of, const struct histogram *h,
                        struct snapshot_rows *r)
{
        snapshot_text(r, environment);
        snapshot_text(r, of);
        snapshot_count(r, h->count);
        snapshot_count(r, histogram_quantile(h, 0.50));
        snapshot_count(r, histogram_quantile(h, 0.90));
        snapshot_count(r, histogram_quantile(h, 0.99));
        snapshot_count(r, h->max);
        snapshot_end(r);
}

static void turn_row(const char *of, uint64_t count, uint64_t max, struct snapshot_rows *r)
{
        snapshot_text(r, "");
        snapshot_text(r, of);
        snapshot_count(r, count);
        for (int quantile = 0; quantile < 3; quantile++)
                snapshot_text(r, NULL);
        snapshot_count(r, max);
        snapshot_end(r);
}

static void latency_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
#define X(of, text) latency_row(v->name, #of, &v->pool->latency.of, r);
                POOL_LATENCIES(X)
#undef X
        }
        struct loop_turns turns = loop_turns(w->sessions->loop);
        turn_row("turn", turns.count, turns.cpu_max_us, r);
        turn_row("turn_wall", turns.count, turns.wall_max_us, r);
}

const struct snapshot snapshot_latency = {
        .name = "LATENCY",
        .description = "How long things have taken in each environment and in the broker itself, since the start.",
        SNAPSHOT_OF(latency_columns),
        .rows = latency_rows,
};
