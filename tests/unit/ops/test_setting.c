#include "../base/cmocka_all.h"
#include <stdio.h>
#include "base/own.h"
#include "ops/setting.h"
#include "ops/value.h"

static void a_path_stands_in_the_table_once(void **state)
{
        (void) state;
        size_t count;
        const struct setting *table = setting_table(&count);

        for (size_t i = 0; i < count; i++) {
                assert_ptr_equal(setting_find(table[i].scope, table[i].path), &table[i]);
                for (size_t j = 0; j < count; j++)
                        if (i != j && table[i].scope == table[j].scope) {
                                size_t length = strlen(table[i].path);

                                /* Nor is a key a block as well. */
                                assert_false(
                                        strncmp(table[j].path, table[i].path, length) == 0 &&
                                        (table[j].path[length] == '.' || !table[j].path[length]));
                        }
        }
        assert_null(setting_find(SETTING_BROKER, "pool.pool_size"));
        assert_null(setting_find(SETTING_ENVIRONMENT, "pool"));
}

static void scopes_and_blocks_stand_together(void **state)
{
        (void) state;
        size_t count;
        const struct setting *table = setting_table(&count);

        for (size_t i = 1; i < count; i++) {
                size_t block = strcspn(table[i].path, ".");

                assert_true(table[i].scope >= table[i - 1].scope);
                if (table[i].scope != table[i - 1].scope ||
                    strncmp(table[i].path, table[i - 1].path, block + 1) == 0)
                        continue;
                for (size_t j = 0; j + 1 < i; j++)
                        assert_false(table[j].scope == table[i].scope &&
                                     table[i].path[block] == '.' &&
                                     strncmp(table[i].path, table[j].path, block + 1) == 0);
        }
}

static void every_setting_says_what_it_is(void **state)
{
        (void) state;
        size_t count;
        const struct setting *table = setting_table(&count);

        for (size_t i = 0; i < count; i++) {
                const char *text = table[i].description;

                assert_true(strlen(text) > 0);
                assert_int_equal(text[strlen(text) - 1], '.');
                assert_null(strchr(text, '|'));
        }
}

static void a_default_is_written_as_it_is_read(void **state)
{
        (void) state;
        size_t count;
        const struct setting *table = setting_table(&count);

        for (size_t i = 0; i < count; i++) {
                struct value v = {0};
                char *shown;

                value_default(&table[i], "prod", &v);
                shown = value_show(&table[i], &v);
                if (!strstr(table[i].fallback, "{environment}"))
                        assert_string_equal(shown, table[i].fallback);
                else
                        assert_null(strchr(shown, '{'));
                free(shown);
                value_clear(&v);
        }
}

static void distances_are_counted_in_letters(void **state)
{
        (void) state;
        static const struct {
                const char *a, *b;
                unsigned steps;
        } cases[] = {
                {"port", "port", 0},           {"prot", "port", 1},      {"por", "port", 1},
                {"porrt", "port", 1},          {"pert", "port", 1},      {"", "port", 4},
                {"Pool-Size", "pool_size", 0}, {"kitten", "sitting", 3},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_int_equal(setting_distance(cases[i].a, cases[i].b), cases[i].steps);
                assert_int_equal(setting_distance(cases[i].b, cases[i].a), cases[i].steps);
        }

        char *lengthy = own_alloc(100001);

        memset(lengthy, 'x', 100000);
        assert_true(setting_distance(lengthy, "port") > 4);
        free(lengthy);
}

static void the_key_that_was_meant_is_found(void **state)
{
        (void) state;
        static const struct {
                enum setting_scope scope;
                const char *block, *key, *nearest;
        } cases[] = {
                {SETTING_BROKER, "", "sockets", "socket"},
                {SETTING_BROKER, "", "enviroments", "environments"},
                {SETTING_BROKER, "", "pool", "environments.NAME.pool"},
                {SETTING_BROKER, "socket", "prot", "socket.port"},
                {SETTING_ENVIRONMENT, "", "acess", "access"},
                {SETTING_ENVIRONMENT, "", "pool_size", "pool.pool_size"},
                {SETTING_ENVIRONMENT, "", "root_cert", "tls.root_cert"},
                {SETTING_ENVIRONMENT, "pool", "pol_size", "pool.pool_size"},
                {SETTING_ENVIRONMENT, "pool", "default_pool_size", "pool.pool_size"},
                {SETTING_ENVIRONMENT, "pool", "mode", "pool.pool_mode"},
                {SETTING_ENVIRONMENT, "database", "name", "database.secret_name"},
                {SETTING_ENVIRONMENT, "secret_access.auth", "user", "secret_access.auth.users"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char *nearest = setting_nearest(cases[i].scope, cases[i].block, cases[i].key);

                assert_string_equal(nearest, cases[i].nearest);
                free(nearest);
        }
}

/* What value_read() makes of a text for this setting; NULL if it refuses it. The caller frees it.
 */
static char *read_as(enum setting_scope scope, const char *path, char *text)
{
        struct tree t = {.kind = TREE_TEXT, .text = text, .mark = {"x", 1, 1}};
        const struct setting *s = setting_find(scope, path);
        struct value v = {0};
        struct error e = {0};

        if (!value_read(s, &t, "prod", &v, &e)) {
                assert_non_null(strstr(e.text, "expected"));
                return NULL;
        }

        char *shown = value_show(s, &v);

        value_clear(&v);
        return shown;
}

static void durations_are_read(void **state)
{
        (void) state;
        static const struct {
                char *text;
                const char *shown;
        } cases[] = {
                {"250ms", "250ms"},
                {"30s", "30s"},
                {"10m", "600s"},
                {"1h", "3600s"},
                {"7", "7s"},
                {"0", "0"},
                {"0s", "0"},
                {"0ms", "0"},
                {"3000ms", "3s"},
                {"1000h", "3600000s"},
                {"1001h", NULL},
                {"3600000001ms", NULL},
                {"1d", NULL},
                {"", NULL},
                {"s", NULL},
                {"-1", NULL},
                {"+1", NULL},
                {" 1", NULL},
                {"1 s", NULL},
                {"1.5s", NULL},
                {"1S", NULL},
                {"0x10", NULL},
                {"99999999999999999999", NULL},
                {"18446744073709551615h", NULL},
                {"1s ", NULL},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char *shown = read_as(SETTING_ENVIRONMENT, "rotation.poll_interval", cases[i].text);

                if (cases[i].shown && shown)
                        assert_string_equal(shown, cases[i].shown);
                else if (cases[i].shown || shown)
                        fail_msg("\"%s\" gave %s", cases[i].text, shown ? shown : "nothing");
                free(shown);
        }
}

static void numbers_modes_and_choices_are_read(void **state)
{
        (void) state;
        static const struct {
                enum setting_scope scope;
                const char *path;
                char *text;
                const char *shown;
        } cases[] = {
                {SETTING_BROKER, "socket.port", "1", "1"},
                {SETTING_BROKER, "socket.port", "65535", "65535"},
                {SETTING_BROKER, "socket.port", "0", NULL},
                {SETTING_BROKER, "socket.port", "65536", NULL},
                {SETTING_BROKER, "socket.port", "5432x", NULL},
                {SETTING_BROKER, "socket.port", "1e3", NULL},
                {SETTING_BROKER, "socket.mode", "0660", "0660"},
                {SETTING_BROKER, "socket.mode", "666", "0666"},
                {SETTING_BROKER, "socket.mode", "0888", NULL},
                {SETTING_BROKER, "socket.mode", "4666", NULL},
                {SETTING_BROKER, "socket.mode", "66", NULL},
                {SETTING_BROKER, "socket.mode", "00666", NULL},
                {SETTING_BROKER, "log.level", "debug", "debug"},
                {SETTING_BROKER, "log.level", "Debug", NULL},
                {SETTING_BROKER, "log.level", "", NULL},
                {SETTING_ENVIRONMENT, "tls.min_ssl_mode", "", ""},
                {SETTING_ENVIRONMENT, "tls.min_ssl_mode", "verify-full", "verify-full"},
                {SETTING_ENVIRONMENT, "pool.tcp_keepalive", "yes", "true"},
                {SETTING_ENVIRONMENT, "pool.tcp_keepalive", "1", "true"},
                {SETTING_ENVIRONMENT, "pool.server_fast_close", "off", "false"},
                {SETTING_ENVIRONMENT, "pool.server_fast_close", "2", NULL},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char *shown = read_as(cases[i].scope, cases[i].path, cases[i].text);

                if (cases[i].shown && shown)
                        assert_string_equal(shown, cases[i].shown);
                else if (cases[i].shown || shown)
                        fail_msg("%s: \"%s\" gave %s", cases[i].path, cases[i].text,
                                 shown ? shown : "nothing");
                free(shown);
        }
}

/* ---- the page ---- */

/* TEST_DATA is tests/unit/ops/data, which need not exist. */
static char *page_path(void)
{
        static const char below[] = "/tests/unit/ops/data";
        size_t root = strlen(TEST_DATA) - (sizeof below - 1);

        assert_string_equal(&TEST_DATA[root], below);
        return own_format("%.*s/broker/ops/SETTINGS.md", (int) root, TEST_DATA);
}

static void the_page_is_the_table_s(void **state)
{
        (void) state;
        OWN(free) char *made = NULL;
        OWN(free) char *path = page_path();
        size_t size;
        FILE *f = open_memstream(&made, &size);

        setting_describe(f);
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
                fail_msg("%s is not what the table says: run this with PGBROKER_UPDATE_PAGES=1",
                         path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_path_stands_in_the_table_once),
                cmocka_unit_test(scopes_and_blocks_stand_together),
                cmocka_unit_test(every_setting_says_what_it_is),
                cmocka_unit_test(a_default_is_written_as_it_is_read),
                cmocka_unit_test(distances_are_counted_in_letters),
                cmocka_unit_test(the_key_that_was_meant_is_found),
                cmocka_unit_test(durations_are_read),
                cmocka_unit_test(numbers_modes_and_choices_are_read),
                cmocka_unit_test(the_page_is_the_table_s),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
