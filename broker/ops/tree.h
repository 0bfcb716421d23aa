/* One YAML document as a tree in which every value knows where it stands. Only what a configuration
 * needs: texts, lists and maps; anchors, aliases and tags are refused, so are duplicate keys. */
#ifndef PGB_OPS_TREE_H
#define PGB_OPS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/own.h"

enum {
        TREE_SIZE = 1 << 20,            /* bytes of a file */
        TREE_DEPTH = 12,                /* maps and lists inside each other */
        TREE_VALUES = 50000             /* texts, lists and maps altogether */
};

enum tree_kind { TREE_NOTHING, TREE_TEXT, TREE_LIST, TREE_MAP };

/* A place in a file; line and column count from 1. Line 0: no file but the words in `file`, e.g.
 * "--allow". */
struct tree_mark {
        const char *file;               /* borrowed from the caller of tree_read() */
        unsigned line, column;
};

struct tree {
        enum tree_kind kind;            /* NOTHING: empty, ~ or null, not in quotes */
        struct tree_mark mark;
        char *key;                      /* in a map; else NULL */
        struct tree_mark key_mark;
        char *text;                     /* TEXT */
        struct tree **children;         /* LIST, MAP: in the order of the file */
        size_t count;
};

/* NULL and `e` if it is not one such document; an empty text gives NOTHING. */
struct tree *tree_read(const char *file, const char *text, size_t size, struct error *e);
/* What a file holds, which the caller frees; it stops just past TREE_SIZE. NULL and `e`. */
char *tree_load(const char *file, size_t *size, struct error *e);
void tree_free(struct tree *t);         /* NULL is fine */
OWN_DEFINE(struct tree, tree_free)

/* The value of `key` in a map; NULL if it has none, or is no map. */
const struct tree *tree_child(const struct tree *map, const char *key);
/* What stands there, for a message: `"abc"`, `a list`, `nothing`. The caller frees it. */
char *tree_describe(const struct tree *t);
/* A text in quotes for a message: cut where it is long, without control characters. The
 * caller frees it. */
char *tree_quote(const char *text);

/* A text in quotes for a YAML file: it reads back as the same text. The caller frees it. */
char *tree_write(const char *text);

/* Sets `e` (F0000): "file:line:column: " and then the message; returns false. */
bool tree_error(struct error *e, struct tree_mark mark, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
