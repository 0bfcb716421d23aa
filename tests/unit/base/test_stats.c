#include "cmocka_all.h"
#include "base/stats.h"

static void averages_are_those_of_the_last_whole_period(void **state)
{
        (void) state;
        struct stats s;

        stats_init(&s, 1000);
        s.total = (struct counters){.query_count = 600, .bytes_sent = 6000};
        stats_tick(&s, 1000 + STATS_PERIOD_MS - 1);
        assert_int_equal(s.average.query_count, 0);
        stats_tick(&s, 1000 + STATS_PERIOD_MS);
        assert_int_equal(s.average.query_count, 10);
        assert_int_equal(s.average.bytes_sent, 100);
        s.total.query_count += 60;
        stats_tick(&s, 1000 + STATS_PERIOD_MS + 10);
        assert_int_equal(s.average.query_count, 10);
        stats_tick(&s, 1000 + 2 * STATS_PERIOD_MS);
        assert_int_equal(s.average.query_count, 1);
        assert_int_equal(s.average.bytes_sent, 0);
        assert_int_equal(s.total.query_count, 660);
}

static void times_are_per_thing_that_took_them(void **state)
{
        (void) state;
        struct stats s;

        stats_init(&s, 0);
        s.total = (struct counters){.xact_count = 2,
                                    .xact_time = 700,
                                    .query_count = 4,
                                    .query_time = 1000,
                                    .server_assignment_count = 5,
                                    .wait_time = 50};
        stats_tick(&s, STATS_PERIOD_MS);
        assert_int_equal(s.average.xact_time, 350);
        assert_int_equal(s.average.query_time, 250);
        assert_int_equal(s.average.wait_time, 10);
        s.total.query_time += 5;
        stats_tick(&s, 2 * STATS_PERIOD_MS);
        assert_int_equal(s.average.query_time, 0);
}

static void a_late_tick_divides_by_the_time_that_passed(void **state)
{
        (void) state;
        struct stats s;

        stats_init(&s, 0);
        s.total.query_count = 2400;
        stats_tick(&s, 2 * STATS_PERIOD_MS);
        assert_int_equal(s.average.query_count, 20);
        assert_int_equal(s.period_began, 2 * STATS_PERIOD_MS);
}

static void large_counts_do_not_overflow(void **state)
{
        (void) state;
        struct stats s;

        stats_init(&s, 0);
        s.total.bytes_sent = 60ULL << 55;
        stats_tick(&s, STATS_PERIOD_MS);
        assert_true(s.average.bytes_sent == 1ULL << 55);
}

static void time_running_backwards_closes_nothing(void **state)
{
        (void) state;
        struct stats s;

        stats_init(&s, 5000);
        s.total.query_count = 1;
        stats_tick(&s, 10);
        assert_int_equal(s.period_began, 5000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(averages_are_those_of_the_last_whole_period),
                cmocka_unit_test(times_are_per_thing_that_took_them),
                cmocka_unit_test(a_late_tick_divides_by_the_time_that_passed),
                cmocka_unit_test(large_counts_do_not_overflow),
                cmocka_unit_test(time_running_backwards_closes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
