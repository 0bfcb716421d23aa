#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "console.h"
#include "table.h"

const char *status_health_word(enum status_health h)
{
        static const char *const words[] = {
#define X(name, word, healthy) word,
                STATUS_HEALTHS(X)
#undef X
        };
        return words[h];
}

bool status_is_healthy(enum status_health h)
{
        static const bool healthy[] = {
#define X(name, word, is) is,
                STATUS_HEALTHS(X)
#undef X
        };
        return healthy[h];
}

bool status_row_is_of(const struct status *s, enum status_thing thing, int row,
                      const struct status_environment *v)
{
        const char *column = thing == STATUS_DATABASES ? "name" : "database";

        if (thing == STATUS_SECRETS || thing == STATUS_ROTATIONS || thing == STATUS_PINS)
                column = "environment";
        return table_matches(s->shown[thing], row, column, v->name);
}

double status_wait_of(const struct status *s, int client)
{
        return (double) table_number(s->shown[STATUS_CLIENTS], client, "wait") +
               (double) table_number(s->shown[STATUS_CLIENTS], client, "wait_us") / 1e6;
}

/* ---- counting ---- */

/* An environment has one row, or more while its server user changes. */
static void count_servers(const struct status *s, struct status_environment *v)
{
        const PGresult *pools = s->shown[STATUS_POOLS];

        for (int row = 0; row < PQntuples(pools); row++) {
                if (!status_row_is_of(s, STATUS_POOLS, row, v))
                        continue;
                v->active += table_number(pools, row, "sv_active") +
                             table_number(pools, row, "sv_active_cancel") +
                             table_number(pools, row, "sv_being_canceled");
                v->idle +=
                        table_number(pools, row, "sv_idle") + table_number(pools, row, "sv_used");
                v->cleaning += table_number(pools, row, "sv_tested");
                v->connecting += table_number(pools, row, "sv_login");
        }
}

static void count_clients(const struct status *s, struct status_environment *v)
{
        const PGresult *clients = s->shown[STATUS_CLIENTS];

        for (int row = 0; row < PQntuples(clients); row++) {
                if (!status_row_is_of(s, STATUS_CLIENTS, row, v))
                        continue;
                if (table_matches(clients, row, "state", "idle"))
                        v->clients_idle++;
                else if (!table_matches(clients, row, "state", "waiting"))
                        v->clients_active++;
                else {
                        double wait = status_wait_of(s, row);

                        v->clients_waiting++;
                        v->longest_wait = wait > v->longest_wait ? wait : v->longest_wait;
                }
        }
        for (int row = 0; row < PQntuples(s->shown[STATUS_PINS]); row++)
                v->pins += status_row_is_of(s, STATUS_PINS, row, v);
}

/* ---- judging ---- */

static const PGresult *secrets_of(const struct status *s)
{
        return s->shown[STATUS_SECRETS];
}

/* The row of the rotation that is under way, in a state of interest; -1: none. */
static int rotation_with(const struct status *s, const struct status_environment *v,
                         const char *outcome)
{
        const PGresult *rotations = s->shown[STATUS_ROTATIONS];

        for (int row = 0; row < PQntuples(rotations); row++)
                if (status_row_is_of(s, STATUS_ROTATIONS, row, v) &&
                    table_matches(rotations, row, "outcome", outcome))
                        return row;
        return -1;
}

/* A new version being proven while the old one works is no bridge: nothing is held up by it. */
static bool is_bridging(const struct status *s, int running)
{
        const PGresult *rotations = s->shown[STATUS_ROTATIONS];

        return running >= 0 && (table_number(rotations, running, "bridged_ms") > 0 ||
                                table_matches(rotations, running, "trigger", "login refused"));
}

/* A version is being proven in place of one that works: a login that failed was its. */
static bool is_proving(const struct status *s, int running)
{
        return running >= 0 && *table_text(s->shown[STATUS_ROTATIONS], running, "from_version");
}

/* The last login or fetch failed, and somebody suffers from it or will. */
static bool cannot_connect(const struct status_environment *v, const char *last_error, bool proving)
{
        long long servers = v->active + v->idle + v->cleaning;

        if (!*last_error)
                return false;
        return (servers == 0 && !proving) || (v->longest_wait >= 1 && servers < v->size);
}

static enum status_health judge(const struct status *s, const struct status_environment *v,
                                const char **why)
{
        const PGresult *databases = s->shown[STATUS_DATABASES];
        const char *last_error = table_text(secrets_of(s), v->secret, "last_error");
        int running = rotation_with(s, v, "running");

        if (!*table_text(secrets_of(s), v->secret, "version_id")) {
                *why = "it has no credentials";
                return STATUS_FAILING;
        }
        if (rotation_with(s, v, "given up") >= 0) {
                *why = "the server has refused its credentials for longer than bridge_timeout";
                return STATUS_FAILING;
        }
        if (table_number(databases, v->database, "disabled")) {
                *why = "no new clients until ENABLE";
                return STATUS_DISABLED;
        }
        if (table_number(databases, v->database, "paused")) {
                *why = "no server is lent until RESUME";
                return STATUS_PAUSED;
        }
        if (is_bridging(s, running)) {
                *why = "the server refuses its credentials, others are looked for";
                return STATUS_BRIDGING;
        }
        if (cannot_connect(v, last_error, is_proving(s, running))) {
                *why = "no new server connection can be made";
                return STATUS_FAILING;
        }
        *why = "";
        return STATUS_OK;
}

static const char *waits_for(const struct status *s, const struct status_environment *v)
{
        if (!v->clients_waiting)
                return "";
        if (!*table_text(secrets_of(s), v->secret, "version_id"))
                return "credentials";
        if (v->health == STATUS_PAUSED)
                return "RESUME";
        if (v->health == STATUS_BRIDGING)
                return "credentials that the server takes";
        if (v->health == STATUS_FAILING)
                return "a server that can be connected to";
        if (v->idle > 0)
                return "leave to pin, or to be served now";
        if (v->active + v->cleaning >= v->size)
                return "a server to become free";
        return "a server to be connected";
}

/* ---- reading ---- */

static bool is_console(const char *name)
{
        return strcmp(name, "pgbroker") == 0 || strcmp(name, "pgbouncer") == 0;
}

static bool judge_all(struct status *s)
{
        const PGresult *databases = s->shown[STATUS_DATABASES];

        s->environments = calloc((size_t) PQntuples(databases) + 1, sizeof *s->environments);
        if (!s->environments)
                return false;
        s->healthy = true;
        for (int row = 0; row < PQntuples(databases); row++) {
                struct status_environment *v = &s->environments[s->count];

                v->name = table_text(databases, row, "name");
                if (is_console(v->name))
                        continue;
                v->database = row;
                v->secret = table_find(secrets_of(s), "environment", v->name);
                v->stats = table_find(s->shown[STATUS_STATS], "database", v->name);
                v->size = table_number(databases, row, "pool_size");
                v->reserve = table_number(databases, row, "reserve_pool_size");
                count_servers(s, v);
                count_clients(s, v);
                v->health = judge(s, v, &v->why);
                v->waits_for = waits_for(s, v);
                s->healthy = s->healthy && status_is_healthy(v->health);
                s->count++;
        }
        s->healthy = s->healthy && s->count > 0;
        return true;
}

bool status_read(struct status *s, PGconn *conn, int timeout_ms, struct pgbroker_error *e)
{
        static const char *const commands[] = {
#define X(name) "SHOW " #name,
                STATUS_THINGS(X)
#undef X
        };

        *s = (struct status){0};
        for (int i = 0; i < STATUS_THING_COUNT; i++) {
                s->shown[i] = console_ask(conn, commands[i], timeout_ms, e);
                if (!s->shown[i])
                        return false;
        }
        if (judge_all(s))
                return true;
        e->failure = PGBROKER_OTHER;
        snprintf(e->message, sizeof e->message, "out of memory");
        return false;
}

void status_free(struct status *s)
{
        for (int i = 0; i < STATUS_THING_COUNT; i++)
                PQclear(s->shown[i]);
        free(s->environments);
        *s = (struct status){0};
}
