#include "fake_console.h"
#include "pgbroker.h"

/* ---- The connection string ---- */

static void it_names_socket_and_environment(void **state)
{
        (void) state;
        struct pgbroker_error e;
        char *text = pgbroker_conninfo("prod", NULL, &e);

        assert_non_null(text);
        assert_non_null(strstr(text, "host='/run/pgbroker' port=5432 dbname='prod' "));
        assert_int_equal(e.failure, PGBROKER_NONE);
        free(text);
}

static void libpq_reads_it_back_whatever_the_texts_hold(void **state)
{
        (void) state;
        struct pgbroker_options o = {.directory = "/tmp/a 'b' \\c", .port = 6432,
                                     .application_name = "it's = \\ me"};
        char *text = pgbroker_conninfo("pro d'", &o, NULL), *wrong = NULL;
        PQconninfoOption *options = PQconninfoParse(text, &wrong);

        assert_non_null(options);
        for (PQconninfoOption *p = options; p->keyword; p++) {
                if (strcmp(p->keyword, "host") == 0)
                        assert_string_equal(p->val, "/tmp/a 'b' \\c");
                if (strcmp(p->keyword, "port") == 0)
                        assert_string_equal(p->val, "6432");
                if (strcmp(p->keyword, "dbname") == 0)
                        assert_string_equal(p->val, "pro d'");
                if (strcmp(p->keyword, "application_name") == 0)
                        assert_string_equal(p->val, "it's = \\ me");
        }
        PQconninfoFree(options);
        free(text);
}

static void the_variable_names_the_directory_and_an_option_wins(void **state)
{
        (void) state;
        struct pgbroker_options o = {.directory = "/srv/b"};
        char path[64];

        setenv("PGBROKER_DIRECTORY", "/srv/a", 1);
        assert_int_equal(pgbroker_socket_path(NULL, path, sizeof path), 20);
        assert_string_equal(path, "/srv/a/.s.PGSQL.5432");
        pgbroker_socket_path(&o, path, sizeof path);
        assert_string_equal(path, "/srv/b/.s.PGSQL.5432");
        unsetenv("PGBROKER_DIRECTORY");
}

static void refused(const char *environment, struct pgbroker_options o, const char *words)
{
        struct pgbroker_error e;

        assert_null(pgbroker_conninfo(environment, &o, &e));
        assert_int_equal(e.failure, PGBROKER_BAD_ARGUMENT);
        assert_non_null(strstr(e.message, words));
        assert_true(*e.hint);
        assert_null(pgbroker_connect(environment, &o, NULL));
}

static void what_cannot_be_is_refused(void **state)
{
        (void) state;
        char deep[200] = "/";

        memset(deep + 1, 'x', 120);
        refused("prod", (struct pgbroker_options){.directory = "run"}, "absolute");
        refused("prod", (struct pgbroker_options){.directory = deep}, "107 bytes");
        refused("prod", (struct pgbroker_options){.port = 70000}, "70000");
        refused("", (struct pgbroker_options){0}, "no environment");
        refused(NULL, (struct pgbroker_options){0}, "no environment");
}

/* ---- Connecting ---- */

static void fails(const struct fake_console *c, enum pgbroker_failure failure, const char *message,
                  const char *hint, struct pgbroker_error *e)
{
        struct pgbroker_options o = {.directory = c->directory, .timeout_ms = 5000};

        assert_null(pgbroker_connect("prod", &o, e));
        assert_int_equal(e->failure, failure);
        if (!strstr(e->message, message) || !strstr(e->hint, hint))
                fail_msg("%s / %s", e->message, e->hint);
}

static void a_connection_can_be_used_and_is_the_callers(void **state)
{
        (void) state;
        static const struct answer answers[] = {{"SELECT 1", "x:23", "1\n"}, {0}};
        struct fake_console c = {.answers = answers};
        struct pgbroker_error e;

        fake_console_start(&c);

        struct pgbroker_options o = {.directory = c.directory, .application_name = "the test"};

        /* None of these is about the broker's socket. */
        setenv("PGSSLMODE", "verify-full", 1);
        setenv("PGCHANNELBINDING", "require", 1);
        setenv("PGGSSENCMODE", "require", 1);
        setenv("PGHOSTADDR", "192.0.2.1", 1);
        setenv("PGTARGETSESSIONATTRS", "standby", 1);

        PGconn *conn = pgbroker_connect("prod", &o, &e);

        assert_non_null(conn);
        assert_int_equal(e.failure, PGBROKER_NONE);
        assert_int_equal(PQisnonblocking(conn), 0);

        PGresult *result = PQexec(conn, "SELECT 1");

        assert_string_equal(PQgetvalue(result, 0, 0), "1");
        PQclear(result);
        PQfinish(conn);
        for (const char *const *name = (const char *const[]){"PGSSLMODE", "PGCHANNELBINDING", "PGGSSENCMODE",
                                                             "PGHOSTADDR", "PGTARGETSESSIONATTRS", NULL};
             *name; name++)
                unsetenv(*name);
        fake_console_stop(&c);
        assert_non_null(strstr(c.startup + 4, "database prod "));
        assert_non_null(strstr(c.startup + 4, "application_name the test "));
}

static void no_socket_and_no_listener_are_told_apart(void **state)
{
        (void) state;
        struct fake_console c = {0};
        struct pgbroker_error e;

        fake_console_start(&c);
        fake_console_die(&c);
        fails(&c, PGBROKER_NO_BROKER, "nobody listens on /tmp/pgbroker-test-", "Start pgbrokerd", &e);
        fake_console_tidy(&c);
        fails(&c, PGBROKER_NO_BROKER, "/.s.PGSQL.5432 does not exist", "PGBROKER_DIRECTORY", &e);
        assert_string_equal(e.sqlstate, "");
}

static void the_brokers_own_words_and_advice_are_passed_on(void **state)
{
        (void) state;
        struct fake_console c = {.refusal = "28000|uid 7 may not use prod|Add uid 7 to access."};
        struct pgbroker_error e;

        fake_console_start(&c);
        fails(&c, PGBROKER_NOT_ALLOWED, "uid 7 may not use prod", "Add uid 7 to access.", &e);
        assert_string_equal(e.message, "uid 7 may not use prod");
        assert_string_equal(e.hint, "Add uid 7 to access.");
        assert_string_equal(e.sqlstate, "28000");
        fake_console_stop(&c);
}

static void each_refusal_has_its_name_and_a_remedy(void **state)
{
        (void) state;
        static const struct {
                const char *refusal;
                enum pgbroker_failure failure;
                const char *hint;
        } all[] = {
                {"28000|no", PGBROKER_NOT_ALLOWED, "access"},
                {"3D000|no", PGBROKER_NO_ENVIRONMENT, "show databases"},
                {"53300|no", PGBROKER_TOO_MANY, "max_client_conn"},
                {"53400|no", PGBROKER_TOO_MANY, "pgbrokerctl status"},
                {"57P03|no", PGBROKER_NOT_NOW, "again"},
                {"57P01|no", PGBROKER_NOT_NOW, "again"},
                {"08001|no", PGBROKER_NO_SERVER, "pgbrokerctl status"},
                {"08P01|no", PGBROKER_OTHER, ""},
        };

        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                struct fake_console c = {.refusal = all[i].refusal};
                struct pgbroker_error e;

                fake_console_start(&c);
                fails(&c, all[i].failure, "no", all[i].hint, &e);
                assert_memory_equal(e.sqlstate, all[i].refusal, 5);
                fake_console_stop(&c);
        }
}

static void patience_has_an_end_if_asked_for(void **state)
{
        (void) state;
        struct fake_console c = {.mute = true};
        struct pgbroker_error e;

        fake_console_start(&c);

        struct pgbroker_options o = {.directory = c.directory, .timeout_ms = 50};

        assert_null(pgbroker_connect("prod", &o, &e));
        assert_int_equal(e.failure, PGBROKER_TIMEOUT);
        assert_non_null(strstr(e.message, "50 ms"));
        fake_console_stop(&c);
}

/* ---- The example ---- */

static void the_example_runs(void **state)
{
        (void) state;
        static const struct answer answers[] = {{"SELECT current_database(), current_user",
                                                 "current_database:19 current_user:19", "db|me\n"},
                                                {0}};
        struct fake_console c = {.answers = answers};
        static struct ran r;

        fake_console_start(&c);
        setenv("PGBROKER_DIRECTORY", c.directory, 1);
        run(&r, EXAMPLE, "prod");
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, "connected to db as me\n");
        fake_console_stop(&c);
        run(&r, EXAMPLE, "prod");
        assert_int_equal(r.status, 1);
        assert_non_null(strstr(r.err, "Start pgbrokerd"));
        unsetenv("PGBROKER_DIRECTORY");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_names_socket_and_environment),
                cmocka_unit_test(libpq_reads_it_back_whatever_the_texts_hold),
                cmocka_unit_test(the_variable_names_the_directory_and_an_option_wins),
                cmocka_unit_test(what_cannot_be_is_refused),
                cmocka_unit_test(a_connection_can_be_used_and_is_the_callers),
                cmocka_unit_test(no_socket_and_no_listener_are_told_apart),
                cmocka_unit_test(the_brokers_own_words_and_advice_are_passed_on),
                cmocka_unit_test(each_refusal_has_its_name_and_a_remedy),
                cmocka_unit_test(patience_has_an_end_if_asked_for),
                cmocka_unit_test(the_example_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
