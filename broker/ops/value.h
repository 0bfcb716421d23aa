/* One setting's value: read from YAML, checked against its type, written again. */
#ifndef PGB_OPS_VALUE_H
#define PGB_OPS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "ops/setting.h"
#include "ops/tree.h"

struct value_item {
        char *text;
        struct tree_mark mark;
};

/* A zeroed one is no text, the number 0, and an empty list. */
struct value {
        char *text;                     /* STRING */
        uint64_t number;                /* UNSIGNED; BOOL 0 or 1; DURATION milliseconds; MODE;
                                           CHOICE: place in setting->choices */
        struct value_item *items;       /* LIST */
        size_t count;
        bool given;                     /* else it is the default */
        struct tree_mark mark;          /* where it was given */
};

/* What stands at `t`. False and `e` if it is none of the setting's type, or is out of its limits,
 * or the setting is not in this version and this is not its default (`environment` completes
 * that). `out` was zeroed or read before. */
bool value_read(const struct setting *s, const struct tree *t, const char *environment,
                struct value *out, struct error *e);
/* The setting's default. */
void value_default(const struct setting *s, const char *environment, struct value *out);
/* Adds to a LIST. */
void value_add(struct value *v, const char *text, struct tree_mark mark);
/* The same value, given at `mark`. `out` was zeroed. */
void value_copy(const struct value *v, struct tree_mark mark, struct value *out);
void value_clear(struct value *v);      /* frees what it holds */

/* As YAML that value_read() takes for the same; as people read it (SHOW CONFIG). The caller frees
 * them. */
char *value_write(const struct setting *s, const struct value *v);
char *value_show(const struct setting *s, const struct value *v);

#endif
