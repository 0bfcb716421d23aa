#include "wire/sqlset.h"

enum state {
        NAME,                   /* the name, or a part of it, comes */
        NAME_END,               /* behind a part of it */
        VALUE
};

void sqlset_begin(struct sqlset *s, bool reset)
{
        s->state = NAME;
        s->reset = reset;
        s->cut = s->local = s->prefixed = s->zone = s->dotted = false;
        s->size = 0;
        s->name[0] = 0;
}

static enum sqlset_verdict verdict(const struct sqlset *s, enum sqlset_verdict v)
{
        return s->local ? SQLSET_NOTHING : v;
}

static void add(struct sqlset *s, const char *text, size_t n)
{
        for (size_t i = 0; i < n && s->size < SQLSET_NAME - 1; i++) {
                char c = text[i];
                s->name[s->size++] = c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
        }
        s->name[s->size] = 0;
}

static void rename_to(struct sqlset *s, const char *name)
{
        s->size = 0;
        add(s, name, strlen(name));
}

static bool is_word(const struct sqltoken *t)
{
        return t->kind == SQLTOKEN_WORD || t->kind == SQLTOKEN_QUOTED ||
               t->kind == SQLTOKEN_INNER_WORD;
}

static enum sqlset_verdict step_name(struct sqlset *s, const struct sqltoken *t, enum sqlname word)
{
        if (!is_word(t))
                return s->reset ? SQLSET_NOTHING : verdict(s, SQLSET_UNSURE);
        if (s->reset && word == SQLNAME_ALL && !s->dotted)
                return SQLSET_RESET_ALL;
        if (!s->dotted)
                s->head = word;
        /* PostgreSQL cuts identifiers at 63 bytes, too. */
        size_t n = t->length < SQLTOKEN_KEPT ? t->length : SQLTOKEN_KEPT - 1;
        s->cut |= n < t->length || s->size + n > SQLSET_NAME - 1;
        add(s, t->text, n);
        s->state = NAME_END;
        return SQLSET_MORE;
}

static enum sqlset_verdict step_value(struct sqlset *s, const struct sqltoken *t, enum sqlname word)
{
        bool reset = word == SQLNAME_DEFAULT || (s->zone && word == SQLNAME_LOCAL) ||
                     (s->head == SQLNAME_NAMES && t->mark == ';');
        if (reset)
                return s->local ? SQLSET_RESET_LOCAL : SQLSET_RESET;
        return verdict(s, SQLSET_SET);
}

/* Names of two words, the first of which is in `head`. */
static bool two_words(struct sqlset *s, enum sqlname second)
{
        static const struct {
                uint8_t first, second;
                const char *name;
        } table[] = {
                {SQLNAME_TIME, SQLNAME_ZONE, "timezone"},
                {SQLNAME_SESSION, SQLNAME_AUTHORIZATION, "session_authorization"},
                {SQLNAME_SESSION, SQLNAME_CHARACTERISTICS, "session characteristics"},
                {SQLNAME_TRANSACTION, SQLNAME_ISOLATION, "transaction_isolation"},
                {SQLNAME_XML, SQLNAME_OPTION, "xmloption"},
        };
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                if (table[i].first != s->head || table[i].second != second)
                        continue;
                rename_to(s, table[i].name);
                s->zone = s->head == SQLNAME_TIME;
                return true;
        }
        return false;
}

/* Behind a name of one word that neither '=' nor TO follows. */
static enum sqlset_verdict special(struct sqlset *s, const struct sqltoken *t, enum sqlname word)
{
        switch (s->head) {
        case SQLNAME_TRANSACTION:
        case SQLNAME_CONSTRAINTS:
                return SQLSET_NOTHING;
        case SQLNAME_NAMES:
                rename_to(s, "client_encoding");
                return step_value(s, t, word);
        case SQLNAME_SCHEMA:
                rename_to(s, "search_path");
                return step_value(s, t, word);
        case SQLNAME_ROLE:
                return step_value(s, t, word);
        default:
                break;
        }
        if (two_words(s, word)) {
                s->state = VALUE;
                return SQLSET_MORE;
        }
        if (s->prefixed || (s->head != SQLNAME_LOCAL && s->head != SQLNAME_SESSION))
                return verdict(s, SQLSET_UNSURE);
        s->prefixed = true;
        s->local = s->head == SQLNAME_LOCAL;
        s->size = 0;
        return step_name(s, t, word);
}

static enum sqlset_verdict step_name_end(struct sqlset *s, const struct sqltoken *t,
                                         enum sqlname word)
{
        if (t->mark == '.') {
                s->cut |= s->size == SQLSET_NAME - 1;
                add(s, ".", 1);
                s->dotted = true;
                s->state = NAME;
                return SQLSET_MORE;
        }
        if (s->reset) {
                if (!s->dotted)
                        two_words(s, word);
                return SQLSET_RESET;
        }
        if (t->mark != '=' && word != SQLNAME_TO)
                return s->dotted ? verdict(s, SQLSET_UNSURE) : special(s, t, word);
        s->head = SQLNAME_NONE;         /* it is no key word, then */
        s->state = VALUE;
        return SQLSET_MORE;
}

enum sqlset_verdict sqlset_step(struct sqlset *s, const struct sqltoken *t, enum sqlname word)
{
        switch (s->state) {
        case NAME:
                return step_name(s, t, word);
        case NAME_END:
                return step_name_end(s, t, word);
        default:
                return step_value(s, t, word);
        }
}
