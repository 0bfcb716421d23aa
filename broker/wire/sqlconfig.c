#include "wire/sqlconfig.h"

#include <strings.h>

void sqlconfig_begin(struct sqlconfig *c)
{
        c->name[0] = 0;
        c->argument = c->tokens = 0;
        c->named = c->plain = false;
}

static void step_name(struct sqlconfig *c, const struct sqltoken *t)
{
        c->named = c->tokens == 0 && t->kind == SQLTOKEN_STRING && t->length < sizeof c->name;
        if (!c->named)
                return;
        for (size_t i = 0; i < t->length; i++)
                c->name[i] = (char) (t->text[i] >= 'A' && t->text[i] <= 'Z' ? t->text[i] | 0x20 : t->text[i]);
        c->name[t->length] = 0;
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
