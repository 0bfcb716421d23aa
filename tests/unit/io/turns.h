/* Runs a loop until something has happened, and a folder that goes away with its test. */
#ifndef PGB_TEST_TURNS_H
#define PGB_TEST_TURNS_H

#include "../base/cmocka_all.h"
#include <ftw.h>
#include <stdio.h>
#include "base/own.h"
#include "io/loop.h"

struct turns {
        struct deadline look;
        struct loop *loop;
        const int *count;
        int wanted;
        uint64_t until;
};

static inline void turns_look(struct deadline *d)
{
        struct turns *t = container_of(d, struct turns, look);

        if ((t->count && *t->count >= t->wanted) || loop_now(t->loop) >= t->until)
                loop_stop(t->loop);
        else
                loop_set(t->loop, d, loop_now(t->loop) + 2);
}

/* Until *count is `wanted` or more (true), or ms have passed. */
static inline bool turns_until(struct loop *l, const int *count, int wanted, unsigned ms)
{
        struct turns t = {.loop = l, .count = count, .wanted = wanted};

        deadline_init(&t.look, turns_look);
        t.until = loop_us() / 1000 + ms;
        loop_set(l, &t.look, 0);
        loop_run(l);
        loop_clear(l, &t.look);
        return count && *count >= wanted;
}

static inline void turns_for(struct loop *l, unsigned ms)
{
        turns_until(l, NULL, 0, ms);
}

static inline int folder_drop_one(const char *path, const struct stat *s, int type, struct FTW *w)
{
        (void) s;
        (void) type;
        (void) w;
        return remove(path);
}

static inline void folder_remove(char *path)
{
        nftw(path, folder_drop_one, 8, FTW_DEPTH | FTW_PHYS);
        free(path);
}

OWN_DEFINE(char, folder_remove)
OWN_DEFINE(struct loop, loop_free)

static inline char *folder_make(void)
{
        char *path = own_string("/tmp/pgbroker-test-XXXXXX");

        assert_non_null(mkdtemp(path));
        return path;
}

#endif
