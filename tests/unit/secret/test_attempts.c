#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include "secret/attempts.h"

enum { NOW = 1900000000 };

static uint32_t most(void *arg, uint32_t below)
{
        (void) arg;
        return below - 1;
}

static struct attempts begun(void)
{
        struct attempts a = {.dice = most};

        attempts_begin(&a);
        a.made = 1;
        return a;
}

static void next(struct attempts *a, enum answer_kind kind, long long date, uint64_t left_ms,
                 enum attempts_verdict verdict, uint32_t pause_ms)
{
        uint32_t pause;

        assert_int_equal(attempts_next(a, kind, date, NOW, left_ms, &pause), verdict);
        if (verdict == ATTEMPTS_AGAIN)
                assert_int_equal(pause, pause_ms);
        a->made++;
}

static void trouble_is_met_three_times_with_growing_pauses(void **state)
{
        struct attempts a = begun();

        (void) state;
        next(&a, ANSWER_TROUBLE, 0, 10000, ATTEMPTS_AGAIN, 49);
        next(&a, ANSWER_THROTTLED, 0, 10000, ATTEMPTS_AGAIN, 1999);
        next(&a, ANSWER_TROUBLE, 0, 10000, ATTEMPTS_OVER, 0);
}

static void not_without_time_for_another(void **state)
{
        struct attempts a = begun();

        (void) state;
        next(&a, ANSWER_THROTTLED, 0, 1100, ATTEMPTS_OVER, 0);
}

static void another_key_once(void **state)
{
        struct attempts a = begun();

        (void) state;
        next(&a, ANSWER_BAD_KEY, 0, 10000, ATTEMPTS_OTHER_KEY, 0);
        next(&a, ANSWER_BAD_KEY, 0, 10000, ATTEMPTS_OVER, 0);
}

static void another_clock_once_and_only_if_it_differs(void **state)
{
        struct attempts a = begun();

        (void) state;
        next(&a, ANSWER_BAD_SIGNATURE, NOW + 3600, 10000, ATTEMPTS_OTHER_CLOCK, 0);
        assert_int_equal(a.ahead_s, 3600);
        next(&a, ANSWER_BAD_SIGNATURE, NOW - 3600, 10000, ATTEMPTS_OTHER_KEY, 0);
        next(&a, ANSWER_BAD_SIGNATURE, NOW - 3600, 10000, ATTEMPTS_OVER, 0);
        assert_int_equal(a.ahead_s, 3600);
        a = begun();
        next(&a, ANSWER_BAD_SIGNATURE, NOW + 240, 10000, ATTEMPTS_OTHER_KEY, 0);
        a = begun();
        next(&a, ANSWER_BAD_SIGNATURE, NOW - 241, 10000, ATTEMPTS_OTHER_CLOCK, 0);
        a = begun();
        next(&a, ANSWER_BAD_SIGNATURE, 0, 10000, ATTEMPTS_OTHER_KEY, 0);
}

/* This machine's clock is set while the broker runs, forth and back again; the service's goes as it did. */
static void a_clock_that_is_set_is_followed_each_time(void **state)
{
        static const int64_t set[] = {7200, -40 * 86400, 0, 239, -3600};
        static const long long there = NOW;
        struct attempts a = begun();
        uint32_t pause;

        (void) state;
        for (unsigned i = 0; i < sizeof set / sizeof *set; i++) {
                bool notices = i != 3; /* AWS does not mind four minutes */

                attempts_begin(&a);
                a.made = 1;
                assert_int_equal(attempts_next(&a, ANSWER_BAD_SIGNATURE, there, (time_t) (there + set[i]), 10000,
                                               &pause),
                                 notices ? ATTEMPTS_OTHER_CLOCK : ATTEMPTS_OTHER_KEY);
                assert_int_equal(pause, 0);
                assert_int_equal(a.ahead_s, notices ? -set[i] : 0);
        }
}

static void what_no_attempt_mends_is_over(void **state)
{
        struct attempts a = begun();

        (void) state;
        next(&a, ANSWER_DENIED, 0, 10000, ATTEMPTS_OVER, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(trouble_is_met_three_times_with_growing_pauses),
                cmocka_unit_test(not_without_time_for_another),
                cmocka_unit_test(another_key_once),
                cmocka_unit_test(another_clock_once_and_only_if_it_differs),
                cmocka_unit_test(a_clock_that_is_set_is_followed_each_time),
                cmocka_unit_test(what_no_attempt_mends_is_over),
        };

        return cmocka_run_group_tests_name("attempts", tests, NULL, NULL);
}
