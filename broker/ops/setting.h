/* The one table of settings: each key of the configuration with its type, limits, default and what
 * it means. Reading, printing, SHOW CONFIG and the page SETTINGS.md all come from it. */
#ifndef PGB_OPS_SETTING_H
#define PGB_OPS_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"
#include "ops/yaml.h"

/* Whose key it is: the broker's, or each environment's (path below environments.NAME). */
enum setting_scope { SETTING_BROKER, SETTING_ENVIRONMENT };

#define SETTING_TYPES(X)                                                                           \
        X(STRING, "text")                                                                          \
        X(BOOL, "true or false")                                                                   \
        X(UNSIGNED, "whole number")                                                                \
        X(DURATION, "duration")                                                                    \
        X(CHOICE, "choice")                                                                        \
        X(LIST, "list of texts")                                                                   \
        X(MODE, "file mode")
enum setting_type {
#define X(name, text) SETTING_##name,
        SETTING_TYPES(X)
#undef X
};

enum setting_when {
        SETTING_RELOAD,                 /* RELOAD applies a new value */
        SETTING_RESTART,                /* only a restart does */
        SETTING_LATER                   /* not in this version: refused unless it is the default */
};

struct setting {
        const char *path;               /* "pool.pool_size" */
        enum setting_scope scope;
        enum setting_type type;
        enum setting_when when;
        const char *fallback;           /* the default as one writes it; {environment} in it is the name */
        uint64_t least, most;           /* UNSIGNED */
        const char *const *choices;     /* CHOICE: ends with NULL */
        const char *description;        /* one sentence */
};

/* All of them, those of one scope together, those of one block together. */
const struct setting *setting_table(size_t *count);
/* NULL if there is none of this path. */
const struct setting *setting_find(enum setting_scope scope, const char *path);

/* A text or a number, by the setting's type. */
struct setting_value {
        char *text;                     /* STRING; owned by whoever holds the value */
        uint64_t number;                /* UNSIGNED; BOOL 0, 1; DURATION milliseconds; MODE;
                                           CHOICE: place in choices */
};
/* Reads one text (not a LIST). False: it is none of this type; setting_expected() says what is. */
bool setting_read(const struct setting *s, const char *text, struct setting_value *out);
/* "a whole number from 1 to 65535"; the caller frees it. */
char *setting_expected(const struct setting *s);
/* The text that setting_read() takes for the same value; the caller frees it. */
char *setting_write(const struct setting *s, const struct setting_value *v);

/* For an unknown `key` in the block `block` ("" = the scope itself): the path of the key that was
 * probably meant, as it stands below the scope. The caller frees it. */
char *setting_nearest(enum setting_scope scope, const char *block, const char *key);
/* Steps from one word to the other: letters put in, left out, changed, or two swapped. */
unsigned setting_distance(const char *a, const char *b);

/* The page that describes all settings, as Markdown. */
void setting_describe(FILE *to);

#endif
