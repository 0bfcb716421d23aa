#include "turns.h"
#include <pthread.h>
#include "io/work.h"

struct job {
        pthread_t loop_thread, run_thread, done_thread;
        int ran, done;
        struct loop *loop;
        struct job *next;
};

static void run(void *arg)
{
        struct job *j = arg;

        j->run_thread = pthread_self();
        j->ran++;
}

static void done(void *arg)
{
        struct job *j = arg;

        j->done_thread = pthread_self();
        j->done++;
        if (j->next)
                work_submit(j->loop, run, done, j->next);
}

static void it_runs_off_the_loop_and_is_done_on_it(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct job j = {.loop_thread = pthread_self()};

        work_submit(l, run, done, &j);
        assert_int_equal(j.done, 0);
        assert_true(turns_until(l, &j.done, 1, 5000));
        assert_int_equal(j.ran, 1);
        assert_false(pthread_equal(j.run_thread, j.loop_thread));
        assert_true(pthread_equal(j.done_thread, j.loop_thread));
}

static void more_may_be_submitted_when_it_is_done(void **state)
{
        (void) state;
        OWN(loop_free) struct loop *l = loop_new();
        struct job second = {0}, first = {.loop = l, .next = &second};

        work_submit(l, run, done, &first);
        assert_true(turns_until(l, &second.done, 1, 5000));
}

static void a_loop_that_is_freed_waits_for_it(void **state)
{
        (void) state;
        struct loop *l = loop_new();
        struct job j = {0};

        work_submit(l, run, done, &j);
        loop_free(l);
        assert_int_equal(j.done, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_runs_off_the_loop_and_is_done_on_it),
                cmocka_unit_test(more_may_be_submitted_when_it_is_done),
                cmocka_unit_test(a_loop_that_is_freed_waits_for_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
