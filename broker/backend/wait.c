#include "backend/wait.h"

#include "base/expect.h"

void wait_line_init(struct wait_line *l)
{
        list_init(&l->list);
        l->count = 0;
}

void wait_join(struct wait_line *l, struct pool_wait *w, uint64_t now, uint64_t now_us)
{
        expect(!w->line);
        w->line = l;
        w->since = now;
        w->since_us = now_us;
        list_push_back(&l->list, &w->link);
        l->count++;
}

void wait_leave(struct pool_wait *w)
{
        if (!w->line)
                return;
        list_remove(&w->link);
        w->line->count--;
        w->line = NULL;
}

void wait_give(struct pool_wait *w, struct server *s)
{
        wait_leave(w);
        w->given(w, s);
}

void wait_fail(struct pool_wait *w, const struct error *e)
{
        wait_leave(w);
        w->failed(w, e);
}

void wait_fail_all(struct wait_line *l, const struct error *e)
{
        struct pool_wait *w;
        while ((w = wait_first(l)))
                wait_fail(w, e);
}
