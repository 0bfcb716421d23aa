#include "ops/setting.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include "backend/target.h"
#include "base/own.h"
#include "secret/document.h"

/* ---- the table ---- */

/* In the order of the enums that they become. */
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const sources[] = {"aws", "file", "env", NULL};
static const char *const bindings[] = {"prefer", "require", "disable", NULL};
static const char *const isolations[] = {"tracked", "strict", NULL};
static const char *const pool_modes[] = {"transaction", "session", NULL};
static const char *const balances[] = {"round-robin", "disable", NULL};
static const char *const targets[] = {
#define X(name, text) text,
        TARGETS(X)
#undef X
                NULL,
};
static const char *const ssl_modes[] = {
#define X(name, text) text,
        DOCUMENT_SSL_MODES(X)
#undef X
                NULL,
};

/* A thousand hours: what a timeout in 32 bits of milliseconds can hold. */
#define LONGEST UINT64_C(3600000000)

#define STRING(scope, when, path, fallback, description)                                           \
        {                                                                                          \
                path, SETTING_##scope, SETTING_STRING, SETTING_##when, fallback, 0, 0, NULL,       \
                        description                                                                \
        }
#define BOOL(scope, when, path, fallback, description)                                             \
        {                                                                                          \
                path, SETTING_##scope, SETTING_BOOL, SETTING_##when, fallback, 0, 1, NULL,         \
                        description                                                                \
        }
#define NUMBER(scope, when, path, fallback, least, most, description)                              \
        {                                                                                          \
                path, SETTING_##scope, SETTING_UNSIGNED, SETTING_##when, fallback, least, most,    \
                        NULL, description                                                          \
        }
#define DURATION(scope, when, path, fallback, description)                                         \
        {                                                                                          \
                path, SETTING_##scope, SETTING_DURATION, SETTING_##when, fallback, 0, LONGEST,     \
                        NULL, description                                                          \
        }
#define CHOICE(scope, when, path, fallback, choices, description)                                  \
        {                                                                                          \
                path, SETTING_##scope, SETTING_CHOICE, SETTING_##when, fallback, 0, 0, choices,    \
                        description                                                                \
        }
#define LIST(scope, when, path, description)                                                       \
        {                                                                                          \
                path, SETTING_##scope, SETTING_LIST, SETTING_##when, "", 0, 0, NULL, description   \
        }
#define MODE(scope, when, path, fallback, description)                                             \
        {                                                                                          \
                path, SETTING_##scope, SETTING_MODE, SETTING_##when, fallback, 0, 0777, NULL,      \
                        description                                                                \
        }

static const struct setting table[] = {
        STRING(BROKER, RESTART, "socket.directory", "/run/pgbroker",
               "The folder of the socket, which is named .s.PGSQL.PORT as PostgreSQL's own is."),
        NUMBER(BROKER, RESTART, "socket.port", "5432", 1, 65535,
               "The number in the socket's name: what clients call the port."),
        MODE(BROKER, RESTART, "socket.mode", "0666",
             "Who may connect to the socket file at all; `access` decides who may use it."),
        STRING(BROKER, RESTART, "socket.group", "",
               "The name of the group that the socket file is given to; empty leaves it."),
        NUMBER(BROKER, RESTART, "socket.max_client_conn", "10000", 1, 1000000,
               "How many clients may be connected at once, console included."),
        DURATION(BROKER, RELOAD, "socket.linger_timeout", "3600s",
                 "How long a broker that was replaced (pgbrokerd --replace) goes on for the clients it "
                 "has; then each is sent away (57P01) when nothing of it is open. 0: as long as they stay."),
        LIST(BROKER, RELOAD, "admin.users",
             "Users (names or ids) that may open the console, besides the broker's own."),
        LIST(BROKER, RELOAD, "admin.groups",
             "Groups (names or ids) whose members may open the console."),
        CHOICE(BROKER, RELOAD, "log.level", "info", log_levels,
               "The least important events that are still logged."),
        CHOICE(BROKER, RELOAD, "log.format", "logfmt", log_formats,
               "How a line of the log is written."),
        STRING(BROKER, LATER, "http.listen", "",
               "Where /metrics, /healthz and /readyz are served: 127.0.0.1:PORT or a socket's "
               "path."),
        STRING(BROKER, LATER, "secrets_api.socket", "",
               "The socket on which local processes read secrets, as from the Secrets Manager "
               "Agent."),
        STRING(BROKER, RELOAD, "aws.region", "",
               "The AWS region; empty follows AWS_REGION, AWS_DEFAULT_REGION and the profile."),
        STRING(BROKER, RELOAD, "aws.endpoint_url", "",
               "The address of Secrets Manager; empty follows the AWS variables and the profile."),

        STRING(ENVIRONMENT, RELOAD, "config", "",
               "The forecaster's own config/NAME.yml: its database.secret_name and secret_region "
               "are "
               "used where they are not given here."),
        LIST(ENVIRONMENT, RELOAD, "aliases",
             "Further names that clients may give as their database."),
        CHOICE(ENVIRONMENT, RELOAD, "database.source", "aws", sources,
               "Where the database secret comes from: Secrets Manager, a JSON file, or environment "
               "variables."),
        STRING(ENVIRONMENT, RELOAD, "database.secret_name", "forecaster/database/{environment}",
               "The secret's name or ARN in Secrets Manager; with `source: env` it is read when "
               "the "
               "injected value is refused, and empty by default."),
        STRING(ENVIRONMENT, RELOAD, "database.secret_region", "",
               "The secret's region; empty is that of the ARN or of `aws`."),
        STRING(ENVIRONMENT, RELOAD, "database.path", "",
               "The JSON file of `source: file`; it is watched, and others must not be able to "
               "read "
               "it."),
        STRING(ENVIRONMENT, RELOAD, "database.variable", "",
               "The variable of `source: env` that holds one JSON document; empty reads DB_HOST, "
               "DB_PORT, DB_USER, DB_PASSWORD, DB_NAME and DB_SSL_MODE, in `local` only."),
        STRING(ENVIRONMENT, LATER, "api_keys.secret_name", "forecaster/api-keys/{environment}",
               "The secret of API keys that the secrets socket serves."),
        STRING(ENVIRONMENT, LATER, "api_keys.secret_region", "", "Its region."),
        STRING(ENVIRONMENT, LATER, "auth.secret_name", "forecaster/auth/{environment}",
               "The secret of authentication tokens that the secrets socket serves."),
        STRING(ENVIRONMENT, LATER, "auth.secret_region", "", "Its region."),
        STRING(ENVIRONMENT, RELOAD, "endpoint.host", "",
               "The server's host (or socket folder), where the secret names none. As in the secret, it may "
               "be a list with commas between, at most 16; see pool.target_session_attrs."),
        NUMBER(ENVIRONMENT, RELOAD, "endpoint.port", "0", 0, 65535,
               "The server's port (of each host), where the secret names none; 0 gives none. The secret's "
               "may be a list, too: \"5432,5433\"."),
        STRING(ENVIRONMENT, RELOAD, "endpoint.database", "",
               "The database, where the secret names none."),
        LIST(ENVIRONMENT, RELOAD, "access.users",
             "Users (names or ids) that may connect, besides the broker's own; --allow adds to "
             "them."),
        LIST(ENVIRONMENT, RELOAD, "access.groups",
             "Groups (names or ids) whose members may connect."),
        LIST(ENVIRONMENT, LATER, "secret_access.api_keys.users",
             "Users that may read the API keys from the secrets socket."),
        LIST(ENVIRONMENT, LATER, "secret_access.api_keys.groups",
             "Groups that may read the API keys from the secrets socket."),
        LIST(ENVIRONMENT, LATER, "secret_access.auth.users",
             "Users that may read the authentication tokens from the secrets socket."),
        LIST(ENVIRONMENT, LATER, "secret_access.auth.groups",
             "Groups that may read the authentication tokens from the secrets socket."),
        CHOICE(ENVIRONMENT, RELOAD, "tls.min_ssl_mode", "", ssl_modes,
               "The least TLS that is accepted whatever the secret says; empty is none for "
               "loopback "
               "and require for any other host."),
        STRING(ENVIRONMENT, RELOAD, "tls.root_cert", "",
               "The file of CA certificates that the server's certificate is verified with."),
        CHOICE(ENVIRONMENT, RELOAD, "tls.channel_binding", "prefer", bindings,
               "Whether the SCRAM login must be bound to the TLS connection."),
        CHOICE(ENVIRONMENT, RELOAD, "isolation", "tracked", isolations,
               "When a server connection is reset in full between two clients: between different "
               "users only, or always."),

        CHOICE(ENVIRONMENT, RELOAD, "pool.pool_mode", "transaction", pool_modes,
               "For how long a client keeps its server connection."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.pool_size", "20", 1, 10000,
               "How many server connections there may be."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.min_pool_size", "0", 0, 10000,
               "How many server connections are kept open, even when nobody uses them."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.reserve_pool_size", "0", 0, 10000,
               "How many more there may be when a client has waited for reserve_pool_timeout."),
        DURATION(ENVIRONMENT, RELOAD, "pool.reserve_pool_timeout", "5s",
                 "How long a client waits before the reserve is used."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_pinned", "0", 0, 10000,
               "How many server connections may be pinned to clients, always fewer than pool_size; 0 is "
               "three quarters of it. With a pool_size of 1 that one may be: else what pins could not be "
               "used at all."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_client_conn", "0", 0, 1000000,
               "How many clients may be connected to this environment; 0 sets no limit of its "
               "own."),
        DURATION(ENVIRONMENT, RELOAD, "pool.query_wait_timeout", "120s",
                 "How long a client waits for a server connection before it is sent away."),
        DURATION(ENVIRONMENT, RELOAD, "pool.cancel_wait_timeout", "10s",
                 "How long a cancel request may wait to be sent, and then the server may take to "
                 "end it (10 seconds where this is 0)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.server_lifetime", "3600s",
                 "The age at which an unused server connection is closed, less up to a tenth by "
                 "chance; 0 closes each after one use."),
        DURATION(ENVIRONMENT, RELOAD, "pool.server_idle_timeout", "600s",
                 "How long a server connection may go unused before it is closed."),
        DURATION(ENVIRONMENT, RELOAD, "pool.server_connect_timeout", "15s",
                 "How long connecting and logging in may take."),
        DURATION(ENVIRONMENT, RELOAD, "pool.server_login_retry", "15s",
                 "The longest pause after failed connection attempts: the first is 100 ms, each further one "
                 "twice as long, and none is longer than 500 ms while clients wait. Also how long a server "
                 "that never was reached may be out of reach until waiting clients are told. Never for "
                 "refused credentials."),
        DURATION(ENVIRONMENT, RELOAD, "pool.pin_drain_timeout", "300s",
                 "How long a pin may hold a server connection that has to go."),
        DURATION(ENVIRONMENT, RELOAD, "pool.pin_idle_timeout", "0",
                 "How long a client that is pinned may send nothing before it is sent away (57P05). That it "
                 "LISTENs is no activity, what it hears neither."),
        BOOL(ENVIRONMENT, RELOAD, "pool.pin_notice", "false",
             "Whether a client is told by a NOTICE that it is pinned from now on, and by what."),
        BOOL(ENVIRONMENT, RELOAD, "pool.replication", "true",
             "Whether replication connections are let in. Each has a server connection of its own, which counts "
             "in pool_size and max_pinned and is closed with it."),
        DURATION(ENVIRONMENT, RELOAD, "pool.message_timeout", "30s",
                 "How long a client may stop inside a message while it holds a server connection."),
        DURATION(ENVIRONMENT, RELOAD, "pool.client_login_timeout", "60s",
                 "How long a client may take to send its startup message."),
        DURATION(ENVIRONMENT, RELOAD, "pool.client_idle_timeout", "0",
                 "How long a client may send nothing, pinned or in session mode too, before it is sent "
                 "away (57P05)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.idle_transaction_timeout", "0",
                 "How long a client may send nothing inside a transaction before it is sent away "
                 "(25P03)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.query_timeout", "0",
                 "How long a query may run before it is canceled (57014); if the server has not ended "
                 "it cancel_wait_timeout later, its connection is closed. What is sent together up to a "
                 "Sync or Flush is answered together and counts as one."),
        DURATION(ENVIRONMENT, RELOAD, "pool.transaction_timeout", "0",
                 "How long a transaction may last before its client is sent away (25P04)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.query_wait_notify", "5s",
                 "How long a client waits for a server connection before a notice tells it so, and "
                 "what it waits for."),
        DURATION(ENVIRONMENT, RELOAD, "pool.server_check_delay", "30s",
                 "How long unused a server connection must be to be tested before it is lent; with 0 it "
                 "is always tested."),
        STRING(ENVIRONMENT, RELOAD, "pool.server_check_query", "<empty>",
               "The query of that test: `<empty>` is an empty query, the cheapest; an empty text makes "
               "no test."),
        CHOICE(ENVIRONMENT, RELOAD, "pool.target_session_attrs", "any", targets,
               "Which server of a list of hosts (or of a name with several addresses) will do, as in libpq. "
               "One that turns out to be another after a failover is used no more; one connection is given "
               "up whenever a transaction was told that it is read-only (25006) where `read-write` or "
               "`primary` is asked for."),
        CHOICE(ENVIRONMENT, RELOAD, "pool.load_balance_hosts", "round-robin", balances,
               "With which of several hosts a new connection begins: each in turn, or always (`disable`) the "
               "first. With `read-write` and `primary` it is the one that fitted last."),
        DURATION(ENVIRONMENT, RELOAD, "pool.dns_max_ttl", "15s",
                 "How often the names of hosts in use are looked up again: connections to an address that is "
                 "not among the answers are closed as they come back. 0 for a name that gives another address "
                 "at each look. A new connection always looks anew."),
        BOOL(ENVIRONMENT, RELOAD, "pool.server_fast_close", "false",
             "Whether in session mode, too, a server connection that has to go (RECONNECT, another "
             "host or user) is closed at the end of the transaction, and its client with it."),
        BOOL(ENVIRONMENT, RELOAD, "pool.server_round_robin", "false",
             "Whether server connections take turns; else the one used last is used first."),
        STRING(ENVIRONMENT, RELOAD, "pool.connect_query", "",
               "A query for each new server connection; an error in it is logged and ignored. What it "
               "SETs lasts until the connection is reset in full (ISOLATION.md)."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_prepared_statements", "200", 0, 1000000,
               "How many of its clients' named prepared statements a server connection has at most; "
               "what was used least goes first. 0: a named statement pins its client instead."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_db_connections", "0", 0, 1000000,
               "A cap on pool_size and reserve_pool_size together: an environment has one database. "
               "0 sets none."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_db_client_connections", "0", 0, 1000000,
               "As max_client_conn: an environment has one database."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_user_connections", "0", 0, 1000000,
               "How many server connections the clients of one local user (kernel uid) may have at "
               "once, the others wait; 0 sets no limit."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.max_user_client_connections", "0", 0, 1000000,
               "How many clients of one local user (kernel uid) may be connected to this environment; "
               "0 sets no limit."),
        BOOL(ENVIRONMENT, RELOAD, "pool.tcp_keepalive", "true",
             "Whether the kernel probes silent server connections. It counts, as the four after it, "
             "for new server connections."),
        NUMBER(ENVIRONMENT, RELOAD, "pool.tcp_keepcnt", "0", 0, 127,
               "How many such probes may fail; 0 leaves it to the system, here and below."),
        DURATION(ENVIRONMENT, RELOAD, "pool.tcp_keepidle", "0",
                 "The silence before the first probe, in whole seconds (at most 32767)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.tcp_keepintvl", "0",
                 "The time between probes, in whole seconds (at most 32767)."),
        DURATION(ENVIRONMENT, RELOAD, "pool.tcp_user_timeout", "0",
                 "How long sent data may stay unacknowledged."),

        DURATION(ENVIRONMENT, RELOAD, "rotation.poll_interval", "300s",
                 "How often Secrets Manager is asked whether there is a new version."),
        DURATION(ENVIRONMENT, RELOAD, "rotation.bridge_timeout", "90s",
                 "How long clients wait for credentials that work before they are told."),
};

enum { COUNT = sizeof table / sizeof *table };

const struct setting *setting_table(size_t *count)
{
        *count = COUNT;
        return table;
}

const struct setting *setting_find(enum setting_scope scope, const char *path)
{
        for (size_t i = 0; i < COUNT; i++)
                if (table[i].scope == scope && strcmp(table[i].path, path) == 0)
                        return &table[i];
        return NULL;
}

/* ---- the nearest ---- */

enum { WORD = 48 };

static unsigned char plain(char c)
{
        return c == '-' ? '_' : (unsigned char) tolower((unsigned char) c);
}

static unsigned smaller(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

unsigned setting_distance(const char *a, const char *b)
{
        unsigned rows[3][WORD + 1] = {{0}};
        size_t n = strnlen(a, WORD), m = strnlen(b, WORD);

        for (size_t j = 0; j <= m; j++)
                rows[0][j] = (unsigned) j;
        for (size_t i = 1; i <= n; i++) {
                unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];

                row[0] = (unsigned) i;
                for (size_t j = 1; j <= m; j++) {
                        bool same = plain(a[i - 1]) == plain(b[j - 1]);

                        row[j] = smaller(smaller(last[j], row[j - 1]) + 1, last[j - 1] + !same);
                        if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
                            plain(a[i - 2]) == plain(b[j - 1]))
                                row[j] = smaller(row[j], older[j - 2] + 1);
                }
        }
        return rows[n % 3][m];
}

/* The word that follows `block` in a path: its length, 0 if the path is not in that block. */
static size_t word_in(const char *path, const char *block, const char **word)
{
        size_t length = strlen(block);

        if (length && (strncmp(path, block, length) != 0 || path[length] != '.'))
                return 0;
        *word = path + (length ? length + 1 : 0);
        return strcspn(*word, ".");
}

/* A whole word that is a part of the other is a good guess, however much longer that is. */
static unsigned likeness(const char *key, const char *word)
{
        unsigned steps = setting_distance(key, word);
        bool part = strlen(key) > 3 && strlen(word) > 3 &&
                    (strcasestr(key, word) || strcasestr(word, key));

        return part ? smaller(steps, 3) : steps;
}

/* The likest word of the block; "environments" is the broker's as well. */
static char *nearest_sibling(enum setting_scope scope, const char *block, const char *key,
                             unsigned *steps)
{
        OWN(free) char *best = NULL;
        const char *word;

        if (scope == SETTING_BROKER && !*block) {
                best = own_string("environments");
                *steps = likeness(key, best);
        }
        for (size_t i = 0; i < COUNT; i++) {
                size_t length = table[i].scope == scope ? word_in(table[i].path, block, &word) : 0;

                if (!length)
                        continue;

                OWN(free) char *sibling = own_text(word, length);
                unsigned distance = likeness(key, sibling);

                if (best && distance >= *steps)
                        continue;
                free(best);
                best = TAKE(sibling);
                *steps = distance;
        }
        return TAKE(best);
}

/* The same key in another block. */
static const char *elsewhere(enum setting_scope scope, const char *key)
{
        for (size_t i = 0; i < COUNT; i++) {
                const char *dot = strrchr(table[i].path, '.');

                if (table[i].scope == scope && dot && strcmp(dot + 1, key) == 0)
                        return table[i].path;
        }
        return NULL;
}

static bool environment_has(const char *key)
{
        const char *word;

        for (size_t i = 0; i < COUNT; i++)
                if (table[i].scope == SETTING_ENVIRONMENT &&
                    word_in(table[i].path, "", &word) == strlen(key) &&
                    strncmp(word, key, strlen(key)) == 0)
                        return true;
        return false;
}

char *setting_nearest(enum setting_scope scope, const char *block, const char *key)
{
        unsigned steps = 0;
        OWN(free) char *sibling = nearest_sibling(scope, block, key, &steps);
        const char *other = elsewhere(scope, key);

        if (scope == SETTING_BROKER && !*block && steps > 2 && environment_has(key))
                return own_format("environments.NAME.%s", key);
        if (!sibling || (other && steps > 2))
                return own_string(other ? other : "");
        return own_format("%s%s%s", block, *block ? "." : "", sibling);
}

/* ---- the page ---- */

static const char *type_name(enum setting_type type)
{
        static const char *const names[] = {
#define X(name, text) text,
                SETTING_TYPES(X)
#undef X
        };
        return names[type];
}

static void describe_type(const struct setting *s, FILE *to)
{
        if (s->type == SETTING_UNSIGNED) {
                fprintf(to, "%llu to %llu", (unsigned long long) s->least,
                        (unsigned long long) s->most);
                return;
        }
        if (s->type != SETTING_CHOICE) {
                fputs(type_name(s->type), to);
                return;
        }
        for (size_t i = 0; s->choices[i]; i++)
                fprintf(to, "%s`%s`", i ? ", " : "", *s->choices[i] ? s->choices[i] : "\"\"");
}

static void describe_one(const struct setting *s, FILE *to)
{
        static const char *const when[] = {"RELOAD", "restart", "not in this version"};
        const char *fallback = *s->fallback ? s->fallback : s->type == SETTING_LIST ? "[]" : "\"\"";

        fprintf(to, "| `%s` | ", s->path);
        describe_type(s, to);
        fprintf(to, " | `%s` | %s | %s |\n", fallback, when[s->when], s->description);
}

void setting_describe(FILE *to)
{
        fputs("# Settings\n\n"
              "Every key of the configuration file. This page is made from the table in "
              "`setting.c`; a test compares the two.\n\n"
              "Durations are written `250ms`, `30s`, `10m` or `1h`; a bare number is seconds, `0` "
              "is off unless the key says otherwise, and 1000 hours is the longest. File modes are octal. Lists are written `[a, "
              "b]`. The fourth column says what makes a new value count: RELOAD (also SIGHUP) or a "
              "restart. What is not in this version is refused unless it has its default.\n",
              to);
        for (size_t i = 0; i < COUNT; i++) {
                if (i == 0)
                        fputs("\n## The broker\n\n", to);
                else if (table[i].scope != table[i - 1].scope)
                        fputs("\n## Each environment, under `environments: NAME:`\n\n", to);
                if (i == 0 || table[i].scope != table[i - 1].scope)
                        fputs("| key | value | default | changed by | what it is |\n"
                              "|---|---|---|---|---|\n",
                              to);
                describe_one(&table[i], to);
        }
}
