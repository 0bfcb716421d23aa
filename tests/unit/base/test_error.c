#include "cmocka_all.h"
#include "base/error.h"

static void setting_one_returns_false(void **state)
{
        (void) state;
        struct error e = {0};

        assert_false(error_is_set(&e));
        assert_false(error_set(&e, "08001", "no route to %s", "db1"));
        assert_true(error_is_set(&e));
        assert_string_equal(e.sqlstate, "08001");
        assert_string_equal(e.text, "no route to db1");
        assert_string_equal(e.hint, "");
}

static void nobody_has_to_want_the_reason(void **state)
{
        (void) state;
        assert_false(error_set(NULL, "08001", "x"));
        assert_false(error_hint(NULL, "x"));
        assert_false(error_context(NULL, "x"));
        error_clear(NULL);
}

static void it_gets_context_on_its_way_up(void **state)
{
        (void) state;
        struct error e = {0};

        error_set(&e, "08001", "connection refused");
        error_hint(&e, "check %s", "endpoint.port");
        assert_false(error_context(&e, "server %d", 3));
        error_context(&e, "environment %s", "prod");
        assert_string_equal(e.text, "environment prod: server 3: connection refused");
        assert_string_equal(e.hint, "check endpoint.port");
        assert_string_equal(e.sqlstate, "08001");
}

static void context_without_a_cause_is_no_error(void **state)
{
        (void) state;
        struct error e = {0};

        error_context(&e, "environment prod");
        assert_false(error_is_set(&e));
}

static void a_new_cause_drops_the_old_remedy(void **state)
{
        (void) state;
        struct error e = {0};

        error_set(&e, "08001", "first");
        error_hint(&e, "do this");
        error_set(&e, "57P03", "then: %s", e.text);
        assert_string_equal(e.text, "then: first");
        assert_string_equal(e.hint, "");
        error_clear(&e);
        assert_false(error_is_set(&e));
        assert_string_equal(e.sqlstate, "");
}

static void long_texts_are_cut(void **state)
{
        (void) state;
        struct error e = {0};
        char text[2000];

        memset(text, 'a', sizeof text - 1);
        text[sizeof text - 1] = 0;
        error_set(&e, "080012345", "%s", text);
        error_hint(&e, "%s", text);
        assert_string_equal(e.sqlstate, "08001");
        assert_int_equal(strlen(e.text), sizeof e.text - 1);
        assert_int_equal(strlen(e.hint), sizeof e.hint - 1);
        error_context(&e, "prod");
        assert_int_equal(strlen(e.text), sizeof e.text - 1);
        assert_memory_equal(e.text, "prod: aaa", 9);
        error_context(&e, "%s", text);
        assert_int_equal(strlen(e.text), sizeof e.text - 1);
        assert_string_equal(e.text + sizeof e.text - 3, ": ");
}

static void a_cut_leaves_no_half_character(void **state)
{
        (void) state;
        const char *characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x98"};

        for (size_t kind = 0; kind < 3; kind++) {
                size_t size = strlen(characters[kind]);

                for (size_t shift = 0; shift < 4; shift++) {
                        struct error e = {0};
                        char text[2000] = "xxx";
                        size_t n = shift;

                        for (; n + size < sizeof text; n += size)
                                memcpy(text + n, characters[kind], size);
                        text[n] = 0;
                        error_set(&e, "XX000", "%s", text);
                        assert_int_equal((strlen(e.text) - shift) % size, 0);
                        assert_true(strlen(e.text) + size > sizeof e.text - 1);
                        error_context(&e, "c");
                        assert_int_equal((strlen(e.text) - shift - 3) % size, 0);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(setting_one_returns_false),
                cmocka_unit_test(nobody_has_to_want_the_reason),
                cmocka_unit_test(it_gets_context_on_its_way_up),
                cmocka_unit_test(context_without_a_cause_is_no_error),
                cmocka_unit_test(a_new_cause_drops_the_old_remedy),
                cmocka_unit_test(long_texts_are_cut),
                cmocka_unit_test(a_cut_leaves_no_half_character),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
