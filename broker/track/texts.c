#include "track/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "base/map.h"
#include "wire/frame.h"

struct texts {
        struct map *shared;             /* key -> struct text, not held */
        uint64_t last;                  /* number of the newest */
        size_t alone;
        uint64_t clock;
        bool asked_sequences;
        size_t size;                    /* bytes of the shared ones, as they are here: twice */
};

struct texts *texts_new(void)
{
        struct texts *t = own_new(struct texts);
        t->shared = map_new(NULL);
        return t;
}

void texts_free(struct texts *t)
{
        if (!t)
                return;
        expect(map_count(t->shared) == 0 && t->alone == 0);
        map_free(t->shared);
        free(t);
}

uint64_t texts_tick(struct texts *t)
{
        return ++t->clock;
}

uint64_t text_now(const struct text *x)
{
        return x->texts->clock;
}

bool texts_room(const struct texts *t)
{
        return t->size < TEXTS_ALL_MAX;
}

void texts_ask_sequences(struct texts *t)
{
        t->asked_sequences = true;
}

bool texts_asked_sequences(const struct texts *t)
{
        return t->asked_sequences;
}

static struct text *make(struct texts *t, size_t size, struct text_marks marks)
{
        struct text *x = own_alloc(sizeof *x + size);
        x->texts = t;
        x->holders = 1;
        x->marks = marks;
        x->size = size;
        snprintf(x->name, sizeof x->name, TEXTS_PREFIX "%llu", (unsigned long long) ++t->last);
        return x;
}

/* How it is read (each that is read nobody knows how is another one), the edition and the parameter types as
 * hexadecimal digits, then the text: it has no NUL in it. */
static char *key_of(const struct texts *t, const char *way, uint64_t edition, const uint8_t *body, size_t size)
{
        struct bytes key;
        size_t text = strlen((const char *) body);
        bytes_init(&key, 0);
        if (way)
                bytes_format(&key, "%s\n", way);
        else
                bytes_format(&key, "?%llu\n", (unsigned long long) t->last);
        if (edition)
                bytes_format(&key, "%016llx!", (unsigned long long) edition);
        for (size_t i = text + 1; i < size; i++)
                bytes_format(&key, "%02x", body[i]);
        bytes_append(&key, ":", 1);
        bytes_append(&key, body, text);
        char *s = bytes_string(&key);
        bytes_free(&key);
        return s;
}

/* A '$' with a number behind it may be a parameter; the types that the client gives are behind the text. */
static bool inferred(const uint8_t *body, size_t size)
{
        const char *text = (const char *) body, *p = text;
        const uint8_t *types = body + strlen(text) + 1;
        unsigned long last = 0, count = (size_t) (types - body) + 2 <= size ? frame_get16(types) : 0;
        for (; (p = strchr(p, '$')); p++) {
                unsigned long number = strtoul(p + 1, NULL, 10);
                last = p[1] >= '0' && p[1] <= '9' && number > last ? number : last;
        }
        for (unsigned long i = 0; i < count && i < last; i++) {
                if (frame_get32(types + 2 + 4 * i) == 0)
                        return true;
        }
        return last > count;
}

bool text_read_so(const struct text *x, const char *way)
{
        size_t n = way ? strlen(way) : 0;
        return !x->key || (way && strncmp(x->key, way, n) == 0 && x->key[n] == '\n');
}

static struct text *share(struct texts *t, const char *way, uint64_t edition, const uint8_t *body, size_t size,
                          struct text_marks marks)
{
        OWN(free) char *key = key_of(t, way, edition, body, size);
        struct text *x = map_get(t->shared, key);
        if (x)
                return text_ref(x);
        x = make(t, size, marks);
        memcpy(x->body, body, size);
        x->inferred = inferred(body, size);
        x->edition = edition != 0;
        x->key = TAKE(key);
        map_put(t->shared, x->key, x);
        t->size += 2 * size;
        return x;
}

struct text *texts_share(struct texts *t, const char *way, const uint8_t *body, size_t size,
                         struct text_marks marks)
{
        return share(t, way, 0, body, size, marks);
}

struct text *texts_edition(struct text *x, uint64_t told, const uint8_t *body, size_t size)
{
        OWN(free) char *way = own_text(x->key, strcspn(x->key, "\n"));
        return share(x->texts, way, told ? told : 1, body, size, x->marks);
}

struct text *texts_alone(struct texts *t, struct text_marks marks)
{
        t->alone++;
        return make(t, 0, marks);
}

struct text *text_ref(struct text *x)
{
        if (x)
                x->holders++;
        return x;
}

void text_unref(struct text *x)
{
        if (!x || --x->holders > 0)
                return;
        if (x->key) {
                map_remove(x->texts->shared, x->key);
                x->texts->size -= 2 * x->size;
        } else {
                x->texts->alone--;
        }
        free(x->key);
        free(x);
}
