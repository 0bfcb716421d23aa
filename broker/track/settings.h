/* Session parameters with their values: a small set, counted and shared until someone writes
 * (thousands of clients that connect alike share one). Names compare without regard to case. NULL
 * reads as an empty set and becomes one when written. */
#ifndef PGB_TRACK_SETTINGS_H
#define PGB_TRACK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/bytes.h"
#include "base/own.h"

struct settings;

struct settings *settings_new(void);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s);                /* NULL is fine */

/* Writes go through the caller's pointer: a shared set is copied first. */
void settings_put(struct settings **s, const char *name, const char *value);
void settings_remove(struct settings **s, const char *name);
void settings_clear(struct settings **s);

const char *settings_get(const struct settings *s, const char *name);  /* NULL if absent */
size_t settings_count(const struct settings *s);
size_t settings_size(const struct settings *s);         /* bytes of all names and values */
/* Walks in the order of first putting: `*at` starts as 0; false at the end. Pointers are good until
 * the set is written. */
bool settings_next(const struct settings *s, size_t *at, const char **name, const char **value);
/* Same names, same values. */
bool settings_equal(const struct settings *a, const struct settings *b);
/* Names and values as one text, for use as a key; the caller frees it. */
char *settings_key(const struct settings *s);
/* As command-line switches, "-c name=value ...", which startup_options() reads back. */
void settings_options(const struct settings *s, struct bytes *out);

OWN_DEFINE(struct settings, settings_unref)

#endif
