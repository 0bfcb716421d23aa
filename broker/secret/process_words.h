/* Of process: a credential_process as words, as AWS's SDKs split it: blanks separate; double and
 * single quotes hold together; a backslash takes the next character as it is (not in single quotes;
 * in double quotes before " and \ only). No variables, no ~, no shell. Pure. */
#ifndef PGB_SECRET_PROCESS_WORDS_H
#define PGB_SECRET_PROCESS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

#define PROCESS_WORDS 64

struct process_words {
        char *text;                             /* holds them all */
        size_t size;
        char *words[PROCESS_WORDS + 1];         /* NULL ends */
        unsigned count;
};

/* False and `e` for an open quote, too many words, or none. */
bool process_words_split(const char *command, struct process_words *out, struct error *e);
void process_words_clear(struct process_words *w);

#endif
