/* What a client has prepared. The unnamed statement is remembered with its whole Parse message, so
 * that it can be parsed again on another server; a named one pins. Effects of prepared statements
 * count when they are executed, not only when they are parsed. */
#ifndef PGB_TRACK_STATEMENTS_H
#define PGB_TRACK_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "track/settings.h"
#include "wire/frame.h"

#define STATEMENTS_UNNAMED_MAX 8192     /* a longer unnamed statement pins instead */
#define STATEMENTS_NAMES       32       /* of parameters in all of a client's texts; more pin */

/* What texts do: bits of enum sql_effect, and of the kinds of pins they bring. */
struct statement_marks {
        uint32_t effects, pins;
};

struct statements {
        struct statement_marks named;   /* of all named statements together, PREPAREd ones, too */
        struct statement_marks portals; /* of unnamed ones since the server was last quiet */
        struct statement_marks unnamed;
        struct settings *names;         /* parameters that some of these texts SET */
        uint8_t *message;               /* the unnamed one's Parse message ... */
        uint32_t size, room;            /* ... size 0: there is none, or it was too long */
        bool here;                      /* the server has it, or will when it gets to what is sent next */
        bool fresh;                     /* it came to be here since the last Sync was sent: if that ... */
        bool hoped;                     /* ... part fails it is not here: the next one can't count on it */
        bool bound;                     /* what the unnamed portal runs is `unnamed`, for certain */
};

void statements_init(struct statements *s);
void statements_free(struct statements *s);
static inline bool statements_fit(const struct frame_piece *parse)
{
        return frame_whole(parse) && parse->length <= STATEMENTS_UNNAMED_MAX;
}
/* A Parse message, whole and not too long, of the unnamed statement is about to be sent. */
void statements_remember(struct statements *s, const uint8_t *message, size_t size);
void statements_forget(struct statements *s);           /* the unnamed statement is gone */
/* The unnamed statement, or that there is none, was sent along; it is not here any more; a Sync was
 * sent; the server has answered everything. */
void statements_come(struct statements *s);
void statements_go(struct statements *s);
void statements_synced(struct statements *s);
void statements_proved(struct statements *s);
static inline void statements_mark(struct statement_marks *m, uint32_t effects, uint32_t pins)
{
        m->effects |= effects;
        m->pins |= pins;
}

#endif
