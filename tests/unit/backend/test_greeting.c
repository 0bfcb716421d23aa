#include "../base/cmocka_all.h"
#include "backend/greeting.h"

static const char trace[] = "F\t8\tUnknown message: length is 8\n"
                            "F\t49\tUnknown message: length is 49\n"
                            "F\t80\tUnknown message: 70\n"
                            "mismatched message length: consumed 4, expected 80\n"
                            "B\t22\tParameterStatus\t \"application_name\" \"\"\n"
                            "B\t25\tParameterStatus\t \"client_encoding\" \"UTF8\"\n"
                            "B\t12\tBackendKeyData\t 20057 -610866087\n"
                            "B\t5\tReadyForQuery\t I\n";

static void feed(struct greeting *g, const char *text, size_t piece)
{
        size_t n = strlen(text);

        for (size_t at = 0; at < n; at += piece)
                greeting_read(g, text + at, n - at < piece ? n - at : piece);
}

static void names_and_key_are_found_however_the_trace_is_cut(void **state)
{
        (void) state;
        for (size_t piece = 1; piece < sizeof trace; piece += piece < 20 ? 1 : 37) {
                struct greeting g;
                size_t at = 0;

                greeting_init(&g);
                feed(&g, trace, piece);
                assert_true(g.has_key);
                assert_int_equal(g.pid, 20057);
                assert_int_equal(g.key, (uint32_t) -610866087);
                assert_string_equal(greeting_next(&g, &at), "application_name");
                assert_string_equal(greeting_next(&g, &at), "client_encoding");
                assert_null(greeting_next(&g, &at));
                greeting_free(&g);
        }
}

static void no_greeting_has_no_names(void **state)
{
        (void) state;
        struct greeting g;
        size_t at = 0;

        greeting_init(&g);
        assert_null(greeting_next(&g, &at));
        assert_false(g.has_key);
        greeting_free(&g);
}

static void a_long_value_does_not_cost_the_name(void **state)
{
        (void) state;
        struct greeting g;
        char value[3000];
        size_t at = 0;

        memset(value, 'x', sizeof value - 1);
        value[sizeof value - 1] = 0;
        greeting_init(&g);
        feed(&g, "B\t3000\tParameterStatus\t \"TimeZone\" \"", 7);
        feed(&g, value, 100);
        feed(&g, "\"\nB\t12\tBackendKeyData\t 1 2\n", 100);
        assert_string_equal(greeting_next(&g, &at), "TimeZone");
        assert_true(g.has_key);
        greeting_free(&g);
}

static void only_whole_lines_of_the_server_count(void **state)
{
        (void) state;
        static const char *const lines[] = {
                "F\t12\tBackendKeyData\t 1 2\n",
                "B\t12\tBackendKeyData\t 1 x\n",
                "B\t12\tBackendKeyData\t 1\n",
                "B\t12\tBackendKeyData\t 1 2 3\n",
                "B\tx\tBackendKeyData\t 1 2\n",
                "BackendKeyData\t 1 2\n",
                "B\t9\tNotice\t \"BackendKeyData\t 1 2\"\n",
                "B\t12\tBackendKeyData\t 1 2",
                "F\t9\tParameterStatus\t \"name\" \"value\"\n",
                "B\t9\tParameterStatus\t \"name\n",
                "B\t9\tParameterStatus\t \"\" \"\"\n",
        };

        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
                struct greeting g;
                size_t at = 0;

                greeting_init(&g);
                feed(&g, lines[i], 1000);
                assert_false(g.has_key);
                assert_null(greeting_next(&g, &at));
                greeting_free(&g);
        }
}

/* Newer releases trace it. */
static void a_traced_password_is_not_kept(void **state)
{
        (void) state;
        struct greeting g;

        greeting_init(&g);
        feed(&g, "F\t20\tPasswordMessage\t \"correct horse\"\n", 1000);
        assert_int_equal(bytes_length(&g.names), 0);
        greeting_free(&g);
        for (size_t i = 0; i < sizeof g.line; i++)
                assert_int_equal(g.line[i], 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_key_are_found_however_the_trace_is_cut),
                cmocka_unit_test(no_greeting_has_no_names),
                cmocka_unit_test(a_long_value_does_not_cost_the_name),
                cmocka_unit_test(only_whole_lines_of_the_server_count),
                cmocka_unit_test(a_traced_password_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
