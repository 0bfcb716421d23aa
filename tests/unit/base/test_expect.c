#include "cmocka_all.h"
#include "base/expect.h"

static int servers = 3;

static void break_a_promise(void)
{
        expect(servers == 4);
}

static void what_holds_costs_nothing(void **state)
{
        (void) state;
        int evaluated = 0;

        expect(++evaluated == 1);
        assert_int_equal(evaluated, 1);
}

static void what_does_not_hold_ends_the_process_and_says_where(void **state)
{
        (void) state;
        char said[600];

        assert_true(aborts(break_a_promise, said, sizeof said));
        assert_non_null(strstr(said, "servers == 4"));
        assert_non_null(strstr(said, "test_expect.c:"));
        assert_non_null(strstr(said, "break_a_promise"));
}

static void say_much(void)
{
        char condition[2000];

        memset(condition, 'x', sizeof condition - 1);
        condition[sizeof condition - 1] = 0;
        expect_failed(condition, "file.c", 1, "function");
}

static void a_long_condition_is_cut_to_one_line(void **state)
{
        (void) state;
        char said[2000];

        assert_true(aborts(say_much, said, sizeof said));
        assert_int_equal(strlen(said), 511);
        assert_ptr_equal(strchr(said, '\n'), said + 510);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_holds_costs_nothing),
                cmocka_unit_test(what_does_not_hold_ends_the_process_and_says_where),
                cmocka_unit_test(a_long_condition_is_cut_to_one_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
