/* Reads on behind SET or RESET: which parameter it is about, and whether it keeps its value. */
#ifndef PGB_WIRE_SQLSET_H
#define PGB_WIRE_SQLSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wire/sqlname.h"
#include "wire/sqlquote.h"

#define SQLSET_NAME 192         /* of a parameter; a longer one is cut */

enum sqlset_verdict {
        SQLSET_MORE,            /* tokens are needed */
        SQLSET_SET,
        SQLSET_UNSURE,          /* a SET of it in a form that is not known */
        SQLSET_RESET,           /* RESET, SET ... TO DEFAULT */
        SQLSET_RESET_ALL,
        SQLSET_RESET_LOCAL,     /* SET LOCAL ... TO DEFAULT */
        SQLSET_NOTHING          /* SET LOCAL, SET TRANSACTION, SET CONSTRAINTS */
};

struct sqlset {
        char name[SQLSET_NAME]; /* lower case, with its dots; set with the verdict */
        bool cut;               /* not all of it */

        /* The rest is sqlset.c's. */
        uint8_t state;
        uint8_t head;           /* enum sqlname of the name's first word */
        bool reset, local, prefixed, zone, dotted;
        size_t size;
};

void sqlset_begin(struct sqlset *s, bool reset);
/* The next token (a ';' at the end of the statement), and which word it is. */
enum sqlset_verdict sqlset_step(struct sqlset *s, const struct sqltoken *t, enum sqlname word);

#endif
