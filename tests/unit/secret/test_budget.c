#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "secret/budget.h"

static void four_refusals_of_a_bridge_that_is_over_leave_room_for_news(void **state)
{
        struct budget b;
        (void) state;
        budget_init(&b);
        budget_bridge_begins(&b, 1000);
        for (int i = 0; i < 4; i++)
                budget_refused(&b, 1000);
        budget_bridge_ends(&b);
        assert_true(budget_allows_news(&b, 15000));
        assert_true(budget_allows_again(&b, 15000));
}

static void a_first_minute_ends_at_twelve_whether_the_bridge_is_over_or_not(void **state)
{
        struct budget b;
        (void) state;
        budget_init(&b);
        budget_bridge_begins(&b, 1000);
        for (int i = 0; i < 12; i++)
                budget_refused(&b, 2000);
        budget_bridge_ends(&b);
        assert_false(budget_allows_news(&b, 30000));
        assert_true(budget_allows_news(&b, 61001));
}

static void a_later_minute_ends_at_four(void **state)
{
        struct budget b;
        (void) state;
        budget_init(&b);
        budget_bridge_begins(&b, 1000);
        budget_bridge_ends(&b);
        for (int i = 0; i < 4; i++)
                budget_refused(&b, 100000);
        assert_false(budget_allows_news(&b, 110000));
        assert_true(budget_allows_news(&b, 161000));
}

static void the_first_second_try_of_a_bridge_is_made_though_another_bridge_was_just_before(void **state)
{
        struct budget b;
        (void) state;
        budget_init(&b);
        for (uint64_t began = 1000; began <= 5000; began += 4000) {
                budget_bridge_ends(&b);
                budget_bridge_begins(&b, began);
                for (int i = 0; i < 4; i++)
                        budget_refused(&b, began);
        }
        assert_true(budget_allows_again(&b, 5000));
        budget_refused(&b, 5000);
        budget_probe_refused(&b, false, 5000);
        assert_false(budget_allows_again(&b, 10000));
}

static void two_bridges_in_a_minute_have_twelve_refusals_before_second_tries_end(void **state)
{
        struct budget b;
        (void) state;
        budget_init(&b);
        budget_bridge_begins(&b, 1000);
        for (int i = 0; i < 12; i++)
                budget_refused(&b, 1000);
        budget_bridge_ends(&b);
        budget_bridge_begins(&b, 5000);
        assert_false(budget_allows_again(&b, 5000));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(four_refusals_of_a_bridge_that_is_over_leave_room_for_news),
                cmocka_unit_test(a_first_minute_ends_at_twelve_whether_the_bridge_is_over_or_not),
                cmocka_unit_test(a_later_minute_ends_at_four),
                cmocka_unit_test(the_first_second_try_of_a_bridge_is_made_though_another_bridge_was_just_before),
                cmocka_unit_test(two_bridges_in_a_minute_have_twelve_refusals_before_second_tries_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
