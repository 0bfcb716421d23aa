#include "io/loop.h"

#include <signal.h>
#include <stdalign.h>
#include <string.h>
#include <time.h>
#include <uv.h>
#include "base/expect.h"
#include "base/own.h"

/* The turn's memory: a few receive buffers' worth, so that many small reads share it. */
#define TURN_MEMORY (4 * LOOP_ROOM)

struct garbage {
        struct garbage *next;
        void *memory;
};

struct loop {
        uv_loop_t uv;
        uv_prepare_t before;            /* flushes what timers sent, before the loop sleeps */
        uv_check_t after;               /* flushes what the turn's events sent */
        uv_timer_t timer;
        uint64_t timer_at;
        struct deadlines deadlines;
        struct list deferred;
        struct list dirty;              /* streams with something to send */
        uint8_t *memory;
        size_t used;
        struct garbage *garbage;
        struct list signals;
        struct loop_turns turns;
        uint64_t woke_at;               /* ms: this turn's events came; 0 = not in a turn */
        uint64_t read_at, cpu_at;       /* ms: the CPU clock was read; us: what it said */
};

struct loop_signal {
        struct list link;
        uv_signal_t handle;
        void (*call)(void *arg, int signal);
        void *arg;
};

static uint64_t clock_us(clockid_t id)
{
        struct timespec t;
        clock_gettime(id, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

uint64_t loop_us(void)
{
        return clock_us(CLOCK_MONOTONIC);
}

uint64_t loop_now(const struct loop *l)
{
        return uv_now(&l->uv);
}

void *loop_uv(struct loop *l)
{
        return &l->uv;
}

struct loop_turns loop_turns(const struct loop *l)
{
        return l->turns;
}

static void run_deadlines(uv_timer_t *timer)
{
        struct loop *l = timer->data;
        l->timer_at = DEADLINE_NEVER;
        deadlines_run(&l->deadlines, uv_now(&l->uv));
}

/* One libuv timer stands for the earliest deadline; it is only ever moved forward when it fires. */
static void arm_timer(struct loop *l)
{
        uint64_t next = deadlines_next(&l->deadlines);
        if (next >= l->timer_at)
                return;
        uint64_t now = uv_now(&l->uv);
        l->timer_at = next;
        uv_timer_start(&l->timer, run_deadlines, next > now ? next - now : 0, 0);
}

void loop_set(struct loop *l, struct deadline *d, uint64_t at)
{
        deadline_set(&l->deadlines, d, at);
}

void loop_clear(struct loop *l, struct deadline *d)
{
        deadline_clear(&l->deadlines, d);
}

void deferred_init(struct deferred *d, void (*call)(struct deferred *d))
{
        list_init(&d->link);
        d->call = call;
}

void loop_defer(struct loop *l, struct deferred *d)
{
        if (list_empty(&d->link))
                list_push_back(&l->deferred, &d->link);
}

void deferred_clear(struct deferred *d)
{
        list_remove(&d->link);
}

/* Calls what was put off, and what that puts off, but not for ever: the rest waits a turn. */
static void run_deferred(struct loop *l)
{
        for (int round = 0; round < 16 && !list_empty(&l->deferred); round++) {
                struct list batch, *link;
                list_init(&batch);
                while ((link = list_pop_front(&l->deferred)))
                        list_push_back(&batch, link);
                while ((link = list_pop_front(&batch))) {
                        struct deferred *d = list_item(link, struct deferred, link);
                        d->call(d);
                }
        }
}

void loop_flush(struct loop *l, struct deferred *d)
{
        if (list_empty(&d->link))
                list_push_back(&l->dirty, &d->link);
}

static void flush_streams(struct loop *l)
{
        struct list *link;
        while ((link = list_pop_front(&l->dirty))) {
                struct deferred *d = list_item(link, struct deferred, link);
                d->call(d);
        }
}

/* The end of a turn: calls put off, then everything that was sent, then the memory is free again. */
static void settle(struct loop *l)
{
        run_deferred(l);
        flush_streams(l);
        l->used = 0;
        while (l->garbage) {
                struct garbage *g = l->garbage;
                l->garbage = g->next;
                free(g->memory);
                free(g);
        }
        arm_timer(l);
}

static void longest(uint64_t *max, uint64_t us)
{
        if (us > *max)
                *max = us;
}

/* Between two visits here lies one turn. The thread's CPU clock, which stands still while it sleeps,
 * costs a system call, so it is read once a millisecond: what is measured then is one long turn, or one
 * with short ones before it. */
static void measure(struct loop *l)
{
        uint64_t now = loop_us();
        if (l->woke_at)
                longest(&l->turns.wall_max_us, now - l->woke_at * 1000);
        l->woke_at = 0;
        l->turns.count++;
        if (now / 1000 == l->read_at)
                return;
        uint64_t cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
        if (l->read_at)
                longest(&l->turns.cpu_max_us, cpu - l->cpu_at);
        l->read_at = now / 1000;
        l->cpu_at = cpu;
}

static void before_sleep(uv_prepare_t *h)
{
        struct loop *l = h->data;
        settle(l);
        measure(l);
        /* What is still put off must not wait for an event. */
        if (!list_empty(&l->deferred) && l->timer_at > uv_now(&l->uv)) {
                l->timer_at = uv_now(&l->uv);
                uv_timer_start(&l->timer, run_deadlines, 0, 0);
        }
}

static void after_events(uv_check_t *h)
{
        struct loop *l = h->data;
        l->woke_at = uv_now(&l->uv);
        settle(l);
}

uint8_t *loop_room(struct loop *l)
{
        if (TURN_MEMORY - l->used < LOOP_ROOM) {
                flush_streams(l);
                l->used = 0;
        }
        return l->memory + l->used;
}

void *loop_scrap(struct loop *l, size_t n)
{
        size_t at = (l->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
        if (n > TURN_MEMORY - at)
                return NULL;
        l->used = at + n;
        return l->memory + at;
}

void loop_room_used(struct loop *l, size_t n)
{
        expect(n <= TURN_MEMORY - l->used);
        l->used += n;
}

void loop_garbage(struct loop *l, void *p)
{
        if (!p)
                return;
        struct garbage *g = own_new(struct garbage);
        *g = (struct garbage){l->garbage, p};
        l->garbage = g;
}

static void on_signal(uv_signal_t *h, int number)
{
        struct loop_signal *s = h->data;
        s->call(s->arg, number);
}

void loop_signal(struct loop *l, int number, void (*call)(void *arg, int signal), void *arg)
{
        struct loop_signal *s = own_new(struct loop_signal);
        s->call = call;
        s->arg = arg;
        s->handle.data = s;
        list_push_back(&l->signals, &s->link);
        expect(uv_signal_init(&l->uv, &s->handle) == 0);
        expect(uv_signal_start(&s->handle, on_signal, number) == 0);
        uv_unref((uv_handle_t *) &s->handle);
}

struct loop *loop_new(void)
{
        struct loop *l = own_new(struct loop);
        expect(uv_loop_init(&l->uv) == 0);
        deadlines_init(&l->deadlines);
        list_init(&l->deferred);
        list_init(&l->dirty);
        list_init(&l->signals);
        l->memory = own_alloc(TURN_MEMORY);
        l->timer_at = DEADLINE_NEVER;
        uv_prepare_init(&l->uv, &l->before);
        uv_check_init(&l->uv, &l->after);
        uv_timer_init(&l->uv, &l->timer);
        l->before.data = l->after.data = l->timer.data = l;
        uv_prepare_start(&l->before, before_sleep);
        uv_check_start(&l->after, after_events);
        return l;
}

void loop_run(struct loop *l)
{
        uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
        uv_stop(&l->uv);
}

void loop_free(struct loop *l)
{
        if (!l)
                return;
        settle(l);
        list_init(&l->deferred);
        uv_close((uv_handle_t *) &l->before, NULL);
        uv_close((uv_handle_t *) &l->after, NULL);
        uv_close((uv_handle_t *) &l->timer, NULL);
        struct loop_signal *s;
        list_each(s, &l->signals, struct loop_signal, link)
                uv_close((uv_handle_t *) &s->handle, NULL);
        /* A stop that was asked for outside a run makes the first run return at once. */
        for (int runs = 0; uv_loop_close(&l->uv) != 0; runs++) {
                expect(runs < 100);
                uv_run(&l->uv, UV_RUN_DEFAULT);
        }
        list_each(s, &l->signals, struct loop_signal, link)
                free(s);
        deadlines_free(&l->deadlines);
        free(l->memory);
        free(l);
}
