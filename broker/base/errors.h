/* The last distinct errors of a place, counted: so that what fails again and again can be seen at a
 * glance. Two are the same if they differ in nothing but digits: pids and seconds always do. */
#ifndef PGB_BASE_ERRORS_H
#define PGB_BASE_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#define ERRORS_KEPT 32  /* distinct ones; a new one takes the place of the one unseen for longest */
#define ERRORS_TEXT 256 /* of the text, its NUL included */

struct errors_one {
        const char *source; /* a literal */
        char sqlstate[6];
        char text[ERRORS_TEXT]; /* as it was the last time */
        uint64_t count;         /* 0: there is none here */
        int64_t last;           /* seconds since 1970 */
        uint64_t order;
};

/* A zeroed one is empty. */
struct errors {
        struct errors_one kept[ERRORS_KEPT];
        uint64_t order;
};

/* `source` must be a literal. */
void errors_note(struct errors *e, const char *source, const char *sqlstate, const char *text,
                 int64_t now);
/* The one noted last is number 0; NULL past the oldest. */
const struct errors_one *errors_get(const struct errors *e, size_t i);

#endif
