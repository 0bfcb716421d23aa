#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "secret/cost.h"

static const uint64_t day = 24ull * 3600 * 1000;

static void ten_thousand_calls_are_five_cents(void **state)
{
        (void) state;
        assert_int_equal(cost_price(10000), 50000);
        assert_int_equal(cost_price(1), 5);
        assert_int_equal(cost_price(0), 0);
}

static void looking_every_five_minutes_is_8640_calls(void **state)
{
        (void) state;
        assert_int_equal(cost_planned(300000), 8640);
        assert_int_equal(cost_planned(1), 30 * day);
        assert_int_equal(cost_planned(0), 0);
}

static void calls_are_projected_at_their_rate(void **state)
{
        (void) state;
        assert_int_equal(cost_projected(288, day, 300000), 8640);
        assert_int_equal(cost_projected(8640, 30 * day, 300000), 8640);
        assert_int_equal(cost_projected(100000, 300 * day, 300000), 10000);
        assert_int_equal(cost_projected(288, day, 60000), 8640); /* whatever was planned */
        assert_int_equal(cost_projected(0, day, 300000), 0);
}

static void the_first_hour_is_filled_with_polls(void **state)
{
        (void) state;
        assert_int_equal(cost_projected(0, 0, 300000), 8640);
        assert_int_equal(cost_projected(1, 0, 300000), 8640 + 720);
        assert_int_equal(cost_projected(6, 1800000, 300000), 8640);
        assert_int_equal(cost_projected(12, 3600000, 300000), 8640);
        assert_int_equal(cost_projected(1, 1000, 0), 720);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ten_thousand_calls_are_five_cents),
                cmocka_unit_test(looking_every_five_minutes_is_8640_calls),
                cmocka_unit_test(calls_are_projected_at_their_rate),
                cmocka_unit_test(the_first_hour_is_filled_with_polls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
