/* pgbrokerctl as its user sees it, over a console that knows its answers by heart. */
#include "fake_console.h"

#define DATABASES                                                                                  \
        "name:25 host:25 port:23 database:25 force_user:25 pool_size:23 reserve_pool_size:23 "     \
        "pool_mode:25 paused:23 disabled:23"
#define POOLS                                                                                      \
        "database:25 user:25 cl_active:23 cl_waiting:23 sv_active:23 sv_idle:23 sv_used:23 "       \
        "sv_tested:23 sv_login:23 maxwait:23 maxwait_us:23 pool_mode:25"
#define SECRETS                                                                                    \
        "environment:25 name:25 version_id:25 stage:25 fetched:1184 age_s:20 next_poll_s:20 "      \
        "generation:23 last_error:25 calls:20 calls_30d:20 polls_30d:20 usd_30d:1700"
#define ROTATIONS                                                                                  \
        "environment:25 started:1184 trigger:25 from_version:25 to_version:25 stage:25 "           \
        "login_failures:23 waiters:23 bridged_ms:20 outcome:25 drained_ms:20 steps:25"
#define PREDECESSORS "pid:23 clients:23 replaced:1184 age_s:20"
#define PINS "environment:25 client_id:20 pid:23 uid:23 reason:25 age_s:20 query:25"
#define CLIENTS                                                                                    \
        "type:25 user:25 database:25 state:25 wait:23 wait_us:23 remote_pid:23 application_name:25"
#define STATS                                                                                      \
        "database:25 total_xact_count:1700 total_query_count:1700 avg_xact_count:1700 "            \
        "avg_query_time:1700"

enum { VERSION_ROWS, DATABASES_ROWS, POOLS_ROWS, SECRETS_ROWS, ROTATIONS_ROWS, PINS_ROWS, CLIENTS_ROWS, STATS_ROWS,
       PREDECESSORS_ROWS };

/* A broker with one environment that has nothing to do; stories change what they are about. */
static struct answer *quiet(void)
{
        static struct answer a[16];

        memcpy(a, (struct answer[16]){
                [VERSION_ROWS] = {"SHOW VERSION", "version:25", "pgbroker 0.1.0\n"},
                [DATABASES_ROWS] = {"SHOW DATABASES", DATABASES,
                                    "prod|db.example|5432|forecaster_db|~|4|0|transaction|0|0\n"
                                    "pgbroker|~|5432|pgbroker|~|2|0|~|0|0\n"},
                [POOLS_ROWS] = {"SHOW POOLS", POOLS, "prod|forecaster_user|0|0|0|2|0|0|0|0|0|transaction\n"},
                [SECRETS_ROWS] = {"SHOW SECRETS", SECRETS,
                                  "prod|forecaster/database/prod|1a2b3c4d-5e6f-7081|AWSCURRENT|"
                                  "2025-11-23 18:57:31+00|12|288|1||3|8650|8640|0.043250\n"},
                [ROTATIONS_ROWS] = {"SHOW ROTATIONS", ROTATIONS,
                                    "prod|2025-11-23 18:57:31+00|start||1a2b3c4d-5e6f-7081|AWSCURRENT|0|0|0|adopted||0 ms start\n"},
                [PINS_ROWS] = {"SHOW PINS", PINS, ""},
                [CLIENTS_ROWS] = {"SHOW CLIENTS", CLIENTS, "C|alice|prod|idle|0|0|4711|\n"},
                [STATS_ROWS] = {"SHOW STATS", STATS, "prod|812|900|40|1250\n"},
                [PREDECESSORS_ROWS] = {"SHOW PREDECESSORS", PREDECESSORS, ""},
                {"RELOAD", NULL, NULL},
                {"PAUSE nowhere", "error", "3D000|no environment nowhere|SHOW DATABASES lists them."},
                {"KILL prod", "error", "0A000|KILL is not in this version|"},
                {"SHUTDOWN", "error", "57P01|the broker is shutting down|"},
        }, sizeof a);
        return a;
}

static struct ran r;

static void ctl(struct fake_console *c, const struct answer *answers, const char *words)
{
        char arguments[512];

        c->answers = answers;
        fake_console_start(c);
        snprintf(arguments, sizeof arguments, "-h %s %s", c->directory, words);
        run(&r, PGBROKERCTL, arguments);
        fake_console_stop(c);
}

static void status_of(const struct answer *answers, int status, const char *words)
{
        struct fake_console c = {0};

        ctl(&c, answers, "status");
        if (r.status != status || !strstr(r.out, words))
                fail_msg("%d, not %d and \"%s\":\n%s%s", r.status, status, words, r.out, r.err);
}

/* ---- status ---- */

static void a_quiet_broker_is_healthy_and_says_on_what(void **state)
{
        (void) state;
        status_of(quiet(), 0, "pgbroker 0.1.0 at /tmp/pgbroker-test-");
        static const char *const lines[] = {
                "/.s.PGSQL.5432: healthy\n",
                "\nprod          ok\n",
                "  database    forecaster_db on db.example, port 5432, transaction mode\n",
                "  servers     0 active, 2 idle, of 4\n",
                "  clients     0 active, 1 idle, 0 waiting\n",
                "  secret      forecaster/database/prod\n",
                "version 1a2b3c4d-5e6f-7081, AWSCURRENT, generation 1\n",
                "fetched 12 s ago, next look in 288 s\n",
                "  rotations   2025-11-23 18:57:31  start: 1a2b3c4d as AWSCURRENT, adopted\n",
                "  traffic     812 transactions, 900 queries; in the last minute 40 transactions/s, 1.2 ms a query\n",
        };
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
                if (!strstr(r.out, lines[i]))
                        fail_msg("no \"%s\" in:\n%s", lines[i], r.out);
        assert_null(strstr(r.out, "last error"));
        assert_null(strstr(r.out, "pinned"));
        assert_null(strstr(r.out, "\npgbroker  "));
        assert_string_equal(r.err, "");
}

static void who_waits_for_what_and_who_is_pinned_is_shown(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[POOLS_ROWS].rows = "prod|forecaster_user|4|2|4|0|0|0|0|7|500000|transaction\n";
        a[CLIENTS_ROWS].rows = "C|alice|prod|waiting|0|300000|11|loader\n"
                               "C|\x1b[2Jbob|prod|waiting|7|500000|12|\n"
                               "C|carol|prod|active|0|0|13|\n"
                               "C|dan|dev|waiting|99|0|14|\n";
        a[PINS_ROWS].rows = "prod|3|13|1000|temporary object|35|CREATE TEMP TABLE t (x int)\n";
        status_of(a, 0, "1 active, 0 idle, 2 waiting (longest 7.5 s) for a server to become free\n");
        assert_non_null(strstr(r.out, "pid 12 user ?[2Jbob has waited 7.5 s\n"));
        assert_non_null(strstr(r.out, "pid 11 user alice (loader) has waited 0.3 s\n"));
        assert_true(strstr(r.out, "pid 12") < strstr(r.out, "pid 11"));
        assert_non_null(strstr(r.out, "  pinned      1 of the clients"));
        assert_non_null(strstr(r.out, "pid 13 uid 1000 by temporary object for 35 s: CREATE TEMP TABLE t (x int)\n"));
        assert_null(strstr(r.out, "dan"));
}

static void without_credentials_it_fails(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[SECRETS_ROWS].rows = "prod|forecaster/database/prod|||~|~|~|0|cannot connect to Secrets Manager\n";
        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 18:57:31+00|start||||0|0|0|running\n";
        status_of(a, 1, "prod          failing: it has no credentials\n");
        assert_non_null(strstr(r.out, "NOT HEALTHY"));
        assert_non_null(strstr(r.out, "never fetched, no next look planned\n"));
        assert_non_null(strstr(r.out, "  last error  cannot connect to Secrets Manager\n"));
        a[SECRETS_ROWS].rows = "";
        status_of(a, 1, "failing: it has no credentials\n");
}

static void a_bridge_is_healthy_until_it_is_given_up(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[SECRETS_ROWS].rows = "prod|forecaster/database/prod|old|AWSCURRENT|2025-11-23 18:57:31+00|1|2|1|"
                               "password authentication failed\n";
        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 19:00:00+00|login refused|old|old|AWSCURRENT|3|1|2300|running\n"
                                 "prod|2025-11-23 18:57:31+00|start||old|AWSCURRENT|0|0|0|adopted||0 ms start\n";
        status_of(a, 0, "bridging: the server refuses its credentials");
        assert_non_null(strstr(r.out, "login refused: old as AWSCURRENT, running, bridged 2.3 s, up to 1 client waited, 3 logins refused\n"));
        assert_non_null(strstr(r.out, "  last error  password authentication failed\n"));
        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 19:00:00+00|login refused|old|||12|5|90000|given up\n";
        status_of(a, 1, "failing: the server has refused its credentials for longer than bridge_timeout\n");
}

static void a_new_version_that_is_not_ready_yet_is_no_bridge(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 19:00:00+00|poll|old|new|AWSCURRENT|1|0|0|running\n";
        a[SECRETS_ROWS].rows = "prod|forecaster/database/prod|old|AWSCURRENT|2025-11-23 18:57:31+00|1|2|1|"
                               "password authentication failed\n";
        a[POOLS_ROWS].rows = "prod|forecaster_user|0|0|0|0|0|0|0|0|0|transaction\n";
        status_of(a, 0, "\nprod          ok\n");
}

static void the_newest_rotation_comes_first_in_either_order(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 18:00:00+00|start||aaaa|AWSCURRENT|0|0|0|adopted||0 ms start\n"
                                 "prod|2025-11-23 19:00:00+00|poll|aaaa|bbbb|AWSCURRENT|0|0|0|adopted||0 ms start\n";
        status_of(a, 0, "  rotations   2025-11-23 19:00:00  poll: aaaa to bbbb as AWSCURRENT, adopted\n"
                        "              2025-11-23 18:00:00  start: aaaa as AWSCURRENT, adopted\n");
        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 19:00:00+00|poll|aaaa|bbbb|AWSCURRENT|0|0|0|adopted||0 ms start\n"
                                 "prod|2025-11-23 18:00:00+00|start||aaaa|AWSCURRENT|0|0|0|adopted||0 ms start\n";
        status_of(a, 0, "  rotations   2025-11-23 19:00:00");
}

static void an_error_counts_only_where_it_hurts(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[SECRETS_ROWS].rows = "prod|forecaster/database/prod|v|AWSCURRENT|2025-11-23 18:57:31+00|1|2|1|"
                               "connection refused\n";
        status_of(a, 0, "\nprod          ok\n");
        a[POOLS_ROWS].rows = "prod|forecaster_user|0|0|0|0|0|0|1|0|0|transaction\n";
        status_of(a, 1, "failing: no new server connection can be made\n");
        a[POOLS_ROWS].rows = "prod|forecaster_user|1|1|2|0|0|0|1|3|0|transaction\n";
        a[CLIENTS_ROWS].rows = "C|alice|prod|waiting|3|0|11|\n";
        status_of(a, 1, "for a server that can be connected to\n");
}

static void a_server_that_was_never_reached_is_failing(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[ROTATIONS_ROWS].rows = "prod|2025-11-23 19:00:00+00|start||new|AWSCURRENT|0|0|0|running\n";
        a[SECRETS_ROWS].rows = "prod|forecaster/database/prod|new|AWSCURRENT|2025-11-23 18:57:31+00|1|2|1|"
                               "connection refused\n";
        a[POOLS_ROWS].rows = "prod|forecaster_user|0|0|0|0|0|0|0|0|0|transaction\n";
        status_of(a, 1, "failing: no new server connection can be made\n");
}

static void paused_is_not_healthy(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[DATABASES_ROWS].rows = "prod|db.example|5432|forecaster_db|~|4|0|transaction|1|0\n";
        a[CLIENTS_ROWS].rows = "C|alice|prod|waiting|3|0|11|\n";
        status_of(a, 1, "paused: no server is lent until RESUME\n");
        assert_non_null(strstr(r.out, "for RESUME\n"));
        a[DATABASES_ROWS].rows = "prod|db.example|5432|forecaster_db|~|4|0|transaction|0|1\n";
        status_of(a, 1, "disabled: no new clients until ENABLE\n");
}

static void many_waiting_clients_still_fit_on_a_screen(void **state)
{
        (void) state;
        struct answer *a = quiet();
        static char rows[60000];
        size_t n = 0;
        unsigned lines = 0;

        for (unsigned i = 0; i < 1000; i++)
                n += (size_t) snprintf(rows + n, sizeof rows - n, "C|user|prod|waiting|%u|0|%u|\n", i % 100, i);
        a[CLIENTS_ROWS].rows = rows;
        status_of(a, 0, "1000 waiting (longest 99.0 s)");
        assert_non_null(strstr(r.out, "and 995 more\n"));
        for (const char *p = r.out; *p; p++)
                lines += *p == '\n';
        assert_true(lines < 24);
}

static void the_same_as_json(void **state)
{
        (void) state;
        struct fake_console c = {0};
        struct answer *a = quiet();

        a[CLIENTS_ROWS].rows = "C|\"\\|prod|waiting|3|0|11|\x1b\n";
        ctl(&c, a, "--json status");
        assert_int_equal(r.status, 0);
        static const char *const words[] = {
                "{\n  \"version\": \"pgbroker 0.1.0\",\n",
                ("  \"healthy\": true,\n  \"predecessors\": [],\n  \"environments\": [\n    {\n      \"name\": \"prod\",\n"
                 "      \"health\": \"ok\",\n      \"healthy\": true,\n      \"why\": null,\n"),
                "        \"waiting\": 1,\n        \"pinned\": 0,\n        \"longest_wait_s\": 3.000000,\n",
                "          \"user\": \"\\\"\\\\\",\n",
                "          \"application_name\": \"\\u001b\"\n",
                "      \"pins\": [],\n      \"secret\": {\n        \"environment\": \"prod\",\n",
                "        \"age_s\": 12,\n        \"next_poll_s\": 288,\n",
                "        \"force_user\": null,\n        \"pool_size\": 4,\n",
                "        \"avg_query_time\": 1250\n      }\n    }\n  ]\n}\n",
        };
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (!strstr(r.out, words[i]))
                        fail_msg("no %s in:\n%s", words[i], r.out);
}

static void a_broker_that_was_replaced_and_still_has_clients_is_named(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[PREDECESSORS_ROWS].rows = "4711|1|2025-11-23 18:57:31+00|35\n4700|12|2025-11-23 18:50:31+00|455\n";
        status_of(a, 0, "");
        assert_non_null(strstr(r.out, ": healthy\n\npid 4711 was replaced 35 s ago and still has 1 client\n"
                                      "pid 4700 was replaced 455 s ago and still has 12 clients\n"));
        struct fake_console c = {0};
        ctl(&c, a, "status --json");
        assert_non_null(strstr(r.out, "\"predecessors\": [\n    {\n      \"pid\": 4711,"));
}

static void a_console_that_lacks_something_is_reported(void **state)
{
        (void) state;
        struct answer *a = quiet();

        a[PINS_ROWS].command = "SHOW NOTHING";
        status_of(a, 1, "");
        assert_string_equal(r.err, "pgbrokerctl: invalid command\n  SHOW HELP lists them.\n");
}

/* ---- the other commands ---- */

static void show_prints_a_table_or_json(void **state)
{
        (void) state;
        static const struct answer answers[] = {
                {"SHOW things", "name:25 size:23 note:25", "a|1|x\nlonger|22|~\n"}, {0}};
        struct fake_console c = {0};

        ctl(&c, answers, "show things");
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, "name    size  note\na          1  x\nlonger    22  \n");
        ctl(&c, answers, "show things --json");
        assert_string_equal(r.out, "[\n  {\n    \"name\": \"a\",\n    \"size\": 1,\n    \"note\": \"x\"\n  },\n"
                                   "  {\n    \"name\": \"longer\",\n    \"size\": 22,\n    \"note\": null\n  }\n]\n");
}

static void orders_go_through_and_refusals_are_1(void **state)
{
        (void) state;
        struct fake_console c = {0};

        ctl(&c, quiet(), "reload");
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, "RELOAD\n");
        assert_non_null(strstr(c.startup + 4, "database pgbroker "));
        ctl(&c, quiet(), "--json reload");
        assert_string_equal(r.out, "{\n  \"done\": \"RELOAD\"\n}\n");
        ctl(&c, quiet(), "pause nowhere");
        assert_int_equal(r.status, 1);
        assert_string_equal(r.err, "pgbrokerctl: no environment nowhere\n  SHOW DATABASES lists them.\n");
        ctl(&c, quiet(), "kill prod");
        assert_int_equal(r.status, 1);
        assert_string_equal(r.err, "pgbrokerctl: KILL is not in this version\n");
        ctl(&c, quiet(), "--json kill prod");
        assert_non_null(strstr(r.out, "\"sqlstate\": \"0A000\",\n"));
}

static void set_keeps_its_words(void **state)
{
        (void) state;
        static const struct answer answers[] = {{"SET log.level = debug", NULL, NULL}, {0}};
        struct fake_console c = {0};

        ctl(&c, answers, "set log.level = debug");
        assert_int_equal(r.status, 0);
}

static void a_shutdown_may_end_the_connection(void **state)
{
        (void) state;
        struct fake_console c = {.ends_on_shutdown = true};

        ctl(&c, quiet(), "shutdown");
        assert_int_equal(r.status, 0);
        c.ends_on_shutdown = false;
        ctl(&c, quiet(), "shutdown");
        assert_int_equal(r.status, 0);
        c.ends_on_shutdown = true;
        ctl(&c, quiet(), "shutdown wait_for_clients");
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(c.asked, "SHUTDOWN wait_for_clients;"));
}

static void wrong_usage_is_2(void **state)
{
        (void) state;
        static const char *const wrong[] = {"", "frobnicate", "show", "status now", "pause a b", "-p 0 status",
                                            "-p 1x status", "--wrong status", "-h", "disable", "'pause'' ''a;b'",
                                            "pause 'a;b'", "show 'pools; shutdown'", "-h relative status", "pause ''"};

        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                run(&r, PGBROKERCTL, wrong[i]);
                if (r.status != 2 || !*r.err || *r.out)
                        fail_msg("%s: %d\n%s", wrong[i], r.status, r.err);
        }
}

static void no_broker_is_2_and_not_allowed_is_1(void **state)
{
        (void) state;
        struct fake_console c = {.refusal = "28000|uid 7 is no administrator|"};

        run(&r, PGBROKERCTL, "-h /nowhere status");
        assert_int_equal(r.status, 2);
        assert_string_equal(r.err, "pgbrokerctl: no broker there: the socket /nowhere/.s.PGSQL.5432 does not exist\n"
                                   "  Start pgbrokerd, or name its socket.directory in PGBROKER_DIRECTORY "
                                   "(pgbrokerctl: -h and -p).\n");
        run(&r, PGBROKERCTL, "-h /nowhere -p 6432 --json status");
        assert_int_equal(r.status, 2);
        assert_non_null(strstr(r.out, "\"healthy\": false"));
        assert_non_null(strstr(r.out, ".s.PGSQL.6432"));
        ctl(&c, quiet(), "status");
        assert_int_equal(r.status, 1);
        assert_non_null(strstr(r.err, "uid 7 is no administrator\n  Ask the broker's administrator"));
}

static void help_and_version_need_no_broker(void **state)
{
        (void) state;
        run(&r, PGBROKERCTL, "--help");
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.out, "Exit status: 0 fine"));
        run(&r, PGBROKERCTL, "--version");
        assert_int_equal(r.status, 0);
        assert_int_equal(strncmp(r.out, "pgbrokerctl 0.", 14), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_quiet_broker_is_healthy_and_says_on_what),
                cmocka_unit_test(who_waits_for_what_and_who_is_pinned_is_shown),
                cmocka_unit_test(without_credentials_it_fails),
                cmocka_unit_test(a_bridge_is_healthy_until_it_is_given_up),
                cmocka_unit_test(a_new_version_that_is_not_ready_yet_is_no_bridge),
                cmocka_unit_test(the_newest_rotation_comes_first_in_either_order),
                cmocka_unit_test(an_error_counts_only_where_it_hurts),
                cmocka_unit_test(a_server_that_was_never_reached_is_failing),
                cmocka_unit_test(paused_is_not_healthy),
                cmocka_unit_test(many_waiting_clients_still_fit_on_a_screen),
                cmocka_unit_test(the_same_as_json),
                cmocka_unit_test(a_broker_that_was_replaced_and_still_has_clients_is_named),
                cmocka_unit_test(a_console_that_lacks_something_is_reported),
                cmocka_unit_test(show_prints_a_table_or_json),
                cmocka_unit_test(orders_go_through_and_refusals_are_1),
                cmocka_unit_test(set_keeps_its_words),
                cmocka_unit_test(a_shutdown_may_end_the_connection),
                cmocka_unit_test(wrong_usage_is_2),
                cmocka_unit_test(no_broker_is_2_and_not_allowed_is_1),
                cmocka_unit_test(help_and_version_need_no_broker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
