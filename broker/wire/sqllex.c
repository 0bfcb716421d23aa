#include "wire/sqllex.h"

#include <strings.h>
#include "wire/sqlname.h"

/* Outside of quotes. */
enum state {
        BASE,
        WORD,                   /* a word that began in an earlier chunk */
        U_AMPERSAND,            /* U& */
        NUMBER,
        EXPONENT,               /* 1e: a number's exponent, or a word behind a number */
        EXPONENT_SIGN,
        DIGITS,                 /* of an exponent or a parameter */
        DOLLAR,
        DASH,
        LINE,                   /* -- comment */
        SLASH,
        COMMENT,
        COMMENT_SLASH,
        COMMENT_STAR
};

static bool move(struct sqllex *l, enum state state)
{
        l->quote.at++;
        l->state = state;
        return false;
}

static bool skip(struct sqllex *l)
{
        l->skipped = true;
        return false;
}

/* Back to the base, with a token. */
static bool give_word(struct sqllex *l, const char *text, size_t length)
{
        l->state = BASE;
        if (l->dull && !sqlname_likely(text, length))
                return skip(l);
        return sqlquote_give(&l->quote, SQLTOKEN_WORD, text, length);
}

static bool give_number(struct sqllex *l)
{
        l->state = BASE;
        return l->dull ? skip(l) : sqlquote_give(&l->quote, SQLTOKEN_NUMBER, NULL, 0);
}

static bool give_mark(struct sqllex *l, char c)
{
        l->state = BASE;
        if (l->dull && sqlquote_class(c) != SQLCHAR_STRUCTURE)
                return skip(l);
        return sqlquote_mark(&l->quote, SQLTOKEN_MARK, c);
}

/* What was within quotes; of U&"" it is not known what it spells. */
static bool give_quoted(struct sqllex *l)
{
        const struct sqltoken *t = &l->quote.token;
        if (l->dull && (t->kind == SQLTOKEN_STRING ||
                        (t->kind == SQLTOKEN_QUOTED && !l->quote.unicode &&
                         (t->length == 0 || !sqlname_likely(t->text, t->length)))))
                return skip(l);
        return true;
}

/* --- words and numbers --- */

/* A word has ended where the text is. Some are the prefix of what follows. */
static bool end_word(struct sqllex *l, const char *text, size_t length)
{
        char c = *l->quote.at;
        if (length == 1 && (c == '\'' || c == '&')) {
                char prefix = (char) (*text | 0x20);
                if (c == '&' && prefix == 'u')
                        return move(l, U_AMPERSAND);
                l->state = BASE;
                if (c == '\'' && (prefix == 'e' || prefix == 'b' || prefix == 'x')) {
                        sqlquote_string(&l->quote, prefix == 'e', false);
                        return false;
                }
        }
        return give_word(l, text, length);
}

static inline const char *skip_word(const char *p, const char *end)
{
        while (p < end && sqlquote_trait(*p) & SQLCHAR_IN_WORD)
                p++;
        return p;
}

static bool in_word(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        const char *p = skip_word(q->at, q->end);
        sqlquote_keep(q, q->at, (size_t) (p - q->at));
        q->at = p;
        return p < q->end && end_word(l, q->word, q->kept);
}

static bool in_u_ampersand(struct sqllex *l)
{
        char c = *l->quote.at;
        if (c != '"' && c != '\'')      /* U is a word, and & an operator */
                return give_word(l, "u", 1);
        l->state = BASE;
        if (c == '\'')
                return sqlquote_unicode_string(&l->quote);
        sqlquote_identifier(&l->quote, true);
        return false;
}

static bool in_number(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        while (q->at < q->end && (sqlquote_class(*q->at) == SQLCHAR_DIGIT || *q->at == '.'))
                q->at++;
        if (q->at == q->end)
                return false;
        if (*q->at == 'e' || *q->at == 'E')
                return move(l, EXPONENT);
        return give_number(l);
}

static bool in_exponent(struct sqllex *l)
{
        char c = *l->quote.at;
        if (sqlquote_class(c) == SQLCHAR_DIGIT)
                return move(l, DIGITS);
        if (c == '-' || c == '+') {
                l->sign = c;
                return move(l, EXPONENT_SIGN);
        }
        bool given = give_number(l);
        l->quote.kept = 0;              /* 1else: the 'e' begins a word */
        sqlquote_keep(&l->quote, "e", 1);
        l->state = WORD;
        return given;
}

static bool in_exponent_sign(struct sqllex *l)
{
        if (sqlquote_class(*l->quote.at) == SQLCHAR_DIGIT)
                return move(l, DIGITS);
        bool given = give_word(l, "e", 1);
        l->state = l->sign == '-' ? DASH : BASE;
        return given;
}

static bool in_digits(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        while (q->at < q->end && sqlquote_class(*q->at) == SQLCHAR_DIGIT)
                q->at++;
        return q->at < q->end && give_number(l);
}

static bool in_dollar(struct sqllex *l)
{
        char c = *l->quote.at;
        if (sqlquote_class(c) == SQLCHAR_DIGIT)
                return move(l, DIGITS);
        if (c != '$' && sqlquote_class(c) != SQLCHAR_LETTER)
                return give_mark(l, '$');
        l->state = BASE;
        sqlquote_dollar(&l->quote);
        return false;
}

/* --- comments --- */

static bool in_dash(struct sqllex *l)
{
        return *l->quote.at == '-' ? move(l, LINE) : give_mark(l, '-');
}

static bool in_line(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        while (q->at < q->end && *q->at != '\n' && *q->at != '\r')
                q->at++;
        if (q->at < q->end)
                l->state = BASE;
        return false;
}

static bool in_slash(struct sqllex *l)
{
        if (*l->quote.at != '*')
                return give_mark(l, '/');
        l->depth = 1;
        return move(l, COMMENT);
}

static bool in_comment(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        while (q->at < q->end && *q->at != '*' && *q->at != '/')
                q->at++;
        return q->at < q->end && move(l, *q->at == '*' ? COMMENT_STAR : COMMENT_SLASH);
}

static bool in_comment_slash(struct sqllex *l)
{
        char c = *l->quote.at;
        if (c == '/')
                return move(l, COMMENT_SLASH);
        if (c == '*')
                l->depth++;
        return move(l, COMMENT);
}

static bool in_comment_star(struct sqllex *l)
{
        char c = *l->quote.at;
        if (c == '*')
                return move(l, COMMENT_STAR);
        return move(l, c == '/' && --l->depth == 0 ? BASE : COMMENT);
}

/* --- between tokens --- */

/* At a character that is neither a space nor a letter. */
static bool begin_other(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        switch (sqlquote_class(*q->at)) {
        case SQLCHAR_DIGIT:
                return move(l, NUMBER);
        case SQLCHAR_APOSTROPHE:
                sqlquote_string(q, l->backslashes, true);
                return false;
        case SQLCHAR_QUOTATION:
                sqlquote_identifier(q, false);
                return false;
        case SQLCHAR_DOLLAR:
                return move(l, DOLLAR);
        case SQLCHAR_MINUS:
                return move(l, DASH);
        case SQLCHAR_SOLIDUS:
                return move(l, SLASH);
        default:
                return give_mark(l, *q->at++);
        }
}

/* Most of a query passes here, in registers. A word that lies within the chunk is not copied. */
static bool in_base(struct sqllex *l)
{
        struct sqlquote *q = &l->quote;
        const char *p = q->at, *end = q->end;
        for (;;) {
                while (p < end && sqlquote_class(*p) == SQLCHAR_SPACE)
                        p++;
                q->at = p;
                if (p == end)
                        return false;
                if (sqlquote_class(*p) != SQLCHAR_LETTER)
                        return begin_other(l);
                const char *text = p;
                p = skip_word(p, end);
                size_t length = (size_t) (p - text);
                q->at = p;
                if (p == end) {
                        q->kept = 0;
                        sqlquote_keep(q, text, length);
                        l->state = WORD;
                        return false;
                }
                if (!l->dull || length == 1 || sqlname_likely(text, length))
                        return end_word(l, text, length);
                l->skipped = true;
        }
}

/* One step takes some characters, or moves to another state, or gives a token (true). */
static bool (*const steps[])(struct sqllex *l) = {
        [BASE] = in_base,
        [WORD] = in_word,
        [U_AMPERSAND] = in_u_ampersand,
        [NUMBER] = in_number,
        [EXPONENT] = in_exponent,
        [EXPONENT_SIGN] = in_exponent_sign,
        [DIGITS] = in_digits,
        [DOLLAR] = in_dollar,
        [DASH] = in_dash,
        [LINE] = in_line,
        [SLASH] = in_slash,
        [COMMENT] = in_comment,
        [COMMENT_SLASH] = in_comment_slash,
        [COMMENT_STAR] = in_comment_star,
};

static inline bool step(struct sqllex *l)
{
        if (l->quote.state != 0)
                return sqlquote_step(&l->quote) && give_quoted(l);
        return l->state == BASE ? in_base(l) : steps[l->state](l);
}

void sqllex_init(struct sqllex *l, bool backslashes)
{
        memset(l, 0, offsetof(struct sqllex, quote.head));
        l->backslashes = backslashes;
}

void sqllex_feed(struct sqllex *l, const char *text, size_t n)
{
        l->quote.at = text;
        l->quote.end = text + n;
}

const struct sqltoken *sqllex_next(struct sqllex *l)
{
        while (l->quote.at < l->quote.end)
                if (step(l))
                        return &l->quote.token;
        return NULL;
}

const struct sqltoken *sqllex_walk(struct sqllex *l, bool *ended)
{
        const struct sqltoken *t = sqllex_next(l);
        if (t || *ended)
                return t;
        *ended = true;
        sqllex_feed(l, ";", 1);
        return sqllex_next(l);
}

bool sqltoken_is(const struct sqltoken *t, const char *word)
{
        return t->kind == SQLTOKEN_WORD && t->length == strlen(word) &&
               strncasecmp(t->text, word, t->length) == 0;
}

void sqltoken_name(const struct sqltoken *t, char name[static SQLTOKEN_KEPT])
{
        size_t n = t->length < SQLTOKEN_KEPT ? t->length : SQLTOKEN_KEPT - 1;
        for (size_t i = 0; i < n; i++) {
                char c = t->text[i];
                name[i] = t->kind == SQLTOKEN_WORD && c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
        }
        name[n] = 0;
}
