#include "wire/sqlquote.h"

#include <strings.h>

enum state {
        OUTSIDE,
        STRING,
        ESCAPE,                 /* behind a backslash */
        TRAIL,                  /* the second byte of a character in a string */
        QUOTE,                  /* a quote in a string: its end, or the first of two */
        GAP,                    /* behind a string: it may go on after a newline */
        GAP_DASH,
        GAP_LINE,               /* a -- comment in the gap */
        TAG,                    /* of a dollar quote */
        BODY,
        BODY_TAG,
        IDENTIFIER,
        IDENTIFIER_QUOTE,
        UNICODE,
        UNICODE_DIGITS
};

const uint8_t sqlquote_traits[256] = {
        [' '] = SQLCHAR_SPACE,
        ['\t' ... '\r'] = SQLCHAR_SPACE,
        [0] = SQLCHAR_SPACE,            /* PostgreSQL refuses a text that goes on behind a NUL */
        ['a' ... 'z'] = SQLCHAR_LETTER | SQLCHAR_IN_WORD | SQLCHAR_IN_TAG,
        ['A' ... 'Z'] = SQLCHAR_LETTER | SQLCHAR_IN_WORD | SQLCHAR_IN_TAG,
        ['_'] = SQLCHAR_LETTER | SQLCHAR_IN_WORD | SQLCHAR_IN_TAG,
        [0x80 ... 0xff] = SQLCHAR_LETTER | SQLCHAR_IN_WORD | SQLCHAR_IN_TAG,
        ['0' ... '9'] = SQLCHAR_DIGIT | SQLCHAR_IN_WORD | SQLCHAR_IN_TAG,
        ['$'] = SQLCHAR_DOLLAR | SQLCHAR_IN_WORD,
        ['\''] = SQLCHAR_APOSTROPHE,
        ['"'] = SQLCHAR_QUOTATION,
        ['-'] = SQLCHAR_MINUS,
        ['/'] = SQLCHAR_SOLIDUS,
        ['('] = SQLCHAR_STRUCTURE,
        [')'] = SQLCHAR_STRUCTURE,
        [';'] = SQLCHAR_STRUCTURE,
};

static inline bool is_newline(char c)
{
        return c == '\n' || c == '\r';
}

static inline size_t left(const struct sqlquote *q)
{
        return (size_t) (q->end - q->at);
}

/* Does this byte take the next one with it? */
static bool is_lead(const struct sqlquote *q, char c)
{
        uint8_t u = (uint8_t) c;
        if (q->encoding == SQLQUOTE_SAFE || u < 0x81)
                return false;
        return q->encoding == SQLQUOTE_DOUBLE || u <= 0x9f || (u >= 0xe0 && u <= 0xfc);
}

static bool move(struct sqlquote *q, enum state state)
{
        q->at++;
        q->state = state;
        return false;
}

static bool inner_mark(struct sqlquote *q, char c)
{
        return q->inner && sqlquote_mark(q, SQLTOKEN_INNER_MARK, c);
}

/* --- strings --- */

void sqlquote_string(struct sqlquote *q, bool escapes, bool plain)
{
        q->escapes = escapes;
        q->plain = plain;
        q->body = q->kept = 0;
        move(q, STRING);
}

bool sqlquote_unicode_string(struct sqlquote *q)
{
        sqlquote_string(q, false, false);
        return inner_mark(q, '\\');
}

static bool end_string(struct sqlquote *q)
{
        q->state = OUTSIDE;
        return sqlquote_give(q, SQLTOKEN_STRING, q->head, q->plain ? q->body : SQLTOKEN_LONG);
}

static void take_body(struct sqlquote *q, const char *p, size_t n)
{
        if (q->body < SQLTOKEN_HEAD) {
                size_t room = SQLTOKEN_HEAD - q->body;
                memcpy(q->head + q->body, p, n < room ? n : room);
        }
        q->body += n;
}

/* Gives the word within the string that ends here, if there is one. */
static bool flush_inner(struct sqlquote *q)
{
        if (q->kept == 0)
                return false;
        size_t length = q->kept;
        q->kept = 0;
        return sqlquote_give(q, SQLTOKEN_INNER_WORD, q->word, length);
}

/* One character within a string. */
static bool take_inner(struct sqlquote *q)
{
        char c = *q->at;
        if (sqlquote_trait(c) & SQLCHAR_IN_TAG) {
                sqlquote_keep(q, q->at, 1);
                take_body(q, q->at++, 1);
                return false;
        }
        if (flush_inner(q))
                return true;
        take_body(q, q->at++, 1);
        return sqlquote_class(c) != SQLCHAR_SPACE && sqlquote_mark(q, SQLTOKEN_INNER_MARK, c);
}

/* Over what has no meaning: up to a quote, a backslash, or half a character. */
static const char *skip_string(const struct sqlquote *q)
{
        const char *p = q->at;
        if (!q->escapes) {
                p = memchr(p, '\'', left(q));
                return p ? p : q->end;
        }
        while (p < q->end && *p != '\'' && *p != '\\' && !is_lead(q, *p))
                p++;
        return p;
}

static bool in_string(struct sqlquote *q)
{
        if (!q->inner) {
                const char *p = skip_string(q);
                take_body(q, q->at, (size_t) (p - q->at));
                q->at = p;
                if (p == q->end)
                        return false;
        }
        char c = *q->at;
        if (c == '\'')
                return flush_inner(q) || move(q, QUOTE);
        if (!q->escapes || (c != '\\' && !is_lead(q, c)))
                return take_inner(q);
        q->plain = false;
        return flush_inner(q) || move(q, c == '\\' ? ESCAPE : TRAIL);
}

/* Behind a backslash. Of the escapes, those for layout hide nothing; \123, \x41, \u0041 may. */
static bool in_escape(struct sqlquote *q)
{
        char c = *q->at;
        if (is_lead(q, c))
                return move(q, TRAIL);
        move(q, STRING);
        return !(c && strchr("bfnrt'\"\\", c)) && inner_mark(q, '\\');
}

static bool in_trail(struct sqlquote *q)
{
        return move(q, STRING);
}

static bool in_quote(struct sqlquote *q)
{
        if (*q->at == '\'') {
                q->plain = false;
                move(q, STRING);
                return inner_mark(q, '\'');
        }
        q->newline = false;
        q->state = GAP;
        return false;
}

static bool in_gap(struct sqlquote *q)
{
        char c = *q->at;
        if (sqlquote_class(c) == SQLCHAR_SPACE) {
                q->newline |= is_newline(c);
                q->at++;
                return false;
        }
        if (c == '-')
                return move(q, GAP_DASH);
        if (c != '\'' || !q->newline)
                return end_string(q);
        q->plain = false;
        move(q, STRING);
        return inner_mark(q, '\\');
}

static bool in_gap_dash(struct sqlquote *q)
{
        if (*q->at == '-')
                return move(q, GAP_LINE);
        return end_string(q);           /* the '-' is lost: something must follow it anyway */
}

static bool in_gap_line(struct sqlquote *q)
{
        while (q->at < q->end && !is_newline(*q->at))
                q->at++;
        if (q->at < q->end)
                q->state = GAP;
        return false;
}

/* --- dollar quotes --- */

void sqlquote_dollar(struct sqlquote *q)
{
        q->tag_length = 0;
        q->tag_hash = 0;
        q->trail = false;
        q->state = TAG;
}

/* What fits is compared byte by byte, the rest by its hash. */
static uint64_t hash_on(uint64_t hash, char c)
{
        return (hash ^ (uint8_t) c) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static bool in_tag(struct sqlquote *q)
{
        char c = *q->at;
        if (c == '$') {
                q->plain = false;
                q->kept = q->body = 0;
                return move(q, BODY);
        }
        if (!q->trail && !(sqlquote_trait(c) & SQLCHAR_IN_TAG)) {
                q->state = OUTSIDE;     /* no quote: PostgreSQL has no use for such a '$' */
                return sqlquote_mark(q, SQLTOKEN_MARK, '$');
        }
        q->trail = !q->trail && is_lead(q, c);
        if (q->tag_length < SQLTOKEN_KEPT)
                q->tag[q->tag_length] = c;
        else
                q->tag_hash = hash_on(q->tag_hash, c);
        q->tag_length++;
        return move(q, TAG);
}

static bool in_body(struct sqlquote *q)
{
        if (!q->inner) {
                const char *p = memchr(q->at, '$', left(q));
                if (!p) {
                        q->at = q->end;
                        return false;
                }
                q->at = p;
        } else if (*q->at != '$') {
                return take_inner(q);
        }
        if (flush_inner(q))
                return true;
        q->tag_at = 0;
        q->tag_at_hash = 0;
        return move(q, BODY_TAG);
}

static bool in_body_tag(struct sqlquote *q)
{
        char c = *q->at;
        if (c == '$') {
                q->at++;
                if (q->tag_at == q->tag_length && q->tag_at_hash == q->tag_hash)
                        return end_string(q);
                q->tag_at = 0;          /* this '$' may begin the right one */
                q->tag_at_hash = 0;
                return false;
        }
        if (q->tag_at == q->tag_length ||
            (q->tag_at < SQLTOKEN_KEPT && c != q->tag[q->tag_at])) {
                q->state = BODY;
                if (q->inner)           /* it was the start of a word */
                        sqlquote_keep(q, q->tag, q->tag_at < SQLTOKEN_KEPT ? q->tag_at : 0);
                return inner_mark(q, '$');
        }
        if (q->tag_at >= SQLTOKEN_KEPT)
                q->tag_at_hash = hash_on(q->tag_at_hash, c);
        q->tag_at++;
        q->at++;
        return false;
}

/* --- quoted identifiers --- */

void sqlquote_identifier(struct sqlquote *q, bool unicode)
{
        q->unicode = unicode;
        q->kept = 0;
        move(q, IDENTIFIER);
}

static bool in_identifier(struct sqlquote *q)
{
        const char *p = q->at;
        while (p < q->end && *p != '"' && !(*p == '\\' && q->unicode))
                p++;
        sqlquote_keep(q, q->at, (size_t) (p - q->at));
        q->at = p;
        return p < q->end && move(q, *p == '"' ? IDENTIFIER_QUOTE : UNICODE);
}

static bool in_identifier_quote(struct sqlquote *q)
{
        if (*q->at == '"') {
                sqlquote_keep(q, "\"", 1);
                return move(q, IDENTIFIER);
        }
        q->state = OUTSIDE;
        return sqlquote_give(q, SQLTOKEN_QUOTED, q->word, q->kept);
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        char lower = (char) (c | 0x20);
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* \0041, \+000041 or \\ */
static bool in_unicode(struct sqlquote *q)
{
        if (*q->at == '\\') {
                sqlquote_keep(q, "\\", 1);
                return move(q, IDENTIFIER);
        }
        q->code = 0;
        q->digits = 4;
        if (*q->at == '+') {
                q->digits = 6;
                return move(q, UNICODE_DIGITS);
        }
        q->state = UNICODE_DIGITS;
        return false;
}

static bool in_unicode_digits(struct sqlquote *q)
{
        int digit = hex_value(*q->at);
        if (digit < 0) {                /* PostgreSQL refuses the text */
                q->state = IDENTIFIER;
                return false;
        }
        q->code = q->code << 4 | (uint32_t) digit;
        if (--q->digits == 0) {
                char c = q->code < 0x80 ? (char) q->code : '?';
                sqlquote_keep(q, &c, 1);
                return move(q, IDENTIFIER);
        }
        return move(q, UNICODE_DIGITS);
}

static bool (*const steps[])(struct sqlquote *q) = {
        [STRING] = in_string,
        [ESCAPE] = in_escape,
        [TRAIL] = in_trail,
        [QUOTE] = in_quote,
        [GAP] = in_gap,
        [GAP_DASH] = in_gap_dash,
        [GAP_LINE] = in_gap_line,
        [TAG] = in_tag,
        [BODY] = in_body,
        [BODY_TAG] = in_body_tag,
        [IDENTIFIER] = in_identifier,
        [IDENTIFIER_QUOTE] = in_identifier_quote,
        [UNICODE] = in_unicode,
        [UNICODE_DIGITS] = in_unicode_digits,
};

bool sqlquote_step(struct sqlquote *q)
{
        return steps[q->state](q);
}

uint8_t sqlquote_encoding(const char *name)
{
        static const char *const names[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"};
        for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++)
                if (strcasecmp(name, names[i]) == 0)
                        return i < 2 ? SQLQUOTE_SJIS : SQLQUOTE_DOUBLE;
        return SQLQUOTE_SAFE;
}
