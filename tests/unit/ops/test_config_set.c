#include "../base/cmocka_all.h"
#include <stdio.h>
#include "ops/config.h"

static const char file[] = "environments:\n"
                           "  local: {database: {source: env}, pool: {pool_size: 9}, aliases: [here]}\n"
                           "  a.b: {}\n";

static const char *no_variables(const char *name)
{
        (void) name;
        return NULL;
}

static int set_up(void **state)
{
        static const char *const allow[] = {"0"};
        struct config_arguments arguments = {
                .getenv_ = no_variables, .allow = allow, .allow_count = 1};
        struct config *c;
        struct error e = {0};

        if (!config_load_text(&arguments, "test.yaml", file, strlen(file), &c, &e))
                fail_msg("%s", e.text);
        *state = c;
        return 0;
}

static int take_down(void **state)
{
        config_free(*state);
        return 0;
}

/* Replaces the running one. */
static void set(void **state, const char *key, const char *value)
{
        struct config *fresh;
        struct error e = {0};

        if (!config_set(*state, key, value, &fresh, &e))
                fail_msg("%s = %s: %s", key, value, e.text);
        config_free(*state);
        *state = fresh;
}

static unsigned pool_size(void **state, const char *environment)
{
        return config_find(*state, environment)->pool.pool_size;
}

static void a_path_is_for_all_or_for_one(void **state)
{
        static const struct {
                const char *key;
                bool local, other;
        } cases[] = {
                {"pool_size", true, true},
                {"POOL_SIZE", true, true},
                {"pool.pool_size", true, true},
                {"local.pool_size", true, false},
                {"here.pool.pool_size", true, false},
                {"environments.local.pool.pool_size", true, false},
                {"environments.local.pool_size", true, false},
                {"environments.a.b.pool.pool_size", false, true},
                {"a.b.pool_size", false, true},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                set(state, "pool_size", "1");
                set(state, cases[i].key, "7");
                if (pool_size(state, "local") != (cases[i].local ? 7 : 1) ||
                    pool_size(state, "a.b") != (cases[i].other ? 7 : 1))
                        fail_msg("%s: %u and %u", cases[i].key, pool_size(state, "local"),
                                 pool_size(state, "a.b"));
        }
}

static void all_else_stays(void **state)
{
        struct config *c;

        set(state, "query_wait_timeout", "250ms");
        set(state, "log.level", "'debug'");
        set(state, "admin.users", "[0, '1']");
        c = *state;
        assert_int_equal(c->log.level, LOG_DEBUG);
        assert_int_equal(c->admin.user_count, 2);
        assert_int_equal(c->environment_count, 2);
        assert_string_equal(c->environments[0].name, "local");
        assert_string_equal(c->environments[0].aliases[0], "here");
        assert_int_equal(c->environments[0].pool.pool_size, 9);
        assert_int_equal(c->environments[1].pool.query_wait_timeout, 250);
        assert_int_equal(c->environments[1].access.user_count, 1); /* --allow */
        assert_int_equal(c->environments[0].source.kind, SOURCE_ENV);
        assert_string_equal(c->environments[1].source.secret_name, "forecaster/database/a.b");
}

static void what_is_wrong_is_told(void **state)
{
        static const struct {
                const char *key, *value, *sqlstate, *says;
        } cases[] = {
                {"pool_sise", "3", "42704", "pool.pool_size"},
                {"local.pool_sise", "3", "42704", "pool.pool_size"},
                {"nowhere.pool_size", "3", "42704", "pool.pool_size"},
                {"environments.nowhere.pool_size", "3", "3D000", "nowhere"},
                {"local.log.level", "debug", "42704", "SHOW CONFIG"},
                {"users", "[a]", "42702", "access.users"},
                {"max_client_conn", "3", "42702", "pool.max_client_conn"},
                {"socket.port", "3", "55P02", "restart"},
                {"local.config", "x", "55P02", "RELOAD"},
                {"http.listen", "x", "0A000", "not in this version"},
                {"pool_size", "many", "22023", "expected a whole number from 1"},
                {"pool_size", "0", "22023", "expected a whole number from 1"},
                {"pool_size", "[3]", "22023", "a list"},
                {"pool_size", "3: 4", "22023", "expected a whole number"},
                {"pool_size", "'3", "22023", "YAML"},
                {"pool_size", "*x", "22023", "alias"},
                {"min_pool_size", "12", "22023", "at most pool_size"},
                {"query_timeout", "5 weeks", "22023", "a duration"},
                {"admin.users", "['no such user here']", "22023", "no such user here"},
                {"aliases", "[both]", "22023", "both"},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct config *fresh = NULL;
                struct error e = {0};

                if (config_set(*state, cases[i].key, cases[i].value, &fresh, &e))
                        fail_msg("%s = %s was taken", cases[i].key, cases[i].value);
                assert_null(fresh);
                if (strcmp(e.sqlstate, cases[i].sqlstate) != 0 ||
                    (!strstr(e.text, cases[i].says) && !strstr(e.hint, cases[i].says)))
                        fail_msg("%s = %s: %s %s (%s)", cases[i].key, cases[i].value, e.sqlstate,
                                 e.text, e.hint);
        }
        assert_int_equal(pool_size(state, "local"), 9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_path_is_for_all_or_for_one, set_up, take_down),
                cmocka_unit_test_setup_teardown(all_else_stays, set_up, take_down),
                cmocka_unit_test_setup_teardown(what_is_wrong_is_told, set_up, take_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
