#include "../base/cmocka_all.h"
#include <stdio.h>
#include "base/own.h"
#include "ops/command.h"
#include "ops/command_driver.h"

/* The first statement of a text. */
static enum command_verdict first(const char *text, struct command *c, struct error *e)
{
        struct command_reader r;

        *e = (struct error){0};
        command_reader_init(&r, text, strlen(text));
        return command_next(&r, c, e);
}

static void commands_are_read_in_any_spelling(void **state)
{
        (void) state;
        static const struct {
                const char *text;
                enum command_kind kind;
                const char *tag, *argument;
        } cases[] = {
                {"RELOAD", COMMAND_RELOAD, "RELOAD", ""},
                {"reload;", COMMAND_RELOAD, "RELOAD", ""},
                {" /* now */ ReLoad -- please", COMMAND_RELOAD, "RELOAD", ""},
                {"PAUSE", COMMAND_PAUSE, "PAUSE", ""},
                {"pause prod", COMMAND_PAUSE, "PAUSE", "prod"},
                {"PAUSE Prod;", COMMAND_PAUSE, "PAUSE", "Prod"},
                {"PAUSE \"prod\"", COMMAND_PAUSE, "PAUSE", "prod"},
                {"PAUSE prod-eu.2", COMMAND_PAUSE, "PAUSE", "prod-eu.2"},
                {"PAUSE prod-2", COMMAND_PAUSE, "PAUSE", "prod-2"},
                {"PAUSE prod-2.3.x", COMMAND_PAUSE, "PAUSE", "prod-2.3.x"},
                {"PAUSE 2.x", COMMAND_PAUSE, "PAUSE", "2.x"},
                {"RESUME prod_1", COMMAND_RESUME, "RESUME", "prod_1"},
                {"REFRESH\n\tprod", COMMAND_REFRESH, "REFRESH", "prod"},
                {"SHUTDOWN", COMMAND_SHUTDOWN, "SHUTDOWN", ""},
                {"shutdown wait_for_servers", COMMAND_SHUTDOWN_SERVERS, "SHUTDOWN WAIT_FOR_SERVERS",
                 ""},
                {"shutdown wait_for_clients", COMMAND_SHUTDOWN_CLIENTS, "SHUTDOWN WAIT_FOR_CLIENTS",
                 ""},
                {";;; RELOAD", COMMAND_RELOAD, "RELOAD", ""},
                {"DISABLE prod", COMMAND_DISABLE, "DISABLE", "prod"},
                {"enable", COMMAND_ENABLE, "ENABLE", ""},
                {"RECONNECT prod", COMMAND_RECONNECT, "RECONNECT", "prod"},
                {"WAIT_CLOSE", COMMAND_WAIT_CLOSE, "WAIT_CLOSE", ""},
                {"KILL prod", COMMAND_KILL, "KILL", "prod"},
                {"kill_client 0012", COMMAND_KILL_CLIENT, "KILL_CLIENT", "0012"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct command c;
                struct error e;

                if (first(cases[i].text, &c, &e) != COMMAND_READ)
                        fail_msg("\"%s\": %s", cases[i].text, e.text);
                assert_int_equal(c.kind, cases[i].kind);
                assert_int_equal(c.right, COMMAND_CHANGE);
                assert_string_equal(c.tag, cases[i].tag);
                assert_string_equal(c.argument, cases[i].argument);
        }
}

static void every_show_is_found(void **state)
{
        (void) state;
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);

        for (size_t i = 0; i < count; i++) {
                struct command c;
                struct error e;
                const struct snapshot_column *columns;
                OWN(free) char *text = own_format("show %s;", shows[i]->name);

                assert_int_equal(first(text, &c, &e), COMMAND_READ);
                assert_int_equal(c.kind, COMMAND_SHOW);
                assert_int_equal(c.right, COMMAND_LOOK);
                assert_ptr_equal(c.show, shows[i]);
                assert_string_equal(c.tag, "SHOW");
                assert_int_equal(command_columns(&c, &columns), shows[i]->column_count);
                assert_ptr_equal(columns, shows[i]->columns);
        }
}

static void what_is_wrong_is_told(void **state)
{
        (void) state;
        static const struct {
                const char *text, *sqlstate, *says;
        } cases[] = {
                {"SHOW NONSENSE", "42704", "NONSENSE"},
                {"SHOW", "42601", "SHOW"},
                {"SHOW POOLS CLIENTS", "42704", "POOLS"},
                {"SHOW POLS", "42704", "SHOW POOLS is one"},
                {"SHOW FDS", "0A000", "secrets"},
                {"SHOW WAIT", "42704", "SHOW WAITS is one"},
                {"KILL_CLIENT", "42601", "the number of one client"},
                {"KILL_CLIENT prod", "42601", "the number of one client"},
                {"KILL_CLIENT 3.4", "42601", "the number of one client"},
                {"SELECT 1.5", "42601", "SELECT"},
                {"KILL_CLIENT 3 4", "42601", "the number of one client"},
                {"KILL_CLIENT -3", "42601", "the number of one client"},
                {"KILL_CLIENT 100000000000000000000", "42601", "the number of one client"},
                {"KILL 'prod'", "42601", "one environment"},
                {"KILLL", "42601", "KILL is one"},
                {"SET pool_size", "42601", "a key and a value"},
                {"SET pool_size 3", "42601", "a key and a value"},
                {"SET = 3", "42601", "a key and a value"},
                {"SET pool_size =", "42601", "a key and a value"},
                {"SET pool_size = ; RELOAD", "42601", "a key and a value"},
                {"SET pool size = 3", "42601", "a key and a value"},
                {"SET 'pool_size' = 3", "42601", "a key and a value"},
                {"RELAOD", "42601", "RELOAD is one"},
                {"DROP TABLE x", "42601", "DROP"},
                {"RELOAD prod", "42601", "nothing more"},
                {"SHUTDOWN now", "42601", "nothing more"},
                {"PAUSE prod, staging", "42601", "one environment"},
                {"PAUSE 'prod'", "42601", "one environment"},
                {"PAUSE prod staging", "42601", "one environment"},
                {"PAUSE \"prod", "42601", "unterminated"},
                {"SHOW POOLS /* and", "42601", "unterminated"},
                {"'", "42601", "unterminated"},
                {"SELECT 1 + 1", "42601", "SELECT"},
                {"SELECT password FROM pg_authid", "42601", "SELECT"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct command c;
                struct error e;

                assert_int_equal(first(cases[i].text, &c, &e), COMMAND_BAD);
                assert_string_equal(e.sqlstate, cases[i].sqlstate);
                if (!strstr(e.text, cases[i].says) && !strstr(e.hint, cases[i].says))
                        fail_msg("\"%s\": %s (%s)", cases[i].text, e.text, e.hint);
        }
}

static void drivers_hear_what_they_expect(void **state)
{
        (void) state;
        static const struct {
                const char *text;
                enum command_kind kind;
                const char *tag, *value;
        } cases[] = {
                {"SET client_encoding TO 'UTF8'", COMMAND_NOTED, "SET", ""},
                {"SET SESSION application_name = 'x'", COMMAND_NOTED, "SET", ""},
                {"SET extra_float_digits = 3", COMMAND_NOTED, "SET", ""},
                {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", COMMAND_NOTED, "SET", ""},
                {"SET LOCAL statement_timeout = 0", COMMAND_NOTED, "SET", ""},
                {"SET TIME ZONE 'UTC'", COMMAND_NOTED, "SET", ""},
                {"BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", COMMAND_BEGIN, "BEGIN", ""},
                {"start transaction", COMMAND_BEGIN, "START TRANSACTION", ""},
                {"COMMIT", COMMAND_COMMIT, "COMMIT", ""},
                {"end", COMMAND_COMMIT, "COMMIT", ""},
                {"ROLLBACK", COMMAND_COMMIT, "ROLLBACK", ""},
                {"ROLLBACK TO SAVEPOINT a", COMMAND_NOTED, "ROLLBACK", ""},
                {"SAVEPOINT a", COMMAND_NOTED, "SAVEPOINT", ""},
                {"UNLISTEN *", COMMAND_NOTED, "UNLISTEN", ""},
                {"RESET ALL", COMMAND_NOTED, "RESET", ""},
                {"DISCARD ALL", COMMAND_DEALLOCATE, "DISCARD ALL", ""},
                {"DEALLOCATE PREPARE ALL", COMMAND_DEALLOCATE, "DEALLOCATE ALL", ""},
                {"SELECT 1", COMMAND_VALUE, "SELECT 1", "1"},
                {"select 42;", COMMAND_VALUE, "SELECT 1", "42"},
                {"SELECT pg_catalog.version()", COMMAND_VALUE, "SELECT 1",
                 "PostgreSQL 15.0 (pgbroker " PGBROKER_VERSION ")"},
                {"SHOW client_encoding", COMMAND_PARAMETER, "SHOW", "UTF8"},
                {"SHOW TimeZone", COMMAND_PARAMETER, "SHOW", "UTC"},
                {"SHOW TIME ZONE", COMMAND_PARAMETER, "SHOW", "UTC"},
                {"show transaction isolation level", COMMAND_PARAMETER, "SHOW", "read committed"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct command c;
                struct error e;

                if (first(cases[i].text, &c, &e) != COMMAND_READ)
                        fail_msg("\"%s\": %s", cases[i].text, e.text);
                assert_int_equal(c.kind, cases[i].kind);
                assert_int_equal(c.right, COMMAND_LOOK);
                assert_string_equal(c.tag, cases[i].tag);
                assert_string_equal(c.value, cases[i].value);
        }
}

static void one_statement_is_deallocated_by_its_name(void **state)
{
        (void) state;
        struct command c;
        struct error e;

        assert_int_equal(first("DEALLOCATE \"_pg3_1\"", &c, &e), COMMAND_READ);
        assert_int_equal(c.kind, COMMAND_DEALLOCATE);
        assert_string_equal(c.argument, "_pg3_1");
}

static void statements_follow_each_other(void **state)
{
        (void) state;
        static const char text[] = "; SHOW POOLS;; -- a;b\nRELOAD /* ; */;NONSENSE 'a;b'; PAUSE x";
        struct command_reader r;
        struct command c;
        struct error e = {0};

        command_reader_init(&r, text, strlen(text));
        assert_int_equal(command_next(&r, &c, &e), COMMAND_READ);
        assert_int_equal(c.kind, COMMAND_SHOW);
        assert_int_equal(command_next(&r, &c, &e), COMMAND_READ);
        assert_int_equal(c.kind, COMMAND_RELOAD);
        assert_int_equal(command_next(&r, &c, &e), COMMAND_BAD);
        error_clear(&e);
        assert_int_equal(command_next(&r, &c, &e), COMMAND_READ);
        assert_int_equal(c.kind, COMMAND_PAUSE);
        assert_int_equal(command_next(&r, &c, &e), COMMAND_END);
        assert_int_equal(command_next(&r, &c, &e), COMMAND_END);
}

static void set_takes_the_value_as_it_is_written(void **state)
{
        (void) state;
        static const struct {
                const char *text, *key, *value;
        } cases[] = {
                {"SET pool_size = 3", "pool_size", "3"},
                {"set prod.pool_size=3;", "prod.pool_size", "3"},
                {"SET environments.prod-2.pool.pool_size TO 30s ; RELOAD",
                 "environments.prod-2.pool.pool_size", "30s"},
                {"SET \"prod\".log.level = 'it''s; so'", "prod.log.level", "'it''s; so'"},
                {"SET admin.users = [ops, 'a b', c, d, e, f, g, h, i, j, k];", "admin.users",
                 "[ops, 'a b', c, d, e, f, g, h, i, j, k]"},
                {"SET tls.root_cert = /etc/ssl/a.pem\n", "tls.root_cert", "/etc/ssl/a.pem"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct command c;
                struct error e;

                if (first(cases[i].text, &c, &e) != COMMAND_READ)
                        fail_msg("\"%s\": %s", cases[i].text, e.text);
                assert_int_equal(c.kind, COMMAND_SET);
                assert_string_equal(c.argument, cases[i].key);
                assert_string_equal(c.value, cases[i].value);
        }
}

static void what_changes_something_needs_the_right_to(void **state)
{
        (void) state;
        static const char *const texts[] = {"RELOAD",     "PAUSE",    "RESUME", "REFRESH", "DISABLE",
                                            "ENABLE",     "RECONNECT", "KILL",  "KILL_CLIENT 1",
                                            "WAIT_CLOSE", "SHUTDOWN", "SET a = 1"};

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                struct command c;
                struct error e;

                assert_int_equal(first(texts[i], &c, &e), COMMAND_READ);
                assert_int_equal(c.right, COMMAND_CHANGE);
        }
        assert_int_equal((struct command){0}.right, COMMAND_NOBODY);
}

static void nothing_is_no_statement(void **state)
{
        (void) state;
        static const char *const texts[] = {"",       " \n",          ";",
                                            " ; ;; ", "-- only this", "/* a /* b */ */"};

        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                struct command c;
                struct error e;

                assert_int_equal(first(texts[i], &c, &e), COMMAND_END);
                assert_null(c.tag);
        }
}

static void long_words_are_cut_not_overrun(void **state)
{
        (void) state;
        char text[2000] = "PAUSE ";
        struct command c;
        struct error e;

        memset(text + 6, 'x', 64);
        assert_int_equal(first(text, &c, &e), COMMAND_READ);
        assert_int_equal(strlen(c.argument), 64);
        memset(text + 6, 'x', 1900);
        assert_int_equal(first(text, &c, &e), COMMAND_BAD);
        for (size_t i = 6; i < 1900; i += 2)
                text[i] = '-';
        assert_int_equal(first(text, &c, &e), COMMAND_BAD);
        memset(text, 'x', 1900);
        assert_int_equal(first(text, &c, &e), COMMAND_BAD);
}

static void columns_say_what_they_are(void **state)
{
        (void) state;
        size_t count;
        const struct snapshot *const *shows = snapshot_table(&count);

        for (size_t i = 0; i < count; i++) {
                assert_true(shows[i]->column_count <= SNAPSHOT_COLUMNS);
                for (size_t j = 0; j < shows[i]->column_count; j++) {
                        const struct snapshot_column *column = &shows[i]->columns[j];
                        size_t length = strlen(column->description);

                        assert_true(strchr("siqNTb", column->type) != NULL);
                        assert_true(length > 0 && column->description[length - 1] == '.');
                        assert_null(strchr(column->description, '|'));
                        for (size_t k = 0; k < j; k++)
                                assert_string_not_equal(column->name, shows[i]->columns[k].name);
                }
        }
}

static void former_columns_come_behind_the_others(void **state)
{
        (void) state;
        size_t count, found = 0;
        const struct snapshot *const *shows = snapshot_table(&count);

        for (size_t i = 0; i < count; i++) {
                const struct snapshot *s = shows[i], *former = s->former;
                struct command_reader r;
                struct command c;
                struct error e = {0};
                OWN(free) char *text = own_format("SHOW %s", s->name);

                command_reader_init(&r, text, strlen(text));
                r.former = true;
                assert_int_equal(command_next(&r, &c, &e), COMMAND_READ);
                assert_ptr_equal(c.show, former ? former : s);
                if (!former)
                        continue;
                found++;
                assert_string_equal(former->name, s->name);
                assert_in_range(former->column_count, s->column_count + 1, SNAPSHOT_COLUMNS);
                for (size_t j = 0; j < s->column_count; j++) {
                        assert_string_equal(former->columns[j].name, s->columns[j].name);
                        assert_int_equal(former->columns[j].type, s->columns[j].type);
                }
        }
        assert_int_equal(found, 2);
}

static void what_is_not_utf8_is_replaced(void **state)
{
        (void) state;
        static const struct {
                const char *dirty, *clean;
        } cases[] = {
                {"plain", "plain"},
                {"gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\x98",
                 "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\x98"},
                {"\xff", "?"},
                {"a\xc3", "a?"},
                {"\xc3(", "?("},
                {"\xc0\xaf", "??"},
                {"\xe0\x80\xaf", "???"},
                {"\xed\xa0\x80", "???"},
                {"\xf4\x90\x80\x80", "????"},
                {"\xe2\x82", "??"},
                {"\xf0\x9f\x90", "???"},
                {"\x80x", "?x"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                OWN(free) char *text = own_string(cases[i].dirty);

                snapshot_clean(text);
                assert_string_equal(text, cases[i].clean);
        }
}

/* ---- the page ---- */

/* TEST_DATA is tests/unit/ops/data, which need not exist. */
static char *page_path(void)
{
        static const char below[] = "/tests/unit/ops/data";
        size_t root = strlen(TEST_DATA) - (sizeof below - 1);

        assert_string_equal(&TEST_DATA[root], below);
        return own_format("%.*s/broker/ops/CONSOLE.md", (int) root, TEST_DATA);
}

static void the_page_is_the_tables(void **state)
{
        (void) state;
        OWN(free) char *made = NULL;
        OWN(free) char *path = page_path();
        size_t size;
        FILE *f = open_memstream(&made, &size);

        command_describe(f);
        fclose(f);
        if (getenv("PGBROKER_UPDATE_PAGES")) {
                f = fopen(path, "w");
                assert_non_null(f);
                fputs(made, f);
                fclose(f);
        }
        f = fopen(path, "r");
        assert_non_null(f);

        OWN(free) char *committed = own_alloc(size + 1);
        size_t used = fread(committed, 1, size + 1, f);

        fclose(f);
        if (used != size || memcmp(made, committed, size) != 0)
                fail_msg("%s is not what the tables say: run this with PGBROKER_UPDATE_PAGES=1",
                         path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commands_are_read_in_any_spelling),
                cmocka_unit_test(every_show_is_found),
                cmocka_unit_test(what_is_wrong_is_told),
                cmocka_unit_test(drivers_hear_what_they_expect),
                cmocka_unit_test(one_statement_is_deallocated_by_its_name),
                cmocka_unit_test(statements_follow_each_other),
                cmocka_unit_test(set_takes_the_value_as_it_is_written),
                cmocka_unit_test(what_changes_something_needs_the_right_to),
                cmocka_unit_test(nothing_is_no_statement),
                cmocka_unit_test(long_words_are_cut_not_overrun),
                cmocka_unit_test(columns_say_what_they_are),
                cmocka_unit_test(former_columns_come_behind_the_others),
                cmocka_unit_test(what_is_not_utf8_is_replaced),
                cmocka_unit_test(the_page_is_the_tables),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
