#include "wire/sqlbrief.h"

#include <string.h>
#include "wire/sqllex.h"

struct brief {
        char *out;
        size_t size, length;
        bool full;
        char before;                    /* the last character that was put */
        bool marks;                     /* it was an operator's */
        bool setting;                   /* the statement is a SET */
        bool value;                     /* ... and has come to what it sets */
};

static void put(struct brief *b, const char *text, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (b->length + 5 > b->size) {          /* room for the dots and a NUL */
                        b->full = true;
                        return;
                }
                b->before = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
                b->out[b->length++] = b->before;
        }
}

static void put_word(struct brief *b, const char *text, size_t n)
{
        if (b->length && !strchr("(.:[@", b->before))
                put(b, " ", 1);
        put(b, text, n);
        b->marks = false;
}

static void put_quoted(struct brief *b, const struct sqltoken *t)
{
        size_t n = t->length < SQLTOKEN_KEPT ? t->length : SQLTOKEN_KEPT;
        put_word(b, "\"", 1);
        put(b, t->text, n);
        put(b, "\"", 1);
}

static void put_mark(struct brief *b, char mark)
{
        bool tight = strchr("(),.;:[]@", mark);
        if (!tight && b->length && !b->marks && !strchr("(.:[@", b->before))
                put(b, " ", 1);
        put(b, &mark, 1);
        b->marks = !tight;
}

/* In `SET name = value, value` or `SET name TO value`. */
static bool is_value(struct brief *b, const struct sqltoken *t)
{
        if (!b->setting || b->value)
                return b->value;
        b->value = sqltoken_is(t, "to") || t->mark == '=';
        return false;
}

static void put_token(struct brief *b, const struct sqltoken *t)
{
        bool first = b->length == 0;
        if (is_value(b, t) && t->kind != SQLTOKEN_MARK) {
                put_word(b, "?", 1);
                return;
        }
        switch (t->kind) {
        case SQLTOKEN_WORD:
                b->setting = b->setting || (first && sqltoken_is(t, "set"));
                put_word(b, t->text, t->length < SQLTOKEN_KEPT ? t->length : SQLTOKEN_KEPT);
                break;
        case SQLTOKEN_QUOTED:
                put_quoted(b, t);
                break;
        case SQLTOKEN_MARK:
                put_mark(b, t->mark);
                break;
        default:
                put_word(b, "?", 1);
        }
}

size_t sqlbrief(const char *sql, size_t n, char *out, size_t size)
{
        struct brief b = {.out = out, .size = size};
        struct sqllex l;
        size_t depth = 0, used = n;
        bool ended = false;
        const struct sqltoken *t;
        sqllex_init(&l, false);
        sqllex_feed(&l, sql, n);
        while ((t = sqllex_walk(&l, &ended))) {
                depth += t->mark == '(';
                depth -= t->mark == ')' && depth > 0;
                if (t->kind == SQLTOKEN_MARK && t->mark == ';' && (depth == 0 || ended)) {
                        used = ended ? n : (size_t) (l.quote.at - sql);
                        break;
                }
                if (!b.full)
                        put_token(&b, t);
        }
        if (b.full) {
                memcpy(out + b.length, "...", 3);
                b.length += 3;
        }
        out[b.length] = '\0';
        return used;
}
