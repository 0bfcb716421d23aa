#include "wire/sqlconfig.h"

#include <strings.h>
#include "wire/sqllex.h"

void sqlconfig_begin(struct sqlconfig *c)
{
        c->name[0] = 0;
        c->argument = c->tokens = c->followed = 0;
        c->named = c->plain = c->column = c->null = false;
}

static bool keep_name(struct sqlconfig *c, const struct sqltoken *t)
{
        if (t->kind != SQLTOKEN_STRING || t->length >= sizeof c->name)
                return false;
        for (size_t i = 0; i < t->length; i++)
                c->name[i] = (char) (t->text[i] >= 'A' && t->text[i] <= 'Z' ? t->text[i] | 0x20 : t->text[i]);
        c->name[t->length] = 0;
        return true;
}

static void step_name(struct sqlconfig *c, const struct sqltoken *t)
{
        c->named = c->tokens == 0 && keep_name(c, t);
        c->column = c->tokens == 0 && sqltoken_is(t, "name");
}

/* What the third argument may be made of, and nothing else. */
static bool is_true(const struct sqltoken *t, enum sqlname word)
{
        static const char *const words[] = {"t", "true", "on", "y", "yes", "1"};
        if (t->kind == SQLTOKEN_WORD)
                return word == SQLNAME_TRUE;
        if (t->kind != SQLTOKEN_STRING)
                return false;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
                if (t->length == strlen(words[i]) && strncasecmp(t->text, words[i], t->length) == 0)
                        return true;
        return false;
}

void sqlconfig_step(struct sqlconfig *c, const struct sqltoken *t, enum sqlname word, bool outer)
{
        if (outer && t->mark == ',') {
                c->argument += c->argument < 3;
                c->tokens = 0;
                return;
        }
        if (c->argument == 0)
                step_name(c, t);
        else if (c->argument == 1)
                c->null = c->tokens == 0 && sqltoken_is(t, "null");
        else if (c->argument == 2)
                c->plain = c->tokens == 0 && is_true(t, word);
        c->tokens = 1;
}

bool sqlconfig_end(struct sqlconfig *c)
{
        if (!c->named)
                c->name[0] = 0;
        return c->argument == 2 && c->plain;
}

enum sqlconfig_verdict sqlconfig_follow(struct sqlconfig *c, const struct sqltoken *t)
{
        static const char *const words[] = {"from", "pg_settings", "where", "name", "="};
        enum { VALUE = sizeof words / sizeof *words, END };
        const unsigned at = c->followed++;
        if (at == END)
                return t->mark == ';' && c->name[0] ? SQLCONFIG_KNOWN : SQLCONFIG_UNKNOWN;
        bool fits = at == VALUE          ? keep_name(c, t)
                    : *words[at] == '='  ? t->mark == '='
                                         : sqltoken_is(t, words[at]);
        return fits ? SQLCONFIG_MORE : SQLCONFIG_UNKNOWN;
}
