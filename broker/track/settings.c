#include "track/settings.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* One block: name NUL value NUL name NUL value NUL ... Sets are small and change seldom, so every
 * change makes a new block of just the right size; that costs no more than looking for the name. */
struct settings {
        uint32_t holders;
        uint32_t count;
        uint32_t size;
        char text[];
};

struct entry {
        const char *name, *value;
        size_t begin, end; /* in the text */
};

static struct settings *block(size_t size, size_t count)
{
        struct settings *s = own_alloc(sizeof *s + size);

        s->holders = 1;
        s->count = (uint32_t) count;
        s->size = (uint32_t) size;
        return s;
}

struct settings *settings_new(void)
{
        return block(0, 0);
}

struct settings *settings_ref(struct settings *s)
{
        if (s)
                s->holders++;
        return s;
}

void settings_unref(struct settings *s)
{
        if (s && --s->holders == 0)
                free(s);
}

static bool entry_at(const struct settings *s, size_t at, struct entry *out)
{
        if (!s || at >= s->size)
                return false;
        out->begin = at;
        out->name = s->text + at;
        out->value = out->name + strlen(out->name) + 1;
        out->end = (size_t) (out->value - s->text) + strlen(out->value) + 1;
        return true;
}

static bool find(const struct settings *s, const char *name, struct entry *out)
{
        for (size_t at = 0; entry_at(s, at, out); at = out->end)
                if (strcasecmp(out->name, name) == 0)
                        return true;
        return false;
}

/* Appends at *to, which moves on. */
static void copy(char **to, const char *from, size_t n)
{
        if (n)
                memcpy(*to, from, n);
        *to += n;
}

/* The set with text[begin..end) replaced by one entry, or by nothing if there is no name. The old
 * block lives until all is copied: name and value may point into it. */
static void replace(struct settings **s, size_t begin, size_t end, const char *name,
                    const char *value)
{
        struct settings *old = *s;
        size_t name_size = name ? strlen(name) + 1 : 0, value_size = name ? strlen(value) + 1 : 0;
        size_t size = old ? old->size : 0, count = (old ? old->count : 0) - (begin < end) + !!name;
        struct settings *new = block(size - (end - begin) + name_size + value_size, count);
        char *to = new->text;

        copy(&to, old ? old->text : "", begin);
        copy(&to, name, name_size);
        copy(&to, value, value_size);
        copy(&to, old ? old->text + end : "", size - end);
        settings_unref(old);
        *s = new;
}

void settings_put(struct settings **s, const char *name, const char *value)
{
        struct entry e;
        size_t size = *s ? (*s)->size : 0;

        if (!find(*s, name, &e))
                replace(s, size, size, name, value);
        else if (strcmp(e.value, value) != 0)
                replace(s, e.begin, e.end, e.name, value);
}

void settings_remove(struct settings **s, const char *name)
{
        struct entry e;

        if (find(*s, name, &e))
                replace(s, e.begin, e.end, NULL, NULL);
}

void settings_clear(struct settings **s)
{
        if (*s && (*s)->count == 0)
                return;
        settings_unref(*s);
        *s = settings_new();
}

const char *settings_get(const struct settings *s, const char *name)
{
        struct entry e;

        return find(s, name, &e) ? e.value : NULL;
}

size_t settings_count(const struct settings *s)
{
        return s ? s->count : 0;
}

size_t settings_size(const struct settings *s)
{
        return s ? s->size : 0;
}

bool settings_next(const struct settings *s, size_t *at, const char **name, const char **value)
{
        struct entry e;

        if (!entry_at(s, *at, &e))
                return false;
        *at = e.end;
        *name = e.name;
        *value = e.value;
        return true;
}

bool settings_equal(const struct settings *a, const struct settings *b)
{
        const char *name, *value, *other;

        if (a == b)
                return true;
        if (settings_count(a) != settings_count(b))
                return false;
        for (size_t at = 0; settings_next(a, &at, &name, &value);) {
                other = settings_get(b, name);
                if (!other || strcmp(value, other) != 0)
                        return false;
        }
        return true;
}

static int by_name(const void *a, const void *b)
{
        return strcasecmp(((const struct entry *) a)->name, ((const struct entry *) b)->name);
}

static char lower(char c)
{
        return (char) (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Sorted, since equal sets must give equal keys; with lengths, so that no value can look like the
 * next name. */
char *settings_key(const struct settings *s)
{
        size_t count = settings_count(s), at = 0;
        struct entry *sorted = own_alloc((count + 1) * sizeof *sorted);
        struct bytes key;

        for (size_t i = 0; i < count && entry_at(s, at, &sorted[i]); i++)
                at = sorted[i].end;
        qsort(sorted, count, sizeof *sorted, by_name);
        bytes_init(&key, 0);
        for (size_t i = 0; i < count; i++) {
                bytes_format(&key, "%zu:", strlen(sorted[i].name));
                for (const char *p = sorted[i].name; *p; p++)
                        bytes_append(&key, &(char){lower(*p)}, 1);
                bytes_format(&key, "%zu:%s", strlen(sorted[i].value), sorted[i].value);
        }
        free(sorted);

        char *text = bytes_string(&key);

        bytes_free(&key);
        return text;
}

/* As pg_split_opts() takes it: blanks part the switches, unless a backslash is in front of them. */
static void put_escaped(struct bytes *out, const char *text)
{
        for (; *text; text++) {
                if (strchr(" \t\n\v\f\r\\", *text))
                        bytes_append(out, "\\", 1);
                bytes_append(out, text, 1);
        }
}

void settings_options(const struct settings *s, struct bytes *out)
{
        const char *name, *value;
        for (size_t at = 0; settings_next(s, &at, &name, &value);) {
                bytes_text(out, bytes_length(out) ? " -c " : "-c ");
                put_escaped(out, name);
                bytes_append(out, "=", 1);
                put_escaped(out, value);
        }
}
