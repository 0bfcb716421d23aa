#include "ops/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "base/own.h"

void value_clear(struct value *v)
{
        free(v->text);
        for (size_t i = 0; i < v->count; i++)
                free(v->items[i].text);
        free(v->items);
        v->text = NULL;
        v->items = NULL;
        v->count = 0;
        v->number = 0;
        v->given = false;
}

void value_add(struct value *v, const char *text, struct tree_mark mark)
{
        v->items = own_grow(v->items, (v->count + 1) * sizeof *v->items);
        v->items[v->count++] = (struct value_item){own_string(text), mark};
}

void value_copy(const struct value *v, struct tree_mark mark, struct value *out)
{
        *out = (struct value){.text = own_string(v->text), .number = v->number, .given = v->given};
        out->mark = mark;
        for (size_t i = 0; i < v->count; i++)
                value_add(out, v->items[i].text, mark);
}

/* ---- from text ---- */

/* Digits and nothing else before *end; false also where they are too many for 64 bits. */
static bool read_digits(const char *text, int base, uint64_t *number, char **end)
{
        if (!isdigit((unsigned char) *text))
                return false;
        errno = 0;
        *number = strtoull(text, end, base);
        return errno == 0;
}

static bool read_unsigned(const struct setting *s, const char *text, uint64_t *number)
{
        char *end;

        return read_digits(text, 10, number, &end) && !*end && *number >= s->least &&
               *number <= s->most;
}

static bool read_mode(const struct setting *s, const char *text, uint64_t *number)
{
        size_t length = strlen(text);
        char *end;

        return (length == 3 || length == 4) && read_digits(text, 8, number, &end) && !*end &&
               *number <= s->most;
}

static bool read_bool(const char *text, uint64_t *number)
{
        static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
                if (strcasecmp(text, words[i]) == 0) {
                        *number = i % 2;
                        return true;
                }
        }
        return false;
}

static bool read_duration(const struct setting *s, const char *text, uint64_t *number)
{
        static const struct {
                const char *name;
                uint64_t ms;
        } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
        char *end;

        if (!read_digits(text, 10, number, &end))
                return false;
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
                if (strcmp(end, units[i].name) != 0)
                        continue;
                if (*number > s->most / units[i].ms)
                        return false;
                *number *= units[i].ms;
                return true;
        }
        return false;
}

static bool read_choice(const struct setting *s, const char *text, uint64_t *number)
{
        for (size_t i = 0; s->choices[i]; i++) {
                if (strcmp(s->choices[i], text) == 0) {
                        *number = i;
                        return true;
                }
        }
        return false;
}

/* Anything but a LIST. */
static bool read_text(const struct setting *s, const char *text, struct value *out)
{
        switch (s->type) {
        case SETTING_STRING:
                out->text = own_string(text);
                return true;
        case SETTING_BOOL:
                return read_bool(text, &out->number);
        case SETTING_UNSIGNED:
                return read_unsigned(s, text, &out->number);
        case SETTING_DURATION:
                return read_duration(s, text, &out->number);
        case SETTING_CHOICE:
                return read_choice(s, text, &out->number);
        case SETTING_MODE:
                return read_mode(s, text, &out->number);
        case SETTING_LIST:
                break;
        }
        return false;
}

/* The text with {environment} filled in. */
static char *complete(const char *text, const char *environment)
{
        static const char place[] = "{environment}";
        const char *at = strstr(text, place);

        if (!at)
                return own_string(text);
        return own_format("%.*s%s%s", (int) (at - text), text, environment ? environment : "",
                          at + sizeof place - 1);
}

void value_default(const struct setting *s, const char *environment, struct value *out)
{
        value_clear(out);
        if (s->type == SETTING_LIST)
                return;
        if (s->type == SETTING_STRING)
                out->text = complete(s->fallback, environment);
        else
                expect(read_text(s, s->fallback, out));
}

/* ---- from YAML ---- */

static char *expected_choice(const struct setting *s)
{
        struct bytes list;

        bytes_init(&list, 0);
        for (size_t i = 0; s->choices[i]; i++) {
                const char *between = i == 0 ? "" : s->choices[i + 1] ? ", " : " or ";

                bytes_format(&list, "%s%s", between, *s->choices[i] ? s->choices[i] : "\"\"");
        }

        char *text = bytes_string(&list);

        bytes_free(&list);
        return text;
}

static char *expected(const struct setting *s)
{
        switch (s->type) {
        case SETTING_STRING:
                return own_string("a text (\"\" for none)");
        case SETTING_BOOL:
                return own_string("true or false");
        case SETTING_UNSIGNED:
                return own_format("a whole number from %llu to %llu", (unsigned long long) s->least,
                                  (unsigned long long) s->most);
        case SETTING_DURATION:
                return own_string("a duration such as 250ms, 30s, 10m or 1h, or 0 for off (at most "
                                  "1000h)");
        case SETTING_CHOICE:
                return expected_choice(s);
        case SETTING_MODE:
                return own_string("a file mode of three or four octal digits, such as \"0666\"");
        case SETTING_LIST:
                break;
        }
        return own_string("a list of texts, such as [a, b]");
}

static bool unexpected(const struct setting *s, const struct tree *t, struct error *e)
{
        OWN(free) char *found = tree_describe(t);
        OWN(free) char *wanted = expected(s);

        return tree_error(e, t->mark, "%s: found %s, expected %s", s->path, found, wanted);
}

static bool read_list(const struct setting *s, const struct tree *t, struct value *out,
                      struct error *e)
{
        if (t->kind != TREE_LIST)
                return unexpected(s, t, e);
        for (size_t i = 0; i < t->count; i++) {
                const struct tree *item = t->children[i];

                if (item->kind != TREE_TEXT || !*item->text) {
                        OWN(free) char *found = tree_describe(item);

                        return tree_error(e, item->mark,
                                          "%s: found %s in the list, expected a text", s->path,
                                          found);
                }
                value_add(out, item->text, item->mark);
        }
        return true;
}

static bool refuse_later(const struct setting *s, const struct tree *t,
                         const struct value *fallback, struct error *e)
{
        OWN(free) char *found = tree_describe(t);
        OWN(free) char *written = value_write(s, fallback);

        tree_error(e, t->mark,
                   "%s is not in this version: found %s, expected its default %s or no "
                   "such key",
                   s->path, found, written);
        return error_hint(e, "What the key is for: %s", s->description);
}

static bool read_later(const struct setting *s, const struct tree *t, const char *environment,
                       struct value *out, struct error *e)
{
        struct value fallback = {0};
        bool good = s->type == SETTING_LIST ? read_list(s, t, out, NULL)
                                            : t->kind == TREE_TEXT && read_text(s, t->text, out);

        value_default(s, environment, &fallback);

        OWN(free) char *wanted = value_show(s, &fallback);
        OWN(free) char *found = good ? value_show(s, out) : NULL;

        if (!good || strcmp(found, wanted) != 0)
                good = refuse_later(s, t, &fallback, e);
        value_clear(&fallback);
        return good;
}

bool value_read(const struct setting *s, const struct tree *t, const char *environment,
                struct value *out, struct error *e)
{
        bool good;

        value_clear(out);
        out->given = true;
        out->mark = t->mark;
        if (s->when == SETTING_LATER)
                good = read_later(s, t, environment, out, e);
        else if (s->type == SETTING_LIST)
                good = read_list(s, t, out, e);
        else
                good = (t->kind == TREE_TEXT && read_text(s, t->text, out)) || unexpected(s, t, e);
        if (!good)
                value_clear(out);
        return good;
}

/* ---- to text ---- */

static char *show_duration(uint64_t ms)
{
        if (ms % 1000)
                return own_format("%llums", (unsigned long long) ms);
        return own_format("%llu%s", (unsigned long long) ms / 1000, ms ? "s" : "");
}

static char *show_list(const struct value *v, bool quoted)
{
        struct bytes list;

        bytes_init(&list, 0);
        bytes_text(&list, quoted ? "[" : "");
        for (size_t i = 0; i < v->count; i++) {
                const char *text = v->items[i].text;
                OWN(free) char *item = quoted ? tree_write(text) : own_string(text);

                bytes_format(&list, "%s%s", i ? ", " : "", item);
        }
        bytes_text(&list, quoted ? "]" : "");

        char *all = bytes_string(&list);

        bytes_free(&list);
        return all;
}

char *value_show(const struct setting *s, const struct value *v)
{
        switch (s->type) {
        case SETTING_STRING:
                return own_string(v->text);
        case SETTING_BOOL:
                return own_string(v->number ? "true" : "false");
        case SETTING_UNSIGNED:
                return own_format("%llu", (unsigned long long) v->number);
        case SETTING_DURATION:
                return show_duration(v->number);
        case SETTING_CHOICE:
                return own_string(s->choices[v->number]);
        case SETTING_MODE:
                return own_format("%04llo", (unsigned long long) v->number);
        case SETTING_LIST:
                break;
        }
        return show_list(v, false);
}

char *value_write(const struct setting *s, const struct value *v)
{
        OWN(free) char *shown = NULL;

        if (s->type == SETTING_LIST)
                return show_list(v, true);
        shown = value_show(s, v);
        /* Octal digits in quotes: other readers of YAML take 0666 for 438. */
        if (s->type == SETTING_STRING || s->type == SETTING_MODE || !*shown)
                return tree_write(shown);
        return TAKE(shown);
}
