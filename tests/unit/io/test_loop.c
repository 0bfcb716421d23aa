#include "turns.h"
#include <time.h>
#include <unistd.h>

struct task {
        struct deadline at;
        void (*work)(void);
};

static uint64_t cpu_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void work_8_ms(void)
{
        for (uint64_t until = cpu_us() + 8000; cpu_us() < until;)
                ;
}

static void sleep_40_ms(void)
{
        usleep(40000);
}

static void expired(struct deadline *d)
{
        container_of(d, struct task, at)->work();
}

static struct loop_turns turns_with(void (*work)(void))
{
        OWN(loop_free) struct loop *l = loop_new();
        struct task t = {.work = work};

        deadline_init(&t.at, expired);
        loop_set(l, &t.at, loop_now(l) + 20);
        turns_for(l, 100);
        return loop_turns(l);
}

static void a_long_turn_is_known_by_its_cpu_and_its_time(void **state)
{
        (void) state;
        struct loop_turns t = turns_with(work_8_ms);

        assert_true(t.count > 2);
        assert_true(t.cpu_max_us >= 8000);
        assert_true(t.wall_max_us >= 8000);
}

static void what_sleeps_costs_time_but_no_cpu(void **state)
{
        (void) state;
        struct loop_turns t = turns_with(sleep_40_ms);

        assert_true(t.wall_max_us >= 40000);
        assert_true(t.cpu_max_us < 40000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_long_turn_is_known_by_its_cpu_and_its_time),
                cmocka_unit_test(what_sleeps_costs_time_but_no_cpu),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
