#include "ops/snapshot_stats.h"

/* Each counter of base/stats under its names in SHOW STATS (after total_ and avg_), in
 * STATS_TOTALS, in STATS_AVERAGES and in TOTALS (after total_ and avg_), and what it counts. */
#define NAMES(X)                                                                                   \
        X(server_assignment_count, "server_assignment_count", "server_assignment_count",           \
          "server_assignment_count", "server_assignment_count", "server_assignment_count",         \
          "servers lent to clients")                                                               \
        X(xact_count, "xact_count", "xact_count", "xact_count", "xact_count", "xact_count",        \
          "transactions")                                                                          \
        X(query_count, "query_count", "query_count", "query_count", "query_count", "query_count",  \
          "queries")                                                                               \
        X(bytes_received, "received", "recv", "bytes_received", "bytes_received", "client_bytes",  \
          "bytes that clients sent")                                                               \
        X(bytes_sent, "sent", "sent", "bytes_sent", "bytes_sent", "server_bytes",                  \
          "bytes sent to clients")                                                                 \
        X(xact_time, "xact_time", "xact_time", "xact_time", "xact_time", "xact_time",              \
          "microseconds in transactions")                                                          \
        X(query_time, "query_time", "query_time", "query_time", "query_time", "query_time",        \
          "microseconds in queries")                                                               \
        X(wait_time, "wait_time", "wait_time", "wait_time", "wait_time", "wait_time",              \
          "microseconds of clients waiting for a server")                                          \
        X(client_parse_count, "client_parse_count", "client_parse_count", "client_parse_count",    \
          "avg_client_parse_count", "ps_client_parse_count", "statements that clients prepared")   \
        X(server_parse_count, "server_parse_count", "server_parse_count", "server_parse_count",    \
          "avg_server_parse_count", "ps_server_parse_count", "statements prepared on servers")     \
        X(bind_count, "bind_count", "bind_count", "bind_count", "avg_bind_count", "ps_bind_count", \
          "prepared statements made ready to run")                                                 \
        X(client_login_count, "client_login_count", "client_login_count", "client_login_count",    \
          "avg_client_login_count", "client_login_count", "clients that have connected")

#define SINCE_START "Since the start: "
#define A_SECOND                                                                                   \
        "Over the last whole minute, per second (times: per transaction, query or server lent): "

#define TOTAL(field, total, average, long_, averages, totals, text)                                \
        {"total_" total, 'N', SINCE_START text "."},
#define AVERAGE(field, total, average, long_, averages, totals, text)                              \
        {"avg_" average, 'N', A_SECOND text "."},
#define STATS_COLUMNS {"database", 's', "The environment."}, NAMES(TOTAL) NAMES(AVERAGE)

static const struct snapshot_column stats_columns[] = {STATS_COLUMNS};

static const struct snapshot_column former_columns[] = {
        STATS_COLUMNS {"total_requests", 'N', "total_query_count, as in PgBouncer 1.7."},
        {"avg_req", 'N', "avg_query_count, as in PgBouncer 1.7."},
        {"avg_query", 'N', "avg_query_time, as in PgBouncer 1.7."},
};

static const struct snapshot_column totals_of_columns[] = {
        {"database", 's', "The environment."},
#define X(field, total, average, long_, averages, totals, text) {long_, 'N', SINCE_START text "."},
        NAMES(X)
#undef X
};

static const struct snapshot_column averages_columns[] = {
        {"database", 's', "The environment."},
#define X(field, total, average, long_, averages, totals, text) {averages, 'N', A_SECOND text "."},
        NAMES(X)
#undef X
};

static const struct snapshot_column totals_columns[] = {
        {"name", 's',
         "The counter, as total_... since the start or avg_... over the last whole minute."},
        {"value", 'N', "Its value over all environments."},
};

static void put_counters(const struct counters *c, struct snapshot_rows *r)
{
#define X(field, total, average, long_, averages, totals, text) snapshot_count(r, c->field);
        NAMES(X)
#undef X
}

static const struct snapshot stats_former;

static void stats_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                const struct stats *s = &v->pool->stats;
                snapshot_text(r, v->name);
                if (r->of != &snapshot_averages)
                        put_counters(&s->total, r);
                if (r->of != &snapshot_totals_of)
                        put_counters(&s->average, r);
                if (r->of == &stats_former) {
                        snapshot_count(r, s->total.query_count);
                        snapshot_count(r, s->average.query_count);
                        snapshot_count(r, s->average.query_time);
                }
                snapshot_end(r);
        }
}

static void put_named(struct snapshot_rows *r, const char *name, uint64_t n)
{
        snapshot_text(r, name);
        snapshot_count(r, n);
        snapshot_end(r);
}

static void add_counters(struct counters *to, const struct counters *from)
{
#define X(name) to->name += from->name;
        STATS_COUNTERS(X)
#undef X
}

/* Averages that are per event weigh as much as there were events. */
static void add_averages(struct counters *to, const struct counters *from)
{
        struct counters c = *from;
        c.xact_time *= c.xact_count;
        c.query_time *= c.query_count;
        c.wait_time *= c.server_assignment_count;
        add_counters(to, &c);
}

static void settle_averages(struct counters *c)
{
        c->xact_time /= c->xact_count ? c->xact_count : 1;
        c->query_time /= c->query_count ? c->query_count : 1;
        c->wait_time /= c->server_assignment_count ? c->server_assignment_count : 1;
}

static void totals_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        struct counters sum = {0}, average = {0};
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                add_counters(&sum, &v->pool->stats.total);
                add_averages(&average, &v->pool->stats.average);
        }
        settle_averages(&average);
#define X(field, total, average_, long_, averages, totals, text)                                   \
        put_named(r, "total_" totals, sum.field);
        NAMES(X)
#undef X
#define X(field, total, average_, long_, averages, totals, text)                                   \
        put_named(r, "avg_" totals, average.field);
        NAMES(X)
#undef X
}

static const struct snapshot stats_former = {
        .name = "STATS",
        SNAPSHOT_OF(former_columns),
        .rows = stats_rows,
};

const struct snapshot snapshot_stats = {
        .name = "STATS",
        .description =
                "What each environment has done, since the start and over the last whole minute.",
        SNAPSHOT_OF(stats_columns),
        .rows = stats_rows,
        .former = &stats_former,
};

const struct snapshot snapshot_totals_of = {
        .name = "STATS_TOTALS",
        .description = "The counters of SHOW STATS since the start.",
        SNAPSHOT_OF(totals_of_columns),
        .rows = stats_rows,
};

const struct snapshot snapshot_averages = {
        .name = "STATS_AVERAGES",
        .description = "The averages of SHOW STATS over the last whole minute.",
        SNAPSHOT_OF(averages_columns),
        .rows = stats_rows,
};

const struct snapshot snapshot_totals = {
        .name = "TOTALS",
        .description = "The counters of SHOW STATS over all environments, one in a row.",
        SNAPSHOT_OF(totals_columns),
        .rows = totals_rows,
};
