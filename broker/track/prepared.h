/* The named statements that one server connection has, by what was sent to it, and what of that is not
 * answered yet: an error in the extended protocol takes back all that was sent up to the next Sync. */
#ifndef PGB_TRACK_PREPARED_H
#define PGB_TRACK_PREPARED_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/map.h"
#include "track/shape.h"
#include "track/texts.h"

/* A statement that a server has, or will have when it gets to what was sent. */
struct prepared_one {
        struct list link;               /* of `recent` */
        struct text *text;
        uint32_t pending, batch;        /* changes not answered yet; the batch of the last */
        uint64_t proved;                /* by the texts' clock: till then it gave what a new Parse would have given; 0: never */
        struct shape shape;             /* as the server described it since it was parsed */
        bool seen;                      /* by whoever walks over changes */
};

/* What is to be answered: a change on the server, of what a client's name means, or both; or a Describe, that
 * changes nothing. */
struct prepared_change {
        char *name;                     /* the client's; NULL: the broker's own business */
        struct text *before;            /* what the client's name meant, NULL: nothing */
        struct text *text;              /* that is parsed or closed on the server; NULL: none */
        uint64_t proved;                /* as what the server had before */
        bool parse;                     /* else closed */
        bool had;                       /* the server had it before */
        bool doomed;                    /* it must fail: the client has that name already */
        struct told_shape *told;        /* what the client was told of the one before */
        struct text *described;         /* NULL: it is no Describe */
        char *whose;                    /* the client's name of it; NULL: the broker asks for itself */
};

struct prepared {
        struct map *there;              /* text's name -> struct prepared_one; NULL: none ever */
        struct list recent;             /* used last first; not those of one client alone */
        unsigned count, max;            /* of these */
        uint32_t batch;                 /* Syncs sent */
        struct prepared_change *changes;
        uint32_t change_first, change_count, change_room;
        struct told_shape *coming;      /* half of a Describe's answer; or NULL */
};

void prepared_init(struct prepared *p);
void prepared_free(struct prepared *p);
/* NULL: the server does not have it. */
struct prepared_one *prepared_find(const struct prepared *p, const struct text *x);
/* It is used: it goes last when room is needed. */
void prepared_use(struct prepared *p, struct prepared_one *one);
/* It is being parsed; it was not there. */
struct prepared_one *prepared_add(struct prepared *p, struct text *x);
void prepared_remove(struct prepared *p, struct prepared_one *one);
/* The one to close for room, NULL: there is room, or all are in use. */
struct prepared_one *prepared_oldest(const struct prepared *p);
/* A table has changed under one of them, or is hidden by another, nobody knows which. */
void prepared_doubt(struct prepared *p);
/* A change was skipped: what was there before has not proved more, up to the first from the `i`th on that parses it. */
void prepared_unproved(struct prepared *p, uint32_t i, const struct prepared_change *ch);
/* All that is not pending is gone: DEALLOCATE ALL. */
void prepared_clear(struct prepared *p);
/* A change is being sent: takes its references. */
void prepared_sent(struct prepared *p, const struct prepared_change *change);
static inline struct prepared_change *prepared_change(const struct prepared *p, uint32_t i)
{
        return &p->changes[p->change_first + i];
}
/* The first that parses, or closes, this text, from the `i`th on; NULL: none. */
struct prepared_change *prepared_next(const struct prepared *p, uint32_t i, const struct text *x, bool parse);
/* Takes away the first. */
struct prepared_change prepared_answered(struct prepared *p);
void prepared_change_free(struct prepared_change *c);

#endif
