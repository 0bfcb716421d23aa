#include "secret/json.h"

#include <malloc.h>
#include <string.h>
#include "base/sealed.h"

/* By the usable size, so that memory from plain malloc() (jansson used by others before us) may
 * come here too. */
static void wiping_free(void *p)
{
        if (p)
                explicit_bzero(p, malloc_usable_size(p));
        free(p);
}

/* Set anew each time, for the process has no other moment that surely comes first. */
static void wipe_from_now_on(void)
{
        json_set_alloc_funcs(malloc, wiping_free);
}

json_t *json_new_object(void)
{
        wipe_from_now_on();
        return json_object();
}

static const char *complaint(enum json_error_code code)
{
        switch (code) {
        case json_error_invalid_utf8:
                return "text that is not UTF-8";
        case json_error_premature_end_of_input:
                return "it ends too early";
        case json_error_end_of_input_expected:
                return "something stands behind its end";
        case json_error_null_byte_in_key:
                return "a NUL character in a key";
        case json_error_duplicate_key:
                return "a key that was there before";
        case json_error_numeric_overflow:
                return "a number that is too large";
        case json_error_stack_overflow:
                return "it is nested too deeply";
        default:
                return "a syntax error (often a missing quote or a comma too many)";
        }
}

json_t *json_read(const char *text, size_t size, struct error *e)
{
        json_error_t at;

        wipe_from_now_on();
        if (size == 0) {
                error_set(e, "08001", "not valid JSON: it is empty");
                return NULL;
        }

        json_t *value = json_loadb(text, size,
                                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &at);

        if (!value)
                error_set(e, "08001", "not valid JSON: line %d, column %d: %s", at.line, at.column,
                          complaint(json_error_code(&at)));
        sealed_wipe(&at, sizeof at);
        return value;
}

const char *json_kind(const json_t *value)
{
        if (!value)
                return "nothing";
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "an object";
        case JSON_ARRAY:
                return "an array";
        case JSON_STRING:
                return "text";
        case JSON_INTEGER:
        case JSON_REAL:
                return "a number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "true or false";
        default:
                return "null";
        }
}
