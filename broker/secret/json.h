/* JSON from outside: jansson with an allocator that wipes what it frees, and complaints that give
 * the place and never the text (jansson's own quote what they stumbled over). */
#ifndef PGB_SECRET_JSON_H
#define PGB_SECRET_JSON_H

#include <stddef.h>
#include <jansson.h>
#include "base/error.h"
#include "base/own.h"

/* Any JSON value. NULL and `e` (08001) if it isn't one: no duplicate keys, valid UTF-8, nothing
 * behind it. "\u0000" inside a value is let through for the caller to refuse by name. */
json_t *json_read(const char *text, size_t size, struct error *e);
json_t *json_new_object(void);
/* "a number", "an array", ...: what was found instead. */
const char *json_kind(const json_t *value);

OWN_DEFINE(json_t, json_decref)

#endif
