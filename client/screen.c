#include "screen.h"

#include <stdint.h>
#include <string.h>
#include "json.h"
#include "table.h"
#include "text.h"

enum {
        LABEL = 12,        /* columns before what a line says */
        WIDE = 100,        /* columns for what others wrote */
        VERSION_SHOWN = 8, /* letters of a version id in a list */
        MOST = 64          /* rows of a list that are sorted; far fewer are shown */
};

/* What is to be shown of one list: rows of a thing, the ones with the most first. */
struct list {
        int row[MOST];
        double rank[MOST];
        int count; /* in the list */
        int all;   /* there are */
};

static const PGresult *shown(const struct status *s, enum status_thing thing)
{
        return s->shown[thing];
}

static void add(struct list *l, int row, double rank)
{
        int at = l->count < MOST ? l->count : MOST - 1;

        l->all++;
        if (l->count == MOST && rank <= l->rank[at])
                return;
        for (; at > 0 && l->rank[at - 1] < rank; at--) {
                l->row[at] = l->row[at - 1];
                l->rank[at] = l->rank[at - 1];
        }
        l->row[at] = row;
        l->rank[at] = rank;
        l->count += l->count < MOST;
}

/* The more environments, the fewer lines for each: it is to stay one screen. */
static int most_lines(const struct status *s)
{
        return s->count <= 1 ? 5 : s->count <= 3 ? 3 : 1;
}

static void label(FILE *to, const char *word)
{
        fprintf(to, "  %-*s", LABEL, word);
}

static void rest(FILE *to, const struct list *l, int most)
{
        if (l->all <= most)
                return;
        label(to, "");
        fprintf(to, "  and %d more\n", l->all - most);
}

static void print_cell(FILE *to, const PGresult *rows, int row, const char *column)
{
        text_print(to, table_text(rows, row, column), 0, WIDE);
}

/* The first bytes of what is long and plain: a version id, a timestamp. */
static void print_start(FILE *to, const PGresult *rows, int row, const char *column, size_t size)
{
        char start[64];

        snprintf(start, sizeof start, "%.*s", (int) size, table_text(rows, row, column));
        text_print(to, start, 0, WIDE);
}

/* ---- lines ---- */

static void print_head(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *databases = shown(s, STATUS_DATABASES);

        fputc('\n', to);
        text_print(to, v->name, LABEL + 2, WIDE);
        fputs(status_health_word(v->health), to);
        fprintf(to, "%s%s\n", *v->why ? ": " : "", v->why);
        if (!*table_text(databases, v->database, "host"))
                return;
        label(to, "database");
        print_cell(to, databases, v->database, "database");
        fputs(" on ", to);
        print_cell(to, databases, v->database, "host");
        fputs(", port ", to);
        print_cell(to, databases, v->database, "port");
        fputs(", ", to);
        print_cell(to, databases, v->database, "pool_mode");
        fputs(" mode\n", to);
}

static void print_servers(FILE *to, const struct status_environment *v)
{
        label(to, "servers");
        fprintf(to, "%lld active, %lld idle", v->active, v->idle);
        if (v->cleaning)
                fprintf(to, ", %lld being reset", v->cleaning);
        if (v->connecting)
                fprintf(to, ", %lld connecting", v->connecting);
        fprintf(to, ", of %lld", v->size);
        if (v->reserve)
                fprintf(to, " and %lld in reserve", v->reserve);
        fputc('\n', to);
}

static void print_waiting(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *clients = shown(s, STATUS_CLIENTS);
        struct list l = {0};

        for (int row = 0; row < PQntuples(clients); row++)
                if (status_row_is_of(s, STATUS_CLIENTS, row, v) &&
                    table_matches(clients, row, "state", "waiting"))
                        add(&l, row, status_wait_of(s, row));
        for (int i = 0; i < l.count && i < most_lines(s); i++) {
                label(to, "");
                fprintf(to, "  pid %lld user ", table_number(clients, l.row[i], "remote_pid"));
                print_cell(to, clients, l.row[i], "user");
                if (*table_text(clients, l.row[i], "application_name")) {
                        fputs(" (", to);
                        print_cell(to, clients, l.row[i], "application_name");
                        fputc(')', to);
                }
                fprintf(to, " has waited %.1f s\n", l.rank[i]);
        }
        rest(to, &l, most_lines(s));
}

static void print_clients(FILE *to, const struct status *s, const struct status_environment *v)
{
        label(to, "clients");
        fprintf(to, "%lld active, %lld idle, %lld waiting", v->clients_active, v->clients_idle,
                v->clients_waiting);
        if (v->clients_waiting)
                fprintf(to, " (longest %.1f s) for %s", v->longest_wait, v->waits_for);
        fputc('\n', to);
        if (v->clients_waiting)
                print_waiting(to, s, v);
}

static void print_pins(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *pins = shown(s, STATUS_PINS);
        struct list l = {0};

        if (!v->pins)
                return;
        for (int row = 0; row < PQntuples(pins); row++)
                if (status_row_is_of(s, STATUS_PINS, row, v))
                        add(&l, row, (double) table_number(pins, row, "age_s"));
        label(to, "pinned");
        fprintf(to, "%lld of the clients, each to a server of its own\n", v->pins);
        for (int i = 0; i < l.count && i < most_lines(s); i++) {
                label(to, "");
                fprintf(to, "  pid %lld uid %lld by ", table_number(pins, l.row[i], "pid"),
                        table_number(pins, l.row[i], "uid"));
                print_cell(to, pins, l.row[i], "reason");
                fprintf(to, " for %lld s", table_number(pins, l.row[i], "age_s"));
                if (*table_text(pins, l.row[i], "query")) {
                        fputs(": ", to);
                        text_print(to, table_text(pins, l.row[i], "query"), 0, 48);
                }
                fputc('\n', to);
        }
        rest(to, &l, most_lines(s));
}

static void print_secret(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *secrets = shown(s, STATUS_SECRETS);
        const char *next = table_text(secrets, v->secret, "next_poll_s");
        const char *last_error = table_text(secrets, v->secret, "last_error");

        label(to, "secret");
        print_cell(to, secrets, v->secret, "name");
        fputc('\n', to);
        if (*table_text(secrets, v->secret, "version_id")) {
                label(to, "");
                fputs("version ", to);
                print_cell(to, secrets, v->secret, "version_id");
                fputs(", ", to);
                print_cell(to, secrets, v->secret, "stage");
                fprintf(to, ", generation %lld\n", table_number(secrets, v->secret, "generation"));
        }
        label(to, "");
        if (*table_text(secrets, v->secret, "fetched"))
                fprintf(to, "fetched %lld s ago, ", table_number(secrets, v->secret, "age_s"));
        else
                fputs("never fetched, ", to);
        if (*next && *next != '-')
                fprintf(to, "next look in %lld s\n",
                        table_number(secrets, v->secret, "next_poll_s"));
        else
                fputs("no next look planned\n", to);
        if (!*last_error)
                return;
        label(to, "last error");
        text_print(to, last_error, 0, SIZE_MAX);
        fputc('\n', to);
}

/* ", up to 2 clients waited"; nothing of none. */
static void print_count(FILE *to, const char *before, long long count, const char *what,
                        const char *after)
{
        if (count > 0)
                fprintf(to, "%s %lld %s%s %s", before, count, what, count == 1 ? "" : "s", after);
}

static void print_rotation(FILE *to, const PGresult *rotations, int row)
{
        const char *from = table_text(rotations, row, "from_version");
        long long bridged = table_number(rotations, row, "bridged_ms");

        print_start(to, rotations, row, "started", strlen("2000-01-01 00:00:00"));
        fputs("  ", to);
        print_cell(to, rotations, row, "trigger");
        fputs(": ", to);
        if (*from && strcmp(from, table_text(rotations, row, "to_version")) != 0) {
                print_start(to, rotations, row, "from_version", VERSION_SHOWN);
                fputs(" to ", to);
        }
        print_start(to, rotations, row, "to_version", VERSION_SHOWN);
        if (*table_text(rotations, row, "stage")) {
                fputs(" as ", to);
                print_cell(to, rotations, row, "stage");
        }
        fputs(", ", to);
        print_cell(to, rotations, row, "outcome");
        if (bridged > 0)
                fprintf(to, ", bridged %.1f s", (double) bridged / 1000);
        print_count(to, ", up to", table_number(rotations, row, "waiters"), "client", "waited");
        print_count(to, ",", table_number(rotations, row, "login_failures"), "login", "refused");
        fputc('\n', to);
}

/* The newest first, whichever way the console has them. */
static void print_rotations(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *rotations = shown(s, STATUS_ROTATIONS);
        int count = 0, row[2] = {-1, -1};

        for (int i = 0; i < PQntuples(rotations); i++) {
                if (!status_row_is_of(s, STATUS_ROTATIONS, i, v))
                        continue;
                row[row[0] >= 0] = i;
                count++;
        }
        if (!count)
                return;

        bool rising = count > 1 && strcmp(table_text(rotations, row[0], "started"),
                                          table_text(rotations, row[1], "started")) < 0;
        int at = rising ? row[1] : row[0], printed = 0;

        for (; printed < count && printed < most_lines(s); at += rising ? -1 : 1) {
                if (!status_row_is_of(s, STATUS_ROTATIONS, at, v))
                        continue;
                label(to, printed++ ? "" : "rotations");
                print_rotation(to, rotations, at);
        }
}

static void print_traffic(FILE *to, const struct status *s, const struct status_environment *v)
{
        const PGresult *stats = shown(s, STATUS_STATS);

        if (v->stats < 0)
                return;
        label(to, "traffic");
        fprintf(to, "%lld transactions, %lld queries; ",
                table_number(stats, v->stats, "total_xact_count"),
                table_number(stats, v->stats, "total_query_count"));
        fprintf(to, "in the last minute %lld transactions/s, %.1f ms a query\n",
                table_number(stats, v->stats, "avg_xact_count"),
                (double) table_number(stats, v->stats, "avg_query_time") / 1000);
}

/* Brokers that were replaced and still have clients. */
static void print_predecessors(FILE *to, const struct status *s)
{
        const PGresult *all = shown(s, STATUS_PREDECESSORS);

        for (int row = 0; row < PQntuples(all); row++)
                fprintf(to, "%spid %lld was replaced %lld s ago and still has %lld client%s\n",
                        row ? "" : "\n", table_number(all, row, "pid"), table_number(all, row, "age_s"),
                        table_number(all, row, "clients"),
                        table_number(all, row, "clients") == 1 ? "" : "s");
}

void screen_print(FILE *to, const struct status *s, const char *place)
{
        const char *version = table_text(shown(s, STATUS_VERSION), 0, "version");

        text_print(to, version, 0, WIDE);
        fputs(" at ", to);
        text_print(to, place, 0, SIZE_MAX);
        fputs(s->healthy ? ": healthy\n" : ": NOT HEALTHY\n", to);
        print_predecessors(to, s);
        if (s->count == 0)
                fputs("\nno environment is configured\n", to);
        for (int i = 0; i < s->count; i++) {
                const struct status_environment *v = &s->environments[i];

                print_head(to, s, v);
                print_servers(to, v);
                print_clients(to, s, v);
                print_pins(to, s, v);
                print_secret(to, s, v);
                print_rotations(to, s, v);
                print_traffic(to, s, v);
        }
}

/* ---- JSON ---- */

static void json_rows(struct json *j, const char *key, const struct status *s,
                      enum status_thing thing, const struct status_environment *v,
                      const char *state)
{
        json_array(j, key);
        for (int row = 0; row < PQntuples(shown(s, thing)); row++)
                if (status_row_is_of(s, thing, row, v) &&
                    (!state || table_matches(shown(s, thing), row, "state", state)))
                        table_json_row(j, NULL, shown(s, thing), row);
        json_end_array(j);
}

static void json_one(struct json *j, const char *key, const struct status *s,
                     enum status_thing thing, int row)
{
        if (row < 0)
                json_null(j, key);
        else
                table_json_row(j, key, shown(s, thing), row);
}

static void json_counts(struct json *j, const struct status_environment *v)
{
        json_object(j, "servers");
        json_count(j, "active", v->active);
        json_count(j, "idle", v->idle);
        json_count(j, "being_reset", v->cleaning);
        json_count(j, "connecting", v->connecting);
        json_count(j, "size", v->size);
        json_count(j, "reserve", v->reserve);
        json_end_object(j);
        json_object(j, "clients");
        json_count(j, "active", v->clients_active);
        json_count(j, "idle", v->clients_idle);
        json_count(j, "waiting", v->clients_waiting);
        json_count(j, "pinned", v->pins);
        json_seconds(j, "longest_wait_s", v->longest_wait);
        json_text(j, "waiting_for", v->clients_waiting ? v->waits_for : NULL);
        json_end_object(j);
}

static void json_environment(struct json *j, const struct status *s,
                             const struct status_environment *v)
{
        json_object(j, NULL);
        json_text(j, "name", v->name);
        json_text(j, "health", status_health_word(v->health));
        json_bool(j, "healthy", status_is_healthy(v->health));
        json_text(j, "why", *v->why ? v->why : NULL);
        json_counts(j, v);
        json_rows(j, "waiting", s, STATUS_CLIENTS, v, "waiting");
        json_rows(j, "pins", s, STATUS_PINS, v, NULL);
        json_one(j, "secret", s, STATUS_SECRETS, v->secret);
        json_rows(j, "rotations", s, STATUS_ROTATIONS, v, NULL);
        json_one(j, "database", s, STATUS_DATABASES, v->database);
        json_one(j, "stats", s, STATUS_STATS, v->stats);
        json_end_object(j);
}

void screen_json(FILE *to, const struct status *s, const char *place)
{
        struct json j = {.to = to};

        json_object(&j, NULL);
        json_text(&j, "version", table_text(shown(s, STATUS_VERSION), 0, "version"));
        json_text(&j, "place", place);
        json_bool(&j, "healthy", s->healthy);
        json_array(&j, "predecessors");
        for (int row = 0; row < PQntuples(shown(s, STATUS_PREDECESSORS)); row++)
                table_json_row(&j, NULL, shown(s, STATUS_PREDECESSORS), row);
        json_end_array(&j);
        json_array(&j, "environments");
        for (int i = 0; i < s->count; i++)
                json_environment(&j, s, &s->environments[i]);
        json_end_array(&j);
        json_end_object(&j);
}
