#include "track/prepared.h"

#include <string.h>
#include "base/expect.h"
#include "base/own.h"

static void drop(void *value)
{
        struct prepared_one *one = value;
        if (one->text->key)
                list_remove(&one->link);
        text_unref(one->text);
        free(one);
}

void prepared_init(struct prepared *p)
{
        memset(p, 0, sizeof *p);
        list_init(&p->recent);
}

void prepared_free(struct prepared *p)
{
        for (uint32_t i = 0; i < p->change_count; i++)
                prepared_change_free(prepared_change(p, i));
        free(p->changes);
        free(p->coming);
        map_free(p->there);
        prepared_init(p);
}

struct prepared_one *prepared_find(const struct prepared *p, const struct text *x)
{
        return p->there ? map_get(p->there, x->name) : NULL;
}

void prepared_use(struct prepared *p, struct prepared_one *one)
{
        if (!one->text->key || p->recent.next == &one->link)
                return;
        list_remove(&one->link);
        list_push_front(&p->recent, &one->link);
}

struct prepared_one *prepared_add(struct prepared *p, struct text *x)
{
        struct prepared_one *one = own_new(struct prepared_one);
        one->text = text_ref(x);
        if (!p->there)
                p->there = map_new(drop);
        map_put(p->there, x->name, one);
        if (x->key) {
                list_push_front(&p->recent, &one->link);
                p->count++;
        }
        return one;
}

void prepared_remove(struct prepared *p, struct prepared_one *one)
{
        p->count -= one->text->key != NULL;
        map_remove(p->there, one->text->name);
}

struct prepared_one *prepared_oldest(const struct prepared *p)
{
        struct prepared_one *one = NULL;
        if (p->count < p->max)
                return NULL;
        for (struct list *at = p->recent.prev; at != &p->recent; at = at->prev) {
                one = container_of(at, struct prepared_one, link);
                if (!one->pending)
                        return one;
        }
        return NULL;
}

void prepared_doubt(struct prepared *p)
{
        size_t at = 0;
        void *one;
        while (p->there && map_next(p->there, &at, NULL, &one)) {
                ((struct prepared_one *) one)->proved = 0;
                ((struct prepared_one *) one)->shape = (struct shape){0};
        }
}

void prepared_clear(struct prepared *p)
{
        struct prepared_one *one;
        void *value;
        size_t at = 0, count = 0;
        if (!p->there)
                return;
        /* Nothing may be taken away while walking. */
        struct prepared_one **gone = own_alloc((map_count(p->there) + 1) * sizeof one);
        while (map_next(p->there, &at, NULL, &value)) {
                one = value;
                if (!one->pending)
                        gone[count++] = one;
        }
        for (size_t i = 0; i < count; i++)
                prepared_remove(p, gone[i]);
        free(gone);
}

void prepared_sent(struct prepared *p, const struct prepared_change *change)
{
        if (p->change_first + p->change_count == p->change_room) {
                if (p->change_first > p->change_room / 2 || (p->change_first && !p->change_count)) {
                        memmove(p->changes, prepared_change(p, 0), p->change_count * sizeof *p->changes);
                        p->change_first = 0;
                } else {
                        p->change_room = p->change_room ? 2 * p->change_room : 4;
                        p->changes = own_grow(p->changes, p->change_room * sizeof *p->changes);
                }
        }
        *prepared_change(p, p->change_count++) = *change;
}

struct prepared_change *prepared_next(const struct prepared *p, uint32_t i, const struct text *x, bool parse)
{
        for (; i < p->change_count; i++) {
                struct prepared_change *ch = prepared_change(p, i);
                if (ch->text == x && ch->parse == parse)
                        return ch;
        }
        return NULL;
}

void prepared_unproved(struct prepared *p, uint32_t i, const struct prepared_change *ch)
{
        struct prepared_change *again = ch->text ? prepared_next(p, i, ch->text, true) : NULL;
        struct prepared_one *one = ch->text && !again ? prepared_find(p, ch->text) : NULL;
        if (again)
                again->proved = ch->proved;
        else if (one)
                one->proved = ch->proved;
}

struct prepared_change prepared_answered(struct prepared *p)
{
        expect(p->change_count > 0);
        p->change_count--;
        return p->changes[p->change_first++];
}

void prepared_change_free(struct prepared_change *c)
{
        free(c->name);
        free(c->told);
        free(c->whose);
        text_unref(c->before);
        text_unref(c->text);
        text_unref(c->described);
}
