/* One YAML document as a tree in which every value knows where it stands. Only what a configuration
 * needs: texts, lists and maps; anchors, aliases and tags are refused, so are duplicate keys. */
#ifndef PGB_OPS_YAML_H
#define PGB_OPS_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/own.h"

enum {
        YAML_SIZE = 1 << 20,            /* bytes of a file */
        YAML_DEPTH = 12,                /* maps and lists inside each other */
        YAML_VALUES = 50000             /* texts, lists and maps altogether */
};

enum yaml_kind { YAML_NOTHING, YAML_TEXT, YAML_LIST, YAML_MAP };

/* A place in a file; line and column count from 1. Line 0: no file but the words in `file`, e.g.
 * "--allow". */
struct yaml_mark {
        const char *file;               /* borrowed from the caller of yaml_read() */
        unsigned line, column;
};

struct yaml {
        enum yaml_kind kind;            /* NOTHING: empty, ~ or null, not in quotes */
        struct yaml_mark mark;
        char *key;                      /* in a map; else NULL */
        struct yaml_mark key_mark;
        char *text;                     /* TEXT */
        struct yaml **children;         /* LIST, MAP: in the order of the file */
        size_t count;
};

/* NULL and `e` if it is not one such document; an empty text gives NOTHING. */
struct yaml *yaml_read(const char *file, const char *text, size_t size, struct error *e);
/* The text of a file of YAML_SIZE at most, which the caller frees; NULL and `e` (it names the file). */
char *yaml_load(const char *file, size_t *size, struct error *e);
void yaml_free(struct yaml *y);         /* NULL is fine */
OWN_DEFINE(struct yaml, yaml_free)

/* The value of `key` in a map; NULL if it has none, or is no map. */
const struct yaml *yaml_child(const struct yaml *map, const char *key);
/* What stands there, for a message: `"abc"`, `a list`, `nothing`. The caller frees it. */
char *yaml_describe(const struct yaml *y);
/* A text in quotes for a message: cut where it is long, without control characters. */
char *yaml_quote(const char *text);

/* Sets `e` (F0000): "file:line:column: " and then the message; returns false. */
bool yaml_error(struct error *e, struct yaml_mark mark, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
