/* All settings of one scope with their values: the broker's, or those of one environment. Starts
 * with the defaults, is filled from YAML, and knows where each value came from. */
#ifndef PGB_OPS_SHEET_H
#define PGB_OPS_SHEET_H

#include <stdbool.h>
#include <stdio.h>
#include "base/error.h"
#include "base/own.h"
#include "ops/setting.h"
#include "ops/value.h"
#include "ops/tree.h"

struct sheet;

/* `environment`: its name, for defaults that contain it; NULL for the broker's. `mark`: where the
 * whole of it stands, which is where a value that was not given seems to stand. */
struct sheet *sheet_new(enum setting_scope scope, const char *environment, struct tree_mark mark);
/* The same values, all of them given at `mark`. */
struct sheet *sheet_copy(const struct sheet *s, struct tree_mark mark);
void sheet_free(struct sheet *s);               /* NULL is fine */
OWN_DEFINE(struct sheet, sheet_free)

/* Takes the values that stand in a map (NOTHING is an empty one). The broker's sheet leaves out the
 * key `environments`. False and `e`: a key that there is not, or a wrong value. */
bool sheet_fill(struct sheet *s, const struct tree *map, struct error *e);

const char *sheet_environment(const struct sheet *s);
/* Paths must be in the table; these never give NULL. */
const struct value *sheet_value(const struct sheet *s, const char *path);
const char *sheet_text(const struct sheet *s, const char *path);        /* STRING */
uint64_t sheet_number(const struct sheet *s, const char *path); /* all but STRING and LIST */
struct tree_mark sheet_mark(const struct sheet *s, const char *path);
/* Sets `e`: where the value stands, its path, and the message; returns false. */
bool sheet_error(const struct sheet *s, const char *path, struct error *e, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Changes from elsewhere than the file. */
void sheet_put(struct sheet *s, const char *path, const char *text, struct tree_mark mark);
/* What stands at `t`, as sheet_fill() would take it. */
bool sheet_read(struct sheet *s, const char *path, const struct tree *t, struct error *e);
void sheet_add(struct sheet *s, const char *path, const char *item, struct tree_mark mark);

/* As YAML, each line after `indent` spaces. */
void sheet_print(const struct sheet *s, unsigned indent, FILE *to);
/* One call for each setting, in the table's order. The texts live during the call. */
void sheet_rows(const struct sheet *s,
                void (*row)(void *arg, const struct setting *setting, const char *value,
                            const char *fallback),
                void *arg);

#endif
