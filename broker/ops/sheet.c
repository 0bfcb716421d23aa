#include "ops/sheet.h"

#include <stdarg.h>
#include <string.h>
#include "base/expect.h"

struct sheet {
        enum setting_scope scope;
        char *environment;
        struct tree_mark mark;
        size_t count;
        const struct setting *settings; /* those of the scope: a part of the table */
        struct value values[];          /* as many, in the same order */
};

/* ---- its life ---- */

struct sheet *sheet_new(enum setting_scope scope, const char *environment, struct tree_mark mark)
{
        size_t all, begin = 0, count = 0;
        const struct setting *table = setting_table(&all);

        while (table[begin].scope != scope)
                begin++;
        while (begin + count < all && table[begin + count].scope == scope)
                count++;

        struct sheet *s = own_alloc(sizeof *s + count * sizeof *s->values);

        s->scope = scope;
        s->environment = own_string(environment);
        s->mark = mark;
        s->count = count;
        s->settings = table + begin;
        for (size_t i = 0; i < count; i++)
                value_default(&s->settings[i], environment, &s->values[i]);
        return s;
}

struct sheet *sheet_copy(const struct sheet *s, struct tree_mark mark)
{
        struct sheet *copy = sheet_new(s->scope, s->environment, mark);

        for (size_t i = 0; i < s->count; i++) {
                value_clear(&copy->values[i]);
                value_copy(&s->values[i], mark, &copy->values[i]);
        }
        return copy;
}

void sheet_free(struct sheet *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->count; i++)
                value_clear(&s->values[i]);
        free(s->environment);
        free(s);
}

/* ---- asking ---- */

static size_t place_of(const struct sheet *s, const char *path)
{
        const struct setting *setting = setting_find(s->scope, path);

        expect(setting != NULL);
        return (size_t) (setting - s->settings);
}

const char *sheet_environment(const struct sheet *s)
{
        return s->environment;
}

const struct value *sheet_value(const struct sheet *s, const char *path)
{
        return &s->values[place_of(s, path)];
}

const char *sheet_text(const struct sheet *s, const char *path)
{
        size_t place = place_of(s, path);

        expect(s->settings[place].type == SETTING_STRING);
        return s->values[place].text;
}

uint64_t sheet_number(const struct sheet *s, const char *path)
{
        size_t place = place_of(s, path);

        expect(s->settings[place].type != SETTING_STRING &&
               s->settings[place].type != SETTING_LIST);
        return s->values[place].number;
}

struct tree_mark sheet_mark(const struct sheet *s, const char *path)
{
        const struct value *v = sheet_value(s, path);

        return v->given ? v->mark : s->mark;
}

bool sheet_error(const struct sheet *s, const char *path, struct error *e, const char *format, ...)
{
        OWN(free) char *text = NULL;
        va_list args;

        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        expect(n >= 0);
        return tree_error(e, sheet_mark(s, path), "%s: %s", path, text);
}

/* ---- changing ---- */

void sheet_put(struct sheet *s, const char *path, const char *text, struct tree_mark mark)
{
        size_t place = place_of(s, path);
        struct value *v = &s->values[place];

        expect(s->settings[place].type == SETTING_STRING);

        char *copy = own_string(text);

        value_clear(v);
        v->text = copy;
        v->given = true;
        v->mark = mark;
}

void sheet_add(struct sheet *s, const char *path, const char *item, struct tree_mark mark)
{
        size_t place = place_of(s, path);

        expect(s->settings[place].type == SETTING_LIST);
        value_add(&s->values[place], item, mark);
}

bool sheet_read(struct sheet *s, const char *path, const struct tree *t, struct error *e)
{
        size_t place = place_of(s, path);

        return value_read(&s->settings[place], t, s->environment, &s->values[place], e);
}

/* Is `path` the beginning of others? */
static bool is_block(const struct sheet *s, const char *path)
{
        size_t length = strlen(path);

        for (size_t i = 0; i < s->count; i++)
                if (strncmp(s->settings[i].path, path, length) == 0 &&
                    s->settings[i].path[length] == '.')
                        return true;
        return false;
}

static bool unknown_key(const struct sheet *s, const char *block, const struct tree *t,
                        struct error *e)
{
        OWN(free) char *path = own_format("%s%s%s", block, *block ? "." : "", t->key);
        OWN(free) char *quoted = tree_quote(path);
        OWN(free) char *nearest = setting_nearest(s->scope, block, t->key);

        tree_error(e, t->key_mark, "found the unknown key %s, expected \"%s\" (the nearest one)",
                   quoted, nearest);
        return error_hint(e, "pgbrokerd --print-config shows every key.");
}

static bool fill_block(struct sheet *s, const char *block, const struct tree *map, struct error *e);

static bool fill_one(struct sheet *s, const char *block, const struct tree *t, struct error *e)
{
        OWN(free) char *path = own_format("%s%s%s", block, *block ? "." : "", t->key);
        const struct setting *setting = setting_find(s->scope, path);

        /* "pool.pool_size" as one key would be a second way to write it. */
        if (strchr(t->key, '.'))
                return unknown_key(s, block, t, e);
        if (setting)
                return value_read(setting, t, s->environment, &s->values[setting - s->settings], e);
        if (s->scope == SETTING_BROKER && strcmp(path, "environments") == 0)
                return true;
        if (!is_block(s, path))
                return unknown_key(s, block, t, e);
        if (t->kind != TREE_MAP && t->kind != TREE_NOTHING) {
                OWN(free) char *found = tree_describe(t);
                OWN(free) char *example = setting_nearest(s->scope, path, "");

                return tree_error(e, t->mark, "%s: found %s, expected keys and values, such as %s",
                                  path, found, example);
        }
        return fill_block(s, path, t, e);
}

static bool fill_block(struct sheet *s, const char *block, const struct tree *map, struct error *e)
{
        for (size_t i = 0; i < map->count; i++)
                if (!fill_one(s, block, map->children[i], e))
                        return false;
        return true;
}

bool sheet_fill(struct sheet *s, const struct tree *map, struct error *e)
{
        if (map->kind == TREE_MAP || map->kind == TREE_NOTHING)
                return fill_block(s, "", map, e);

        OWN(free) char *found = tree_describe(map);

        return tree_error(e, map->mark, "found %s, expected keys and values", found);
}

/* ---- showing ---- */

/* How much of a path, in whole blocks, is the same in both; the last word is no block. */
static size_t common_blocks(const char *a, const char *b)
{
        size_t common = 0;

        for (size_t i = 0; a[i] && a[i] == b[i]; i++)
                if (a[i] == '.')
                        common = i + 1;
        return common;
}

/* The heads of the blocks that the line before was not in, then the last word. */
static void print_path(const char *path, const char *before, unsigned indent, FILE *to)
{
        size_t common = common_blocks(path, before);

        for (size_t i = 0; i < common; i++)
                indent += path[i] == '.' ? 2 : 0;
        for (const char *word = path + common;;) {
                size_t length = strcspn(word, ".");

                fprintf(to, "%*s%.*s:", (int) indent, "", (int) length, word);
                if (!word[length])
                        return;
                fputc('\n', to);
                word += length + 1;
                indent += 2;
        }
}

void sheet_print(const struct sheet *s, unsigned indent, FILE *to)
{
        const char *before = "";

        for (size_t i = 0; i < s->count; i++) {
                OWN(free) char *written = value_write(&s->settings[i], &s->values[i]);

                print_path(s->settings[i].path, before, indent, to);
                fprintf(to, " %s\n", written);
                before = s->settings[i].path;
        }
}

void sheet_rows(const struct sheet *s,
                void (*row)(void *arg, const struct setting *setting, const char *value,
                            const char *fallback),
                void *arg)
{
        for (size_t i = 0; i < s->count; i++) {
                struct value fallback = {0};

                value_default(&s->settings[i], s->environment, &fallback);

                OWN(free) char *shown = value_show(&s->settings[i], &s->values[i]);
                OWN(free) char *usual = value_show(&s->settings[i], &fallback);

                row(arg, &s->settings[i], shown, usual);
                value_clear(&fallback);
        }
}
