/* Cuts SQL text into tokens as PostgreSQL's scanner does: words, numbers, parameters, operators,
 * comments (nested), and what is quoted (sqlquote.h), without keeping the text. It may come in any
 * chunks: the same bytes give the same tokens. Source: PostgreSQL manual, "Lexical Structure".
 *
 * `dull` may be set between tokens: it saves most of the work on most queries. */
#ifndef PGB_WIRE_SQLLEX_H
#define PGB_WIRE_SQLLEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/sqlquote.h"

struct sqllex {
        uint8_t state;
        bool backslashes;       /* '\' escapes in '' strings: standard_conforming_strings is off */
        char sign;
        uint32_t depth;         /* of nested comments */
        bool dull;              /* give only parentheses, semicolons, and words of interest */
        bool skipped;           /* something was not given since this was last false */
        struct sqlquote quote;  /* has the token, too */
};

void sqllex_init(struct sqllex *l, bool backslashes);
/* Gives it the next chunk, which must live until sqllex_next() has returned NULL. */
void sqllex_feed(struct sqllex *l, const char *text, size_t n);
/* The next token, NULL when more text is needed. */
const struct sqltoken *sqllex_next(struct sqllex *l);
/* The same for a text that was fed whole: at its end a semicolon of our own ends what is open; *ended is set
 * then. NULL: that was all. */
const struct sqltoken *sqllex_walk(struct sqllex *l, bool *ended);

/* Is it this word (lower case), not quoted? */
bool sqltoken_is(const struct sqltoken *t, const char *word);
/* The name that a word or quoted identifier stands for, cut as PostgreSQL cuts it. */
void sqltoken_name(const struct sqltoken *t, char name[static SQLTOKEN_KEPT]);

#endif
