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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(four_refusals_of_a_bridge_that_is_over_leave_room_for_news),
                cmocka_unit_test(a_first_minute_ends_at_twelve_whether_the_bridge_is_over_or_not),
                cmocka_unit_test(a_later_minute_ends_at_four),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
