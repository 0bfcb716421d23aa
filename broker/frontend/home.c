#include "frontend/home.h"

#include "base/own.h"

#define WELCOMES_MAX 256                /* kept per environment; then all are tried anew */

static void drop_settings(void *p)
{
        settings_unref(p);
}

struct home *home_new(struct pool *p)
{
        struct home *h = own_new(struct home);
        h->pool = p;
        h->welcomes = map_new(drop_settings);
        return h;
}

void home_free(struct home *h)
{
        if (!h)
                return;
        map_free(h->welcomes);
        free(h);
}

static void forget_old(struct home *h)
{
        if (h->known_changes == h->pool->known_changes && map_count(h->welcomes) < WELCOMES_MAX)
                return;
        map_free(h->welcomes);
        h->welcomes = map_new(drop_settings);
        h->known_changes = h->pool->known_changes;
}

struct settings *home_welcome(struct home *h, const struct settings *asked)
{
        forget_old(h);
        if (!h->pool->known || settings_count(asked) == 0)
                return h->pool->known;
        char *key = settings_key(asked);
        struct settings *told = map_get(h->welcomes, key);
        free(key);
        return told;
}

void home_learn(struct home *h, const struct settings *asked, struct settings *told)
{
        forget_old(h);
        char *key = settings_key(asked);
        map_put(h->welcomes, key, settings_ref(told));
        free(key);
}

struct settings *home_overlay(const struct settings *known, const struct settings *asked)
{
        struct settings *all = settings_new();
        size_t at = 0;
        const char *name, *value;
        while (settings_next(known, &at, &name, &value))
                settings_put(&all, name, value);
        for (at = 0; settings_next(asked, &at, &name, &value);)
                settings_put(&all, name, value);
        return all;
}
