/* The insides of quotes in SQL text: strings of all kinds with their continuation over lines,
 * dollar quotes, quoted identifiers. Nothing of a string is kept but its first bytes; on request
 * the words within are given, too. Source: PostgreSQL manual, "Lexical Structure". */
#ifndef PGB_WIRE_SQLQUOTE_H
#define PGB_WIRE_SQLQUOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum sqltoken_kind {
        SQLTOKEN_WORD,          /* key word or identifier, as written: fold it to lower case */
        SQLTOKEN_QUOTED,        /* "identifier", decoded */
        SQLTOKEN_STRING,        /* a string has ended; text is set if it was a short '' */
        SQLTOKEN_NUMBER,        /* number or parameter */
        SQLTOKEN_MARK,          /* any other character */
        SQLTOKEN_INNER_WORD,    /* within a string, while `inner` is set */
        SQLTOKEN_INNER_MARK     /* the same; '\\' = an escape may hide a word here */
};

#define SQLTOKEN_KEPT 64        /* bytes kept of a word; of a longer one `length` still tells */
#define SQLTOKEN_HEAD 64        /* bytes kept of a plain string: a parameter's name fits */
#define SQLTOKEN_LONG SIZE_MAX  /* length of a string that isn't plain */

struct sqltoken {
        const char *text;       /* not NUL-terminated; lives until the next step */
        size_t length;
        uint8_t kind;           /* enum sqltoken_kind */
        char mark;
};

/* Which bytes above 0x7f take a second byte that may look like ASCII. */
enum sqlquote_encoding {
        SQLQUOTE_SAFE,          /* none: all encodings that a server can have */
        SQLQUOTE_SJIS,
        SQLQUOTE_DOUBLE         /* BIG5, GBK, UHC, GB18030, JOHAB */
};
uint8_t sqlquote_encoding(const char *name);    /* NULL: not known, SAFE */

struct sqlquote {
        struct sqltoken token;
        const char *at, *end;   /* the text that is left of this chunk */
        bool inner;             /* give the words within strings; set it between tokens */
        uint8_t encoding;       /* enum sqlquote_encoding, of the client */

        uint8_t state;          /* 0: outside of quotes */
        bool escapes, plain, newline, unicode, trail;
        uint8_t digits;         /* of a unicode escape: still to come */
        uint32_t code;
        size_t kept;            /* the word's length so far */
        size_t body;            /* the string's length so far */
        size_t tag_length, tag_at;
        uint64_t tag_hash, tag_at_hash; /* of what doesn't fit `tag` */
        char head[SQLTOKEN_HEAD];
        char tag[SQLTOKEN_KEPT];
        char word[SQLTOKEN_KEPT];
};

/* At the opening quote; `plain` strings may be read from the token. */
void sqlquote_string(struct sqlquote *q, bool escapes, bool plain);
void sqlquote_identifier(struct sqlquote *q, bool unicode);
/* Behind a dollar sign that a '$' or a letter follows. */
void sqlquote_dollar(struct sqlquote *q);
/* U&'' */
bool sqlquote_unicode_string(struct sqlquote *q);
/* Within quotes: takes some characters; true: `token` is set. */
bool sqlquote_step(struct sqlquote *q);

/* What a character starts, and what it may go on with. */
enum sqlchar {
        SQLCHAR_OTHER,
        SQLCHAR_SPACE,
        SQLCHAR_LETTER,
        SQLCHAR_DIGIT,
        SQLCHAR_APOSTROPHE,
        SQLCHAR_QUOTATION,
        SQLCHAR_DOLLAR,
        SQLCHAR_MINUS,
        SQLCHAR_SOLIDUS,
        SQLCHAR_STRUCTURE,      /* ( ) ; */
        SQLCHAR_CLASS = 0x0f,
        SQLCHAR_IN_WORD = 0x10, /* may go on an identifier */
        SQLCHAR_IN_TAG = 0x20   /* may go on a dollar quote's tag */
};
extern const uint8_t sqlquote_traits[256];

static inline uint8_t sqlquote_trait(char c)
{
        return sqlquote_traits[(uint8_t) c];
}
static inline uint8_t sqlquote_class(char c)
{
        return sqlquote_trait(c) & SQLCHAR_CLASS;
}

static inline bool sqlquote_give(struct sqlquote *q, enum sqltoken_kind kind, const char *text,
                                 size_t length)
{
        q->token = (struct sqltoken){.text = text, .length = length, .kind = (uint8_t) kind};
        return true;
}
static inline bool sqlquote_mark(struct sqlquote *q, enum sqltoken_kind kind, char c)
{
        q->token = (struct sqltoken){.kind = (uint8_t) kind, .mark = c};
        return true;
}
static inline void sqlquote_keep(struct sqlquote *q, const char *p, size_t n)
{
        if (q->kept < SQLTOKEN_KEPT) {
                size_t room = SQLTOKEN_KEPT - q->kept;
                memcpy(q->word + q->kept, p, n < room ? n : room);
        }
        q->kept += n;
}

#endif
