/* A text of commands, cut into statements and those into words. */
#ifndef PGB_OPS_COMMAND_WORDS_H
#define PGB_OPS_COMMAND_WORDS_H

#include "base/error.h"
#include "wire/sqllex.h"

#define COMMAND_WORDS 16 /* words of a statement that are kept */

struct command_reader {
        struct sqllex lex;
        const char *text;
        size_t size;
        bool at_end; /* the text is used up, its last word may still come */
        bool over;
        bool former; /* columns of older PgBouncers are wanted, too */
};

struct command_words {
        size_t count; /* all of them, kept or not */
        struct command_word {
                uint8_t kind;                 /* enum sqltoken_kind */
                bool cut;                     /* it was longer */
                char text[SQLTOKEN_KEPT + 1]; /* as written; of a string: "" */
                const char *behind;           /* what follows it in the text */
        } word[COMMAND_WORDS];
        const char *end; /* of the statement in the text */
};

/* The text must live as long as the reader. */
void command_reader_init(struct command_reader *r, const char *text, size_t size);
/* The words of the next statement that has any. False: there is none, or `e` is set. */
bool command_words(struct command_reader *r, struct command_words *out, struct error *e);

/* How many words of `pattern` ("SHUTDOWN WAIT_FOR_CLIENTS") the statement starts with, in any case:
 * all of them, or 0. */
size_t command_starts(const struct command_words *w, const char *pattern);
static inline bool command_is(const struct command_words *w, const char *pattern)
{
        return w->count && command_starts(w, pattern) == w->count;
}
/* The text behind word `after`, without blanks around it. False: there is none, or it is too long. */
bool command_rest(const struct command_words *w, size_t after, char *text, size_t size);
/* Joins what stands from word `from` on: a name, however it is written (prod, "prod", prod-eu).
 * False if it is no name. */
bool command_name(const struct command_words *w, size_t from, char *name, size_t size);

#endif
