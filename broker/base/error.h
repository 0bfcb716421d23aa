/* A reason: SQLSTATE, one sentence of cause, one of remedy. It gets context on its way up and is
 * logged or sent once, where it stops. Texts are cut, never overrun; no password ever goes in. */
#ifndef PGB_BASE_ERROR_H
#define PGB_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

struct error {
        char sqlstate[6];       /* five characters, or "" while nothing is set */
        char text[512];         /* the cause, for the MESSAGE field */
        char hint[256];         /* the remedy, for the HINT field; may be "" */
};

/* Sets cause and state; returns false, so `return error_set(e, ...)` reads well. `e` may be NULL. */
bool error_set(struct error *e, const char *sqlstate, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Adds the remedy. */
bool error_hint(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " before the cause. */
bool error_context(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool error_is_set(const struct error *e)
{
        return e->text[0] != 0;
}
/* Nothing is set. Cheaper than {0} where it is done for every message. */
static inline void error_clear(struct error *e)
{
        if (e)
                e->sqlstate[0] = e->text[0] = e->hint[0] = 0;
}

#endif
