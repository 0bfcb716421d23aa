#include "backend/wait.h"

#include "base/expect.h"

void wait_line_init(struct wait_line *l)
{
        list_init(&l->all);
        list_init(&l->turns);
        l->count = l->ready = 0;
}

void wait_user_init(struct wait_user *u)
{
        list_init(&u->link);
        list_init(&u->clients);
        u->count = 0;
        u->held = false;
}

struct pool_wait *wait_next(const struct wait_line *l)
{
        const struct wait_user *u = list_first(&l->turns, struct wait_user, link);
        return u ? list_first(&u->clients, struct pool_wait, link) : NULL;
}

/* At the end: whoever comes anew, or was served, has the last turn. */
static void take_turn(struct wait_line *l, struct wait_user *u)
{
        if (u->count && !u->held && list_empty(&u->link))
                list_push_back(&l->turns, &u->link);
}

void wait_join(struct wait_line *l, struct wait_user *u, struct pool_wait *w, uint64_t now,
               uint64_t now_us)
{
        expect(!w->line);
        w->line = l;
        w->user = u;
        w->since = now;
        w->since_us = now_us;
        w->notified = false;
        list_push_back(&l->all, &w->in_line);
        list_push_back(&u->clients, &w->link);
        l->count++;
        u->count++;
        l->ready += !u->held;
        take_turn(l, u);
}

void wait_leave(struct pool_wait *w)
{
        struct wait_user *u = w->user;
        if (!w->line)
                return;
        list_remove(&w->in_line);
        list_remove(&w->link);
        w->line->count--;
        w->line->ready -= !u->held;
        w->line = NULL;
        if (--u->count == 0)
                list_remove(&u->link);
}

void wait_give(struct pool_wait *w, struct server *s)
{
        struct wait_line *l = w->line;
        wait_leave(w);
        list_remove(&w->user->link);
        take_turn(l, w->user);
        w->events->given(w, s);
}

void wait_fail(struct pool_wait *w, const struct error *e)
{
        wait_leave(w);
        w->events->failed(w, e);
}

void wait_fail_all(struct wait_line *l, const struct error *e)
{
        struct pool_wait *w;
        while ((w = wait_oldest(l)))
                wait_fail(w, e);
}

void wait_hold(struct wait_line *l, struct wait_user *u, bool held)
{
        if (u->held == held)
                return;
        u->held = held;
        if (held) {
                l->ready -= u->count;
                list_remove(&u->link);
        } else {
                l->ready += u->count;
                take_turn(l, u);
        }
}
