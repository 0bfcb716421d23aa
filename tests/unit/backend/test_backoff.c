#include "../base/cmocka_all.h"
#include "backend/backoff.h"

static void the_pauses_double_up_to_the_most(void **state)
{
        static const uint64_t pauses[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000};

        (void) state;
        for (unsigned i = 0; i < sizeof pauses / sizeof *pauses; i++)
                assert_int_equal(backoff_pause(i + 1, 15000, false, 0), pauses[i]);
        assert_int_equal(backoff_pause(1000000, 15000, false, 0), 15000);
}

static void who_waits_is_served_soon_after(void **state)
{
        (void) state;
        assert_int_equal(backoff_pause(1, 15000, true, 0), 100);
        for (unsigned failures = 4; failures < 100; failures++)
                assert_int_equal(backoff_pause(failures, 15000, true, 0), 500);
        assert_int_equal(backoff_pause(9, 300, true, 0), 300);
}

static void no_setting_makes_it_a_storm(void **state)
{
        (void) state;
        for (unsigned failures = 1; failures < 10; failures++)
                assert_int_equal(backoff_pause(failures, 0, false, 0), 100);
}

static void chance_takes_off_up_to_a_half(void **state)
{
        uint64_t least = UINT64_MAX, most = 0;

        (void) state;
        for (uint32_t dice = 0; dice < 10000; dice++) {
                uint64_t pause = backoff_pause(9, 15000, false, dice * 2654435761u);

                least = pause < least ? pause : least;
                most = pause > most ? pause : most;
        }
        assert_in_range(least, 7500, 7700);
        assert_in_range(most, 14800, 15000);
        assert_in_range(backoff_pause(1, 15000, true, UINT32_MAX), 50, 100);
}

static void a_long_outage_is_said_ever_less_often(void **state)
{
        unsigned said = 0;

        (void) state;
        assert_true(backoff_worth_saying(1));
        assert_true(backoff_worth_saying(2));
        assert_false(backoff_worth_saying(3));
        for (unsigned i = 1; i <= 100000; i++)
                said += backoff_worth_saying(i);
        assert_int_equal(said, 17);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_pauses_double_up_to_the_most),
                cmocka_unit_test(who_waits_is_served_soon_after),
                cmocka_unit_test(no_setting_makes_it_a_storm),
                cmocka_unit_test(chance_takes_off_up_to_a_half),
                cmocka_unit_test(a_long_outage_is_said_ever_less_often),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
