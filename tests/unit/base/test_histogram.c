#include "cmocka_all.h"
#include "base/histogram.h"

static void an_empty_one_has_no_quantiles(void **state)
{
        (void) state;
        struct histogram h = {0};

        assert_int_equal(histogram_quantile(&h, 0.99), 0);
}

static void edges_rise_and_end_at_two_to_the_38(void **state)
{
        (void) state;
        for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
                assert_true(histogram_edge(i) > histogram_edge(i - 1));
        assert_int_equal(histogram_edge(0), 0);
        assert_int_equal(histogram_edge(8), 8);
        assert_int_equal(histogram_edge(HISTOGRAM_BUCKETS - 1), (1ULL << 38) - 1);
        assert_int_equal(histogram_edge(HISTOGRAM_BUCKETS + 5), (1ULL << 38) - 1);
}

static void every_duration_is_at_or_under_its_edge_and_over_the_one_before(void **state)
{
        (void) state;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                struct histogram h = {0};

                histogram_add(&h, histogram_edge(i));
                histogram_add(&h, i ? histogram_edge(i - 1) + 1 : 0);
                assert_int_equal(h.bucket[i], 2);
        }
}

static void the_error_stays_under_an_eighth(void **state)
{
        (void) state;
        for (uint64_t us = 1; us < 1ULL << 38; us += us / 7 + 1) {
                struct histogram h = {0};

                histogram_add(&h, us);

                uint64_t told = histogram_quantile(&h, 0.5);

                assert_true(told >= us);
                assert_true((double) (told - us) < 0.125 * (double) us);
        }
}

static void no_quantile_is_longer_than_the_longest(void **state)
{
        (void) state;
        struct histogram h = {0}, both = {0};

        histogram_add(&h, 1000001);
        histogram_add(&h, 900);
        assert_int_equal(h.max, 1000001);
        assert_int_equal(histogram_quantile(&h, 1), 1000001);
        histogram_merge(&both, &h);
        assert_int_equal(both.max, 1000001);
}

static void quantiles_are_where_they_belong(void **state)
{
        (void) state;
        struct histogram h = {0};

        for (int i = 0; i < 98; i++)
                histogram_add(&h, 1);
        histogram_add(&h, 5);
        histogram_add(&h, 1000000);
        assert_int_equal(histogram_quantile(&h, 0.001), 1);
        assert_int_equal(histogram_quantile(&h, 0.5), 1);
        assert_int_equal(histogram_quantile(&h, 0.98), 1);
        assert_int_equal(histogram_quantile(&h, 0.99), 5);
        assert_true(histogram_quantile(&h, 1.0) >= 1000000);
        assert_int_equal(h.count, 100);
        assert_int_equal(h.sum, 98 + 5 + 1000000);
}

static void what_is_too_long_counts_as_the_last(void **state)
{
        (void) state;
        struct histogram h = {0};

        histogram_add(&h, UINT64_MAX);
        histogram_add(&h, 1ULL << 38);
        assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 2);
}

static void merging_adds_and_full_buckets_stay_full(void **state)
{
        (void) state;
        struct histogram a = {0}, b = {0};

        histogram_add(&a, 3);
        histogram_add(&b, 3);
        histogram_add(&b, 100);
        histogram_merge(&a, &b);
        assert_int_equal(a.count, 3);
        assert_int_equal(a.sum, 106);
        assert_int_equal(a.bucket[3], 2);
        a.bucket[3] = UINT32_MAX;
        histogram_add(&a, 3);
        histogram_merge(&a, &b);
        assert_int_equal(a.bucket[3], UINT32_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_one_has_no_quantiles),
                cmocka_unit_test(edges_rise_and_end_at_two_to_the_38),
                cmocka_unit_test(every_duration_is_at_or_under_its_edge_and_over_the_one_before),
                cmocka_unit_test(the_error_stays_under_an_eighth),
                cmocka_unit_test(no_quantile_is_longer_than_the_longest),
                cmocka_unit_test(quantiles_are_where_they_belong),
                cmocka_unit_test(what_is_too_long_counts_as_the_last),
                cmocka_unit_test(merging_adds_and_full_buckets_stay_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
