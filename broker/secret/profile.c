#include "secret/profile.h"

#include <string.h>
#include <strings.h>
#include "base/sealed.h"

struct section {
        const char *kind, *name; /* "" and "default"; "profile" and "ci"; "services" and "local" */
};

struct entry {
        size_t section;
        const char *outer, *key, *value; /* outer: the key that it is indented under, or NULL */
};

/* Everything points into `text`, so that one wipe gets it all. */
struct profile {
        char *text;
        size_t size;
        struct section *sections;
        size_t section_count, section_room;
        struct entry *entries;
        size_t entry_count, entry_room;
};

struct parse {
        struct profile *profile;
        struct error *e;
        unsigned line;
        const char *outer; /* the last key that was not indented under another one */
        bool nests;        /* it had no value: lines indented further are its own */
        size_t indent;     /* how far it was indented */
};

static char *skip_blanks(char *s)
{
        return s + strspn(s, " \t");
}

static void cut_blanks(char *s)
{
        size_t n = strlen(s);

        while (n > 0 && strchr(" \t\r", s[n - 1]))
                s[--n] = 0;
}

/* A comment begins with # or ; after a blank. */
static void cut_comment(char *s)
{
        for (char *c = s; *c; c++)
                if ((*c == '#' || *c == ';') && c > s && (c[-1] == ' ' || c[-1] == '\t')) {
                        *c = 0;
                        return;
                }
}

static bool complain(struct parse *p, const char *what)
{
        return error_set(p->e, "08001", "line %u: %s", p->line, what);
}

/* ---- Sections ---- */

static void add_section(struct profile *p, const char *kind, const char *name)
{
        if (p->section_count == p->section_room) {
                p->section_room = p->section_room ? p->section_room * 2 : 8;
                p->sections = own_grow(p->sections, p->section_room * sizeof *p->sections);
        }
        p->sections[p->section_count++] = (struct section){kind, name};
}

static char *unquote(char *s)
{
        size_t n = strlen(s);

        if (n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n - 1] == s[0]) {
                s[n - 1] = 0;
                return s + 1;
        }
        return s;
}

static bool known_kind(const char *word)
{
        return strcmp(word, "profile") == 0 || strcmp(word, "services") == 0 ||
               strcmp(word, "sso-session") == 0;
}

/* "[profile ci]" is of the kind "profile"; "[my ci]" is just a name with a blank in it. */
static bool parse_section(struct parse *p, char *s)
{
        char *end = strchr(s, ']');
        static const char no_kind[] = "";

        if (!end)
                return complain(p, "a section without its ]");
        *end = 0;
        s = skip_blanks(s + 1);
        cut_blanks(s);

        size_t word = strcspn(s, " \t");
        char *rest = skip_blanks(s + word);
        bool two = *rest;

        if (two)
                s[word] = 0;
        if (two && known_kind(s)) {
                add_section(p->profile, s, unquote(rest));
        } else {
                if (two)
                        s[word] = ' ';
                if (!*s)
                        return complain(p, "a section without a name");
                add_section(p->profile, no_kind, unquote(s));
        }
        p->outer = NULL;
        p->nests = false;
        return true;
}

/* ---- Entries ---- */

static void add_entry(struct profile *p, const char *outer, const char *key, const char *value)
{
        if (p->entry_count == p->entry_room) {
                p->entry_room = p->entry_room ? p->entry_room * 2 : 32;
                p->entries = own_grow(p->entries, p->entry_room * sizeof *p->entries);
        }
        p->entries[p->entry_count++] = (struct entry){p->section_count - 1, outer, key, value};
}

static bool parse_entry(struct parse *p, char *s, size_t indent)
{
        bool inner = p->outer && indent > p->indent;

        /* The further lines of a long value: nothing that we look for has any. */
        if (inner && !p->nests)
                return true;

        char *equals = strchr(s, '=');

        if (!equals || equals == s)
                return complain(p, "expected [section] or key = value");
        if (p->profile->section_count == 0)
                return complain(p, "a key before the first [section]");
        *equals = 0;
        cut_blanks(s);

        char *value = skip_blanks(equals + 1);

        /* With the blank before it, for "key = # comment" has a comment and no value. */
        cut_comment(equals + 1);
        cut_blanks(value);
        add_entry(p->profile, inner ? p->outer : NULL, s, value);
        if (!inner) {
                p->outer = s;
                p->nests = !*value;
                p->indent = indent;
        }
        return true;
}

static bool parse_line(struct parse *p, char *line)
{
        char *s = skip_blanks(line);

        cut_blanks(s);
        if (!*s || *s == '#' || *s == ';')
                return true;
        return *s == '[' ? parse_section(p, s) : parse_entry(p, s, (size_t) (s - line));
}

struct profile *profile_parse(const char *text, size_t size, struct error *e)
{
        static const char mark[] = "\xef\xbb\xbf"; /* what some editors begin a UTF-8 file with */
        OWN(profile_free) struct profile *p = own_new(struct profile);
        struct parse parse = {.profile = p, .e = e};

        if (size > 0 && memchr(text, 0, size)) {
                error_set(e, "08001", "it holds a NUL character");
                return NULL;
        }
        p->text = own_text(text, size);
        p->size = size;

        char *at = p->text + (strncmp(p->text, mark, 3) == 0 ? 3 : 0);

        while (at) {
                char *line = strsep(&at, "\n");

                parse.line++;
                if (!parse_line(&parse, line))
                        return NULL;
        }
        return TAKE(p);
}

void profile_free(struct profile *p)
{
        if (!p)
                return;
        sealed_wipe(p->text, p->size);
        free(p->text);
        free(p->sections);
        free(p->entries);
        free(p);
}

/* ---- Looking up ---- */

static bool is_section(const struct section *s, const char *kind, const char *name)
{
        return strcmp(s->kind, kind) == 0 && strcmp(s->name, name) == 0;
}

bool profile_has(const struct profile *p, const char *kind, const char *name)
{
        for (size_t i = 0; i < p->section_count; i++)
                if (is_section(&p->sections[i], kind, name))
                        return true;
        return false;
}

static bool is_entry(const struct entry *e, const char *outer, const char *key)
{
        if (!outer != !e->outer || (outer && strcasecmp(outer, e->outer) != 0))
                return false;
        return strcasecmp(e->key, key) == 0;
}

const char *profile_get(const struct profile *p, const char *kind, const char *name,
                        const char *outer, const char *key)
{
        const char *value = NULL;

        for (size_t i = 0; i < p->entry_count; i++)
                if (is_section(&p->sections[p->entries[i].section], kind, name) &&
                    is_entry(&p->entries[i], outer, key))
                        value = p->entries[i].value;
        return value && *value ? value : NULL;
}
