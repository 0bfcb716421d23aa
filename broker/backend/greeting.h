/* What a server says of itself at login, read out of libpq's trace of the messages: its
 * BackendKeyData and the names of all parameters that it reports; libpq tells neither otherwise.
 * Pure. Of all other lines nothing is kept: some releases of libpq trace passwords. */
#ifndef PGB_BACKEND_GREETING_H
#define PGB_BACKEND_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"

struct greeting {
        uint32_t pid, key;
        bool has_key;
        struct bytes names;             /* each with its NUL */
        char line[160];                 /* the line being read, as far as it fits */
        size_t used;
        bool cut;
};

void greeting_init(struct greeting *g);
void greeting_free(struct greeting *g);         /* wipes the line */

/* The next n characters of a trace without time stamps, cut anywhere. */
void greeting_read(struct greeting *g, const char *p, size_t n);

/* Walks over the parameters' names: `*at` starts as 0; NULL at the end. */
const char *greeting_next(const struct greeting *g, size_t *at);

#endif
