/* The one table of settings: each key of the configuration with its type, limits, default and what
 * it means. Reading, printing, SHOW CONFIG and the page SETTINGS.md all come from it. */
#ifndef PGB_OPS_SETTING_H
#define PGB_OPS_SETTING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whose key it is: the broker's, or each environment's (its path is below environments.NAME). */
enum setting_scope { SETTING_BROKER, SETTING_ENVIRONMENT };

#define SETTING_TYPES(X)                                                                           \
        X(STRING, "text")                                                                          \
        X(BOOL, "true or false")                                                                   \
        X(UNSIGNED, "number")                                                                      \
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
        const char *fallback;           /* the default as one writes it; in a STRING {environment}
                                           stands for the environment's name; "" of a LIST: none */
        uint64_t least, most;           /* UNSIGNED; DURATION: milliseconds */
        const char *const *choices;     /* CHOICE: ends with NULL */
        const char *description;        /* one sentence */
};

/* All of them: those of one scope together, and in it those of one block. */
const struct setting *setting_table(size_t *count);
/* NULL if there is none of this path. */
const struct setting *setting_find(enum setting_scope scope, const char *path);

/* For an unknown `key` in `block` ("" = the scope itself): the key that was probably meant, by its
 * path below the scope. The caller frees it. */
char *setting_nearest(enum setting_scope scope, const char *block, const char *key);
/* Steps from one word to the other: letters put in, left out, changed, or two neighbours swapped.
 * Regards neither case nor the difference of - and _. */
unsigned setting_distance(const char *a, const char *b);

/* The page that describes all settings, as Markdown. */
void setting_describe(FILE *to);

#endif
