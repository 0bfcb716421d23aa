/* What a client has prepared. The unnamed statement is remembered with its whole Parse message, so
 * that it can be parsed again on another server; a named one pins. Effects of prepared statements
 * count when they are executed, not only when they are parsed. */
#ifndef PGB_TRACK_STATEMENTS_H
#define PGB_TRACK_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENTS_UNNAMED_MAX 8192     /* a longer unnamed statement pins instead */

struct statements {
        uint32_t named_effects;         /* bits of enum sql_effect, of all named statements together */
        uint32_t unnamed_effects;
        uint8_t *unnamed;               /* the Parse message, NULL if there is none or it was too long */
        uint32_t unnamed_size, unnamed_room;
        uint32_t owed;                  /* Parses that the server has not answered yet ... */
        uint32_t place;                 /* ... and which of them is the remembered one; 0: it is accepted */
        bool here;                      /* the server that is held has it (or failed to) */
};

void statements_init(struct statements *s);
void statements_free(struct statements *s);
/* A whole Parse message of the unnamed statement is about to be sent. */
void statements_remember(struct statements *s, const uint8_t *message, size_t size);
void statements_forget(struct statements *s);           /* the unnamed statement is gone */
/* A Parse was sent. */
void statements_sent(struct statements *s, bool unnamed);
/* The next Parse was accepted; or so many were not, for an error. */
void statements_accepted(struct statements *s);
void statements_refused(struct statements *s, uint32_t count);

#endif
