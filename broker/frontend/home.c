#include "frontend/home.h"

#include "base/own.h"

#define WELCOMES_MAX 256                /* kept per environment; then all are tried anew */

static void drop_welcome(void *p)
{
        struct welcome *w = p;
        settings_unref(w->told);
        settings_unref(w->said);
        free(w);
}

struct home *home_new(struct pool *p)
{
        struct home *h = own_new(struct home);
        h->pool = p;
        h->welcomes = map_new(drop_welcome);
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
        h->welcomes = map_new(drop_welcome);
        h->known_changes = h->pool->known_changes;
}

bool home_welcome(struct home *h, const struct settings *asked, struct welcome *out)
{
        forget_old(h);
        if (!h->pool->known || settings_count(asked) == 0) {
                *out = (struct welcome){h->pool->known, NULL};
                return h->pool->known != NULL;
        }
        char *key = settings_key(asked);
        struct welcome *w = map_get(h->welcomes, key);
        free(key);
        if (w)
                *out = *w;
        return w != NULL;
}

void home_learn(struct home *h, const struct settings *asked, const struct welcome *found)
{
        forget_old(h);
        char *key = settings_key(asked);
        struct welcome *w = own_new(struct welcome);
        w->told = settings_ref(found->told);
        w->said = settings_ref(found->said);
        map_put(h->welcomes, key, w);
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
