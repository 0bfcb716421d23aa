#include "cmocka_all.h"
#include "base/deadline.h"
#include "base/own.h"

/* What a callback does when it comes, besides writing itself down. */
struct alarm {
        struct deadline deadline;
        struct deadlines *ds;
        struct alarm *clears, *sets;
        uint64_t sets_to;
        bool frees_itself;
};

static uint64_t called[64];
static size_t calls;

static void ring(struct deadline *d)
{
        struct alarm *a = container_of(d, struct alarm, deadline);

        assert_false(deadline_is_set(d));
        called[calls++] = d->at;
        if (a->clears)
                deadline_clear(a->ds, &a->clears->deadline);
        if (a->sets)
                deadline_set(a->ds, &a->sets->deadline, a->sets_to);
        if (a->frees_itself)
                free(a);
}

static void make(struct alarm *a, size_t n, struct deadlines *ds)
{
        deadlines_init(ds);
        calls = 0;
        for (size_t i = 0; i < n; i++) {
                a[i] = (struct alarm){.ds = ds};
                deadline_init(&a[i].deadline, ring);
        }
}

static void without_any_there_is_no_next(void **state)
{
        (void) state;
        struct deadlines ds;

        deadlines_init(&ds);
        assert_true(deadlines_next(&ds) == DEADLINE_NEVER);
        deadlines_run(&ds, 1000);
        deadlines_free(&ds);
        deadlines_free(NULL);
}

static void those_due_are_called_earliest_first_and_once(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[5];
        const uint64_t at[] = {50, 10, 40, 20, 30}, expected[] = {10, 20, 30};

        make(a, 5, &ds);
        for (int i = 0; i < 5; i++)
                deadline_set(&ds, &a[i].deadline, at[i]);
        assert_int_equal(deadlines_next(&ds), 10);
        deadlines_run(&ds, 30);
        assert_int_equal(calls, 3);
        assert_memory_equal(called, expected, sizeof expected);
        assert_int_equal(deadlines_next(&ds), 40);
        deadlines_run(&ds, 39);
        assert_int_equal(calls, 3);
        deadlines_run(&ds, 100);
        assert_int_equal(calls, 5);
        assert_true(deadlines_next(&ds) == DEADLINE_NEVER);
        deadlines_free(&ds);
}

static void setting_again_moves_it(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[2];

        make(a, 2, &ds);
        deadline_set(&ds, &a[0].deadline, 10);
        deadline_set(&ds, &a[1].deadline, 20);
        deadline_set(&ds, &a[0].deadline, 30);
        assert_int_equal(deadlines_next(&ds), 20);
        deadline_set(&ds, &a[0].deadline, 5);
        assert_int_equal(deadlines_next(&ds), 5);
        assert_int_equal(ds.count, 2);
        deadlines_free(&ds);
        assert_false(deadline_is_set(&a[0].deadline));
}

static void one_that_is_cleared_is_not_called(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[2];

        make(a, 2, &ds);
        deadline_clear(&ds, &a[0].deadline);
        deadline_set(&ds, &a[0].deadline, 10);
        deadline_set(&ds, &a[1].deadline, 10);
        assert_true(deadline_is_set(&a[0].deadline));
        deadline_clear(&ds, &a[0].deadline);
        assert_false(deadline_is_set(&a[0].deadline));
        deadlines_run(&ds, 10);
        assert_int_equal(calls, 1);
        deadlines_free(&ds);
}

static void a_callback_may_clear_one_that_is_due_too(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[3];

        make(a, 3, &ds);
        for (int i = 0; i < 3; i++)
                deadline_set(&ds, &a[i].deadline, (uint64_t) i + 1);
        a[0].clears = &a[1];
        deadlines_run(&ds, 10);
        assert_int_equal(calls, 2);
        assert_int_equal(called[1], 3);
        assert_false(deadline_is_set(&a[1].deadline));
        deadlines_free(&ds);
}

static void what_a_callback_sets_in_the_past_runs_at_the_next_call(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[1];

        make(a, 1, &ds);
        a[0].sets = &a[0];
        a[0].sets_to = 3;
        deadline_set(&ds, &a[0].deadline, 5);
        deadlines_run(&ds, 10);
        assert_int_equal(calls, 1);
        assert_true(deadline_is_set(&a[0].deadline));
        assert_int_equal(deadlines_next(&ds), 3);
        deadlines_run(&ds, 10);
        assert_int_equal(calls, 2);
        deadlines_free(&ds);
}

static void a_callback_may_put_off_one_that_is_due_too(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[2];

        make(a, 2, &ds);
        a[0].sets = &a[1];
        a[0].sets_to = 50;
        deadline_set(&ds, &a[0].deadline, 1);
        deadline_set(&ds, &a[1].deadline, 2);
        deadlines_run(&ds, 10);
        assert_int_equal(calls, 1);
        assert_int_equal(deadlines_next(&ds), 50);
        deadlines_free(&ds);
}

static void a_callback_may_free_its_owner(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm other;
        struct alarm *a = own_new(struct alarm);

        make(&other, 1, &ds);
        deadline_init(&a->deadline, ring);
        a->frees_itself = true;
        deadline_set(&ds, &a->deadline, 1);
        deadline_set(&ds, &other.deadline, 2);
        deadlines_run(&ds, 2);
        assert_int_equal(calls, 2);
        deadlines_free(&ds);
}

static uint64_t next_seen;

static void look(struct deadline *d)
{
        struct alarm *a = container_of(d, struct alarm, deadline);

        next_seen = deadlines_next(a->ds);
}

static void a_callback_sees_what_comes_next(void **state)
{
        (void) state;
        struct deadlines ds;
        struct alarm a[3];

        make(a, 3, &ds);
        deadline_init(&a[0].deadline, look);
        deadline_set(&ds, &a[0].deadline, 1);
        deadline_set(&ds, &a[1].deadline, 2);
        deadline_set(&ds, &a[2].deadline, 30);
        deadlines_run(&ds, 10);
        assert_int_equal(next_seen, 2);
        deadlines_free(&ds);
}

/* Whatever is set, moved, cleared and run, it agrees with a plain array. */
static void many_agree_with_an_array(void **state)
{
        (void) state;
        enum { MANY = 60 };
        struct deadlines ds;
        struct alarm a[MANY];
        unsigned dice = 7;

        make(a, MANY, &ds);
        for (uint64_t now = 0; now < 20000; now++) {
                uint64_t least = DEADLINE_NEVER;

                dice = dice * 1103515245u + 12345u;

                struct deadline *d = &a[(dice >> 8) % MANY].deadline;

                if ((dice >> 20) % 4)
                        deadline_set(&ds, d, now + (dice >> 16) % 100);
                else
                        deadline_clear(&ds, d);
                for (int i = 0; i < MANY; i++)
                        if (deadline_is_set(&a[i].deadline) && a[i].deadline.at < least)
                                least = a[i].deadline.at;
                assert_true(deadlines_next(&ds) == least);
                calls = 0;
                deadlines_run(&ds, now);
                assert_true(calls == 0 || called[0] == least);
                assert_true(deadlines_next(&ds) > now);
                for (size_t i = 1; i < calls; i++)
                        assert_true(called[i - 1] <= called[i] && called[i] <= now);
        }
        deadlines_free(&ds);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_any_there_is_no_next),
                cmocka_unit_test(those_due_are_called_earliest_first_and_once),
                cmocka_unit_test(setting_again_moves_it),
                cmocka_unit_test(one_that_is_cleared_is_not_called),
                cmocka_unit_test(a_callback_may_clear_one_that_is_due_too),
                cmocka_unit_test(what_a_callback_sets_in_the_past_runs_at_the_next_call),
                cmocka_unit_test(a_callback_may_put_off_one_that_is_due_too),
                cmocka_unit_test(a_callback_may_free_its_owner),
                cmocka_unit_test(a_callback_sees_what_comes_next),
                cmocka_unit_test(many_agree_with_an_array),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
