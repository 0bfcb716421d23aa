/* Reads on within the parentheses of set_config(): which parameter it is about, and whether it is
 * plainly local to the transaction. */
#ifndef PGB_WIRE_SQLCONFIG_H
#define PGB_WIRE_SQLCONFIG_H

#include <stdbool.h>
#include "wire/sqlname.h"
#include "wire/sqlquote.h"

struct sqlconfig {
        char name[SQLTOKEN_HEAD];       /* the first argument, lower case; "": it is not a plain string */

        /* The rest is sqlconfig.c's. */
        uint8_t argument, tokens;       /* which one is read, how many tokens it had */
        bool named, plain;              /* the first is one string; the third one true */
        bool null;                      /* the second is NULL: a RESET */
        bool column;                    /* the first is the word `name` ... */
        uint8_t followed;               /* ... and so many words that say which row are read */
};

enum sqlconfig_verdict {
        SQLCONFIG_MORE,
        SQLCONFIG_KNOWN,                /* `name` has it */
        SQLCONFIG_UNKNOWN
};

void sqlconfig_begin(struct sqlconfig *c);
/* The next token, and which word it is; `outer`: a comma here separates the arguments. */
void sqlconfig_step(struct sqlconfig *c, const struct sqltoken *t, enum sqlname word, bool outer);
/* The parenthesis is closed, or the text is over. True: plainly local. */
bool sqlconfig_end(struct sqlconfig *c);
/* Behind set_config(name, ...), if `column` is set: the next token, up to the statement's semicolon. pg_dump
 * and others SET what only some servers know with `... FROM pg_settings WHERE name = 'parameter'`. */
enum sqlconfig_verdict sqlconfig_follow(struct sqlconfig *c, const struct sqltoken *t);

#endif
