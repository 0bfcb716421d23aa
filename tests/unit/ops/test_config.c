#include "load.h"

#include "secret/cost.h"
#include "secret/rotation.h"

/* ---- defaults ---- */

static void an_environment_needs_nothing_but_its_name(void **state)
{
        (void) state;
        OWN(config_free) struct config *c = load("environments:\n  prod:\n");
        const struct config_environment *p = &c->environments[0];

        assert_string_equal(c->socket.directory, "/run/pgbroker");
        assert_int_equal(c->socket.port, 5432);
        assert_int_equal(c->socket.mode, 0666);
        assert_string_equal(c->socket.group, "");
        assert_int_equal(c->socket.max_client_conn, 10000);
        assert_int_equal(c->log.level, LOG_INFO);
        assert_int_equal(c->log.format, LOG_LOGFMT);
        assert_int_equal(c->admin.user_count + c->admin.group_count, 0);
        assert_int_equal(c->environment_count, 1);
        assert_string_equal(p->name, "prod");
        assert_int_equal(p->alias_count, 0);
        assert_int_equal(p->source.kind, SOURCE_AWS);
        assert_string_equal(p->source.environment, "prod");
        assert_string_equal(p->source.secret_name, "forecaster/database/prod");
        assert_string_equal(p->source.secret_region, "");
        assert_string_equal(p->source.path, "");
        assert_string_equal(p->source.variable, "");
        assert_string_equal(p->source.endpoint.host, "");
        assert_int_equal(p->tls.min_ssl_mode, SSL_MODE_UNSET);
        assert_string_equal(p->tls.root_cert, "");
        assert_int_equal(p->tls.channel_binding, BINDING_PREFER);
        assert_int_equal(p->isolation, ISOLATION_TRACKED);
        assert_int_equal(p->access.user_count + p->access.group_count, 0);
        assert_int_equal(p->poll_interval, 300000);
        assert_int_equal(p->bridge_timeout, 90000);
}

static uint32_t throw(void *arg, uint32_t below)
{
        uint64_t *seed = arg;

        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t) ((*seed >> 32) * below >> 32);
}

/* Thirty days of the rotation machine with these settings, and a rotation every seven: how often it asks. */
static uint64_t calls_of_a_month(const struct config_environment *v, uint64_t seed)
{
        const uint64_t week = 7 * 24 * 3600 * 1000ull, month = COST_DAYS * 24 * 3600 * 1000ull;
        struct rotation_options o = {v->poll_interval, v->bridge_timeout, throw, &seed};
        struct rotation *r = rotation_new(&o, 1);
        uint64_t calls = 0;
        char version[32], candidate[ROTATION_VERSION];

        for (uint64_t now = 1; now < month; now = rotation_wake(r)) {
                for (enum rotation_action a; (a = rotation_next(r, now)) != ROTATION_WAIT;) {
                        snprintf(version, sizeof version, "v%d", (int) (now / week));
                        snprintf(candidate, sizeof candidate, "%s", rotation_candidate(r));
                        if (a == ROTATION_PROBE) {
                                rotation_logged_in(r, candidate, ROTATION_OK, now);
                        } else {
                                calls++;
                                rotation_fetched(r, rotation_stage(r), SOURCE_FOUND, version, true, 0, now);
                        }
                }
        }
        assert_string_equal(rotation_active(r), "v4");
        rotation_free(r);
        return calls;
}

static void a_month_of_looking_costs_no_more_than_five_cents(void **state)
{
        (void) state;
        OWN(config_free) struct config *c = load("environments:\n  prod:\n");
        const struct config_environment *p = &c->environments[0];

        assert_in_range(cost_price(cost_planned(p->poll_interval)), 40000, 50000);
        for (uint64_t seed = 1; seed <= 20; seed++) {
                uint64_t calls = calls_of_a_month(p, seed);

                assert_in_range(calls, 8000, 10000);
                assert_true(cost_price(calls) <= 50000);
        }
}

static void a_pool_has_pgbouncer_s_defaults(void **state)
{
        (void) state;
        OWN(config_free) struct config *c = load(PROD(""));
        const struct pool_options *p = &c->environments[0].pool;

        assert_int_equal(p->pool_mode, POOL_TRANSACTION);
        assert_int_equal(p->pool_size, 20);
        assert_int_equal(p->min_pool_size, 0);
        assert_int_equal(p->reserve_pool_size, 0);
        assert_int_equal(p->max_pinned, 0);
        assert_int_equal(p->max_client_conn, 0);
        assert_int_equal(p->reserve_pool_timeout, 5000);
        assert_int_equal(p->query_wait_timeout, 120000);
        assert_int_equal(p->cancel_wait_timeout, 10000);
        assert_int_equal(p->server_lifetime, 3600000);
        assert_int_equal(p->server_idle_timeout, 600000);
        assert_int_equal(p->server_connect_timeout, 15000);
        assert_int_equal(p->server_login_retry, 15000);
        assert_int_equal(p->pin_drain_timeout, 300000);
        assert_int_equal(p->message_timeout, 30000);
        assert_int_equal(p->client_login_timeout, 60000);
        assert_int_equal(p->client_idle_timeout, 0);
        assert_int_equal(p->idle_transaction_timeout, 0);
        assert_int_equal(p->max_db_connections, 0);
        assert_int_equal(p->max_db_client_connections, 0);
        assert_int_equal(p->max_user_connections, 0);
        assert_int_equal(p->max_user_client_connections, 0);
        assert_int_equal(p->query_wait_notify, 5000);
        assert_int_equal(p->server_check_delay, 30000);
        assert_string_equal(p->server_check_query, "<empty>");
        assert_string_equal(p->connect_query, "");
        assert_false(p->server_round_robin || p->server_fast_close);
        assert_true(p->tcp.keepalive);
        assert_int_equal(p->tcp.keepcnt, 0);
        assert_int_equal(p->tcp.keepidle, 0);
        assert_int_equal(p->tcp.keepintvl, 0);
        assert_int_equal(p->tcp.user_timeout, 0);
        assert_int_equal(p->query_timeout, 0);
        assert_int_equal(p->transaction_timeout, 0);
}

/* ---- what is given ---- */

#define WHOLE                                                                                      \
        "socket: {directory: /tmp/s, port: 6432, mode: '0660', group: root, max_client_conn: "     \
        "50}\n"                                                                                    \
        "admin: {users: [root, 12], groups: [root]}\n"                                             \
        "log: {level: debug, format: json}\n"                                                      \
        "aws: {region: eu-west-1, endpoint_url: 'http://127.0.0.1:4566'}\n"                        \
        "environments:\n"                                                                          \
        "  staging:\n"                                                                             \
        "    aliases: [forecaster, st]\n"                                                          \
        "    database: {secret_name: 'rds!cluster-1', secret_region: eu-central-1}\n"              \
        "    endpoint: {host: db.example, port: 5433, database: forecaster_db}\n"                  \
        "    access: {users: [root, '4242'], groups: ['4343']}\n"                                  \
        "    tls: {min_ssl_mode: verify-full, root_cert: ca.pem, channel_binding: require}\n"      \
        "    isolation: strict\n"                                                                  \
        "    pool: {pool_mode: session, pool_size: 8, min_pool_size: 2, max_pinned: 7,\n"          \
        "           reserve_pool_size: 1, max_client_conn: 9, reserve_pool_timeout: 1,\n"          \
        "           query_wait_timeout: 250ms, server_lifetime: 2s, server_idle_timeout: 3s,\n"    \
        "           server_connect_timeout: 4s, server_login_retry: 5s, pin_drain_timeout: 6s,\n"  \
        "           message_timeout: 7s, client_login_timeout: 8s, client_idle_timeout: 9s,\n"     \
        "           idle_transaction_timeout: 10m, cancel_wait_timeout: 12s,\n"                    \
        "           query_timeout: 13s, transaction_timeout: 14s, query_wait_notify: 15s,\n"       \
        "           max_db_connections: 16, max_db_client_connections: 17,\n"                      \
        "           max_user_connections: 18, max_user_client_connections: 19,\n"                  \
        "           server_check_delay: 20s, server_check_query: SELECT 1, connect_query: SET x,\n" \
        "           server_round_robin: true, server_fast_close: true, tcp_keepalive: false,\n"    \
        "           tcp_keepcnt: 21, tcp_keepidle: 22s, tcp_keepintvl: 23s, tcp_user_timeout: 24ms}\n" \
        "    rotation: {poll_interval: 1h, bridge_timeout: 0}\n"                                   \
        "  dev: {}\n"

static void what_is_given_is_taken(void **state)
{
        (void) state;
        write_file("ca.pem", "certificates\n");
        OWN(config_free) struct config *c = load(WHOLE);
        const struct config_environment *s = &c->environments[0];
        char root_cert[100];

        assert_string_equal(c->socket.directory, "/tmp/s");
        assert_int_equal(c->socket.port, 6432);
        assert_int_equal(c->socket.mode, 0660);
        assert_string_equal(c->socket.group, "root");
        assert_int_equal(c->socket.max_client_conn, 50);
        assert_int_equal(c->admin.user_count, 2);
        assert_int_equal(c->admin.users[0], 0);
        assert_int_equal(c->admin.users[1], 12);
        assert_int_equal(c->admin.groups[0], 0);
        assert_int_equal(c->log.level, LOG_DEBUG);
        assert_int_equal(c->log.format, LOG_JSON);
        assert_int_equal(c->environment_count, 2);
        assert_string_equal(s->name, "staging");
        assert_string_equal(s->aliases[1], "st");
        assert_string_equal(s->source.secret_name, "rds!cluster-1");
        assert_string_equal(s->source.secret_region, "eu-central-1");
        assert_string_equal(s->source.region, "eu-west-1");
        assert_string_equal(s->source.endpoint_url, "http://127.0.0.1:4566");
        assert_string_equal(s->source.endpoint.host, "db.example");
        assert_int_equal(s->source.endpoint.port, 5433);
        assert_string_equal(s->source.endpoint.database, "forecaster_db");
        assert_int_equal(s->access.users[1], 4242);
        assert_int_equal(s->access.groups[0], 4343);
        assert_int_equal(s->tls.min_ssl_mode, SSL_MODE_VERIFY_FULL);
        snprintf(root_cert, sizeof root_cert, "%s/ca.pem", folder);
        assert_string_equal(s->tls.root_cert, root_cert);
        assert_int_equal(s->tls.channel_binding, BINDING_REQUIRE);
        assert_int_equal(s->isolation, ISOLATION_STRICT);
        assert_int_equal(s->poll_interval, 3600000);
        assert_int_equal(s->bridge_timeout, 0);
        assert_string_equal(c->environments[1].source.secret_name, "forecaster/database/dev");
        assert_ptr_equal(config_find(c, "staging"), s);
        assert_ptr_equal(config_find(c, "forecaster"), s);
        assert_ptr_equal(config_find(c, "dev"), &c->environments[1]);
        assert_null(config_find(c, "prod"));
        assert_null(config_find(c, ""));
}

static void every_pool_setting_reaches_its_place(void **state)
{
        (void) state;
        write_file("ca.pem", "certificates\n");
        OWN(config_free) struct config *c = load(WHOLE);
        const struct pool_options *p = &c->environments[0].pool;

        assert_int_equal(p->pool_mode, POOL_SESSION);
        assert_int_equal(p->pool_size, 8);
        assert_int_equal(p->min_pool_size, 2);
        assert_int_equal(p->max_pinned, 7);
        assert_int_equal(p->reserve_pool_size, 1);
        assert_int_equal(p->max_client_conn, 9);
        assert_int_equal(p->reserve_pool_timeout, 1000);
        assert_int_equal(p->query_wait_timeout, 250);
        assert_int_equal(p->cancel_wait_timeout, 12000);
        assert_int_equal(p->server_lifetime, 2000);
        assert_int_equal(p->server_idle_timeout, 3000);
        assert_int_equal(p->server_connect_timeout, 4000);
        assert_int_equal(p->server_login_retry, 5000);
        assert_int_equal(p->pin_drain_timeout, 6000);
        assert_int_equal(p->message_timeout, 7000);
        assert_int_equal(p->client_login_timeout, 8000);
        assert_int_equal(p->client_idle_timeout, 9000);
        assert_int_equal(p->idle_transaction_timeout, 600000);
        assert_int_equal(p->max_db_connections, 16);
        assert_int_equal(p->max_db_client_connections, 17);
        assert_int_equal(p->max_user_connections, 18);
        assert_int_equal(p->max_user_client_connections, 19);
        assert_int_equal(p->query_wait_notify, 15000);
        assert_int_equal(p->server_check_delay, 20000);
        assert_string_equal(p->server_check_query, "SELECT 1");
        assert_string_equal(p->connect_query, "SET x");
        assert_true(p->server_round_robin && p->server_fast_close);
        assert_false(p->tcp.keepalive);
        assert_int_equal(p->tcp.keepcnt, 21);
        assert_int_equal(p->tcp.keepidle, 22000);
        assert_int_equal(p->tcp.keepintvl, 23000);
        assert_int_equal(p->tcp.user_timeout, 24);
        assert_int_equal(p->query_timeout, 13000);
        assert_int_equal(p->transaction_timeout, 14000);
}

static void each_choice_is_the_enum_of_its_name(void **state)
{
        (void) state;
        static const struct {
                const char *level;
                enum log_level is;
        } levels[] = {
                {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}};
        char text[200];

        for (size_t i = 0; i < 4; i++) {
                snprintf(text, sizeof text, "log: {level: %s}\n" PROD(""), levels[i].level);
                OWN(config_free) struct config *c = load(text);

                assert_int_equal(c->log.level, levels[i].is);
        }
        for (enum ssl_mode m = SSL_MODE_DISABLE; m <= SSL_MODE_REQUIRE; m++) {
                static const char *const names[] = {"", "disable", "allow", "prefer", "require"};

                snprintf(text, sizeof text, PROD("tls: {min_ssl_mode: %s}"), names[m]);
                OWN(config_free) struct config *c = load(text);

                assert_int_equal(c->environments[0].tls.min_ssl_mode, m);
        }
        OWN(config_free) struct config *off = load(PROD("tls: {channel_binding: disable}"));

        assert_int_equal(off->environments[0].tls.channel_binding, BINDING_DISABLE);
}

static void each_source_has_its_keys(void **state)
{
        (void) state;
        OWN(config_free)
        struct config *c = load("environments:\n"
                                "  a: {database: {source: file, path: secret.json}}\n"
                                "  local: {database: {source: env}}\n"
                                "  c: {database: {source: env, variable: DB_CONFIG}}\n"
                                "  d: {database: {source: env, variable: V, secret_name: "
                                "forecaster/database/d}}\n");
        char path[100];

        snprintf(path, sizeof path, "%s/secret.json", folder);
        assert_int_equal(c->environments[0].source.kind, SOURCE_FILE);
        assert_string_equal(c->environments[0].source.path, path);
        assert_string_equal(c->environments[0].source.secret_name, "");
        assert_int_equal(c->environments[1].source.kind, SOURCE_ENV);
        assert_string_equal(c->environments[1].source.variable, "");
        assert_string_equal(c->environments[1].source.secret_name, "");
        assert_string_equal(c->environments[2].source.variable, "DB_CONFIG");
        assert_string_equal(c->environments[2].source.secret_name, "");
        assert_string_equal(c->environments[3].source.secret_name, "forecaster/database/d");
}

/* ---- the forecaster's own file ---- */

static void the_forecaster_s_file_names_the_secret(void **state)
{
        (void) state;
        write_file("prod.yml", "# config/prod.yml\n"
                               "database:\n"
                               "  secret_name: \"forecaster/database/blue\"\n"
                               "  secret_region: \"us-east-1\"\n"
                               "api_keys:\n"
                               "  secret_name: \"forecaster/api-keys/prod\"\n"
                               "  secret_region: \"us-east-1\"\n"
                               "auth:\n"
                               "  secret_name: \"forecaster/auth/prod\"\n"
                               "  secret_region: \"us-east-1\"\n"
                               "model: {anything: [1, 2]}\n");
        OWN(config_free) struct config *c = load(PROD("config: prod.yml"));
        OWN(config_free)
        struct config *ours =
                load(PROD("config: prod.yml, database: {secret_name: forecaster/database/green}"));

        assert_string_equal(c->environments[0].source.secret_name, "forecaster/database/blue");
        assert_string_equal(c->environments[0].source.secret_region, "us-east-1");
        assert_string_equal(ours->environments[0].source.secret_name, "forecaster/database/green");
        assert_string_equal(ours->environments[0].source.secret_region, "us-east-1");
}

/* ---- the command line and the environment ---- */

static const char *no_variables(const char *name)
{
        (void) name;
        return NULL;
}

static const char *variables(const char *name)
{
        if (strcmp(name, "DB_SECRET_NAME") == 0)
                return "arn:aws:secretsmanager:eu-west-1:123456789012:secret:forecaster/database/"
                       "prod-AbCdEf";
        return strcmp(name, "DB_SECRET_REGION") == 0 ? "eu-west-1" : NULL;
}

static void an_environment_may_be_named_alone(void **state)
{
        (void) state;
        const char *names[] = {"prod", "dev", "prod"}, *allow[] = {"root", "4242"};
        struct config_arguments a = {.environments = names,
                                     .environment_count = 3,
                                     .allow = allow,
                                     .allow_count = 2,
                                     .getenv_ = variables};
        struct error e;
        OWN(config_free) struct config *c = load_as(&a, NULL, &e);
        OWN(config_free)
        struct config *both = load_as(&a, "environments: {qa: {}, dev: {isolation: strict}}", &e);

        assert_non_null(c);
        assert_int_equal(c->environment_count, 2);
        assert_string_equal(c->environments[0].source.secret_name, "forecaster/database/prod");
        assert_string_equal(c->environments[1].source.secret_name, "forecaster/database/dev");
        assert_int_equal(c->environments[1].access.user_count, 2);
        assert_int_equal(c->environments[1].access.users[1], 4242);
        assert_int_equal(c->admin.user_count, 0);
        assert_non_null(both);
        assert_int_equal(both->environment_count, 3);
        assert_int_equal(config_find(both, "dev")->isolation, ISOLATION_STRICT);
        assert_int_equal(config_find(both, "qa")->access.user_count, 2);
}

static void wrong_words_are_named(void **state)
{
        (void) state;
        const char *names[] = {"pgbouncer"}, *fine[] = {"prod"}, *allow[] = {"no_such_user"};
        struct error e;

        assert_null(
                load_as(&(struct config_arguments){.environments = names, .environment_count = 1},
                        NULL, &e));
        assert_int_equal(strncmp(e.text, "-e: ", 4), 0);
        assert_null(load_as(&(struct config_arguments){.environments = fine,
                                                       .environment_count = 1,
                                                       .allow = allow,
                                                       .allow_count = 1},
                            NULL, &e));
        assert_int_equal(strncmp(e.text, "--allow: ", 9), 0);
        assert_non_null(strstr(e.text, "no_such_user"));
        assert_null(load_as(&(struct config_arguments){.getenv_ = no_variables}, NULL, &e));
        assert_non_null(strstr(e.text, "DB_SECRET_NAME"));
        assert_non_null(strstr(e.hint, "pgbrokerd -e prod"));
}

static const char *wrong_name(const char *name)
{
        return strcmp(name, "DB_SECRET_NAME") == 0 ? "rds!cluster-1" : NULL;
}

static void a_variable_names_the_one_environment(void **state)
{
        (void) state;
        struct config_arguments a = {.getenv_ = variables};
        struct error e;
        OWN(config_free) struct config *c = load_as(&a, NULL, &e);
        OWN(config_free) struct config *file = load_as(&a, "environments: {dev: {}}", &e);

        assert_non_null(c);
        assert_int_equal(c->environment_count, 1);
        assert_string_equal(c->environments[0].name, "prod");
        assert_non_null(strstr(c->environments[0].source.secret_name, "arn:aws:"));
        assert_string_equal(c->environments[0].source.secret_region, "eu-west-1");
        assert_int_equal(file->environment_count, 1);
        assert_string_equal(file->environments[0].name, "dev");
        assert_null(load_as(&(struct config_arguments){.getenv_ = wrong_name}, NULL, &e));
        assert_int_equal(strncmp(e.text, "DB_SECRET_NAME: found \"rds!cluster-1\"", 37), 0);
}

/* ---- showing ---- */

static char *printed(const struct config *c)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        config_print(c, f);
        fclose(f);
        return text;
}

static void what_is_printed_reads_as_the_same(void **state)
{
        (void) state;
        const char *names[] = {"prod"}, *allow[] = {"root"};
        struct config_arguments a = {
                .environments = names, .environment_count = 1, .allow = allow, .allow_count = 1};
        static const char *const texts[] = {
                WHOLE,
                PROD(""),
                PROD("config: prod.yml"),
                "environments: {'null': {}, '1': {}, a.b-c_d: {}}",
                "environments: {x: {database: {source: file, path: \"a \\\" \\n \\u2028 b\"}}}",
                ("environments: {local: {database: {source: env}}, y: {database: {source: env, "
                 "variable: V}}}"),
        };
        struct error e;

        write_file("ca.pem", "certificates\n");
        write_file("prod.yml",
                   "database: {secret_name: forecaster/database/prod, secret_region: us-east-1}");
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                OWN(config_free)
                struct config *first =
                        load_as(i % 2 ? &(struct config_arguments){0} : &a, texts[i], &e);

                assert_non_null(first);
                OWN(free) char *once = printed(first);
                OWN(config_free) struct config *second = load(once);
                OWN(free) char *twice = printed(second);

                assert_string_equal(once, twice);
        }
}

struct seen {
        unsigned rows, changeable, changed;
        char pool_size[40], port[40];
};

static void see(void *arg, const char *key, const char *value, const char *fallback,
                bool changeable)
{
        struct seen *s = arg;

        s->rows++;
        s->changeable += changeable;
        s->changed += strcmp(value, fallback) != 0;
        if (strcmp(key, "environments.prod.pool.pool_size") == 0)
                snprintf(s->pool_size, sizeof s->pool_size, "%s/%s/%d", value, fallback,
                         changeable);
        if (strcmp(key, "socket.port") == 0)
                snprintf(s->port, sizeof s->port, "%s/%s/%d", value, fallback, changeable);
}

static void rows_show_value_default_and_whether_it_can_change(void **state)
{
        (void) state;
        OWN(config_free) struct config *one = load(PROD("pool: {pool_size: 7}"));
        OWN(config_free) struct config *two = load("environments: {prod: {}, dev: {}}");
        struct seen a = {0}, b = {0};

        config_rows(one, see, &a);
        config_rows(two, see, &b);
        assert_string_equal(a.pool_size, "7/20/1");
        assert_string_equal(a.port, "5432/5432/0");
        assert_int_equal(a.changed, 1);
        assert_int_equal(b.changed, 0);
        assert_true(a.changeable > 30 && a.changeable < a.rows);
        assert_true(b.rows > a.rows + 50);
}

static void only_the_socket_needs_a_restart(void **state)
{
        (void) state;
        OWN(config_free) struct config *a = load(PROD("pool: {pool_size: 7}"));
        OWN(config_free) struct config *b = load("log: {level: debug}\n" PROD("isolation: strict"));
        OWN(config_free)
        struct config *c =
                load("socket: {port: 1, mode: '0600', directory: /run/pgbroker}\n" PROD(""));
        OWN(free) char *keys = config_needs_restart(a, c);

        assert_null(config_needs_restart(a, b));
        assert_string_equal(keys, "socket.port, socket.mode");
}

static void a_file_is_loaded_by_its_path(void **state)
{
        (void) state;
        struct config *c = NULL;
        struct error e = {0};
        struct config_arguments a = {.file = "b.yaml"};

        unlink("b.yaml");
        assert_false(config_load(&a, &c, &e));
        assert_non_null(strstr(e.text, "b.yaml: the file cannot be opened"));
        write_file("b.yaml", PROD("x: 1"));
        assert_false(config_load(&a, &c, &e));
        assert_int_equal(strncmp(e.text, "b.yaml:1:23: ", 13), 0);
        write_file("b.yaml", PROD(""));
        assert_true(config_load(&a, &c, &e));
        assert_string_equal(c->environments[0].name, "prod");
        config_free(c);
        config_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_environment_needs_nothing_but_its_name),
                cmocka_unit_test(a_month_of_looking_costs_no_more_than_five_cents),
                cmocka_unit_test(a_pool_has_pgbouncer_s_defaults),
                cmocka_unit_test(what_is_given_is_taken),
                cmocka_unit_test(every_pool_setting_reaches_its_place),
                cmocka_unit_test(each_choice_is_the_enum_of_its_name),
                cmocka_unit_test(each_source_has_its_keys),
                cmocka_unit_test(the_forecaster_s_file_names_the_secret),
                cmocka_unit_test(an_environment_may_be_named_alone),
                cmocka_unit_test(wrong_words_are_named),
                cmocka_unit_test(a_variable_names_the_one_environment),
                cmocka_unit_test(what_is_printed_reads_as_the_same),
                cmocka_unit_test(rows_show_value_default_and_whether_it_can_change),
                cmocka_unit_test(only_the_socket_needs_a_restart),
                cmocka_unit_test(a_file_is_loaded_by_its_path),
        };
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
