#include "track/statements.h"

#include <string.h>
#include "base/own.h"
#include "wire/request.h"

void statements_init(struct statements *s)
{
        memset(s, 0, sizeof *s);
}

void statements_free(struct statements *s)
{
        free(s->message);
        free(s->learning);
        text_unref(s->bound_text);
        settings_unref(s->names);
        map_free(s->by_name);
        statements_deallocated(s);
        statements_init(s);
}

void statements_deallocate(struct statements *s, const char *name)
{
        if (!s->deallocated)
                s->deallocated = own_new(struct deallocated);
        bytes_append(&s->deallocated->names, name, strlen(name) + 1);
}

void statements_deallocated(struct statements *s)
{
        if (s->deallocated)
                bytes_free(&s->deallocated->names);
        free(TAKE(s->deallocated));
}

static void drop(void *value)
{
        struct statement *one = value;
        text_unref(one->text);
        free(one->told);
        free(one);
}

/* PostgreSQL knows a name by its first 63 bytes. */
struct short_name {
        char text[64];
};

static struct short_name shorten(const char *name)
{
        struct short_name s = {""};
        memcpy(s.text, name, strnlen(name, sizeof s.text - 1));
        return s;
}

struct statement *statements_find(const struct statements *s, const char *name)
{
        if (!s->by_name)
                return NULL;
        return map_get(s->by_name, strlen(name) < sizeof(struct short_name) ? name : shorten(name).text);
}

struct text *statements_meaning(const struct statements *s, const char *name)
{
        return statements_meant(s, statements_find(s, name));
}

void statements_doubt(struct statements *s)
{
        size_t at = 0;
        void *one;
        uint64_t now = texts_tick(s->texts);
        while (s->by_name && map_next(s->by_name, &at, NULL, &one))
                ((struct statement *) one)->since = now & STATEMENTS_CLOCK;
}

static bool is_alone(const struct text *x)
{
        return x && !x->key;
}

static size_t shared_size(const struct text *x)
{
        return x && x->key ? x->size : 0;
}

struct text *statements_put(struct statements *s, const char *name, struct text *x)
{
        struct statement *one = statements_find(s, name);
        if (!s->by_name)
                s->by_name = map_new(drop);
        if (!one) {
                one = own_new(struct statement);
                map_put(s->by_name, shorten(name).text, one);
        }
        struct text *before = one->text;
        s->alone += is_alone(x);
        s->alone -= is_alone(before);
        s->shared += shared_size(x);
        s->shared -= shared_size(before);
        free(TAKE(one->told));
        one->text = x;
        one->barriers = s->barriers;
        one->freed = false;
        return before;
}

struct told_shape *statements_untold(struct statements *s, const char *name)
{
        struct statement *one = statements_find(s, name);
        return one ? TAKE(one->told) : NULL;
}

void statements_tidy(struct statements *s, const char *name)
{
        struct statement *one = statements_find(s, name);
        if (one && !one->text && !one->pending)
                map_remove(s->by_name, shorten(name).text);
}

void statements_clear(struct statements *s)
{
        size_t at = 0, count = 0;
        const char *name;
        void *value;
        if (!s->by_name)
                return;
        /* Nothing may be taken away while walking. */
        char **gone = own_alloc((map_count(s->by_name) + 1) * sizeof *gone);
        while (map_next(s->by_name, &at, &name, &value)) {
                struct statement *one = value;
                if (!one->pending)
                        gone[count++] = own_string(name);
        }
        for (size_t i = 0; i < count; i++) {
                text_unref(statements_put(s, gone[i], NULL));
                statements_tidy(s, gone[i]);
                free(gone[i]);
        }
        free(gone);
}

unsigned statements_count(const struct statements *s)
{
        return s->by_name ? (unsigned) map_count(s->by_name) : 0;
}

void statements_remember(struct statements *s, const uint8_t *message, size_t size)
{
        if (size > s->room) {
                s->message = own_grow(s->message, size);
                s->room = (uint32_t) size;
        }
        memcpy(s->message, message, size);
        s->size = (uint32_t) size;
}

void statements_forget(struct statements *s)
{
        s->size = 0;
        s->unnamed = (struct text_marks){0};
        s->bound = false;
}

void statements_bound(struct statements *s, bool unnamed, struct text *named)
{
        struct text *before = s->bound_text;
        s->bound = unnamed;
        s->bound_text = text_ref(named);
        free(TAKE(s->learning));
        text_unref(before);
}

const char *statements_running(const struct statements *s)
{
        struct request_parse parse;
        if (s->bound_text)
                return (const char *) s->bound_text->body;
        if (!s->bound || request_parse(s->message + FRAME_HEADER, s->size - FRAME_HEADER, false, &parse) != FRAME_READY)
                return NULL;
        return parse.query;
}

void statements_come(struct statements *s)
{
        s->here = s->fresh = true;
}

void statements_go(struct statements *s)
{
        s->here = s->fresh = s->hoped = false;
}

void statements_synced(struct statements *s)
{
        if (!s->fresh)
                return;
        s->hoped = s->here;
        s->here = s->fresh = false;
}

void statements_proved(struct statements *s)
{
        s->here = s->here || s->hoped;
        s->hoped = false;
}
