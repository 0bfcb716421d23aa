/* What a client has prepared. The unnamed statement is remembered with its whole Parse message, so
 * that it can be parsed again on another server; a named one has a text that it shares. Effects of prepared
 * statements count when they are executed, not only when they are parsed. */
#ifndef PGB_TRACK_STATEMENTS_H
#define PGB_TRACK_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bytes.h"
#include "base/map.h"
#include "track/settings.h"
#include "track/shape.h"
#include "track/texts.h"
#include "wire/frame.h"

#define STATEMENTS_UNNAMED_MAX 8192     /* a longer unnamed statement pins instead */
#define STATEMENTS_SHARED_MAX (16 << 20) /* bytes of a client's texts that go along; more pin */
#define STATEMENTS_NAMES       32       /* of parameters in all of a client's texts; more pin */

/* A name of the client's. */
struct statement {
        struct text *text;              /* NULL: closed, and that is not answered yet */
        uint64_t since : 48;            /* by the texts' clock: the client may count on what it gives from then on */
        uint64_t pending : 14;          /* changes not answered: no more than turns count */
        uint64_t seen : 1, freed : 1;   /* by whoever walks over changes; by a DEALLOCATE that is not answered */
        struct told_shape *told;        /* what the client was told of it; NULL: nothing */
        uint32_t batch;                 /* the server's, of the last change */
        uint32_t barriers;              /* of the client's, when it got its meaning */
};

/* Names in DEALLOCATEs that were sent and are not answered. */
struct deallocated {
        struct bytes names;             /* in order, each with its NUL */
        size_t ready;                   /* of these, how much the server was prepared for */
};

struct statements {
        struct texts *texts;            /* of the pool */
        struct map *by_name;            /* struct statement; NULL: none ever */
        unsigned max;                   /* of the texts on a server; 0: each stays where it was parsed */
        unsigned alone;                 /* of the names, how many only this server has */
        size_t shared;                  /* bytes of the others' texts */
        struct deallocated *deallocated;        /* NULL: none */
        bool barrier;                   /* DEALLOCATE ALL or DISCARD ALL was sent, and is not answered */
        bool dropping, soiling;         /* what is sent now does one of these; may, to one of the broker's own */
        uint32_t dropped;               /* the server's batch in which it was */
        uint32_t barriers;              /* how often */
        struct text_marks named;   /* of all named statements together, PREPAREd ones, too */
        struct text_marks portals; /* of unnamed ones since the server was last quiet */
        struct text_marks unnamed;
        bool two_readings : 1;          /* when that was parsed, '\' may have been an escape */
        bool here : 1;                  /* the server has it, or will when it gets to what is sent next */
        bool fresh : 1;                 /* it came to be here since the last Sync was sent: if that ... */
        bool hoped : 1;                 /* ... part fails it is not here: the next one can't count on it */
        bool bound : 1;                 /* what the unnamed portal runs is `unnamed`, for certain ... */
        struct settings *names;         /* parameters that some of these texts SET */
        uint8_t *message;               /* the unnamed one's Parse message ... */
        uint32_t size, room;            /* ... size 0: there is none, or it was too long */
        char *learning;                 /* the unnamed portal runs this, not known what it gives; or NULL */
        struct text *bound_text;        /* ... or this, for certain; or NULL */
};
#define STATEMENTS_MAX 10000            /* names of one client */
#define STATEMENTS_CLOCK ((1ULL << 48) - 1)
void statements_init(struct statements *s);
void statements_free(struct statements *s);
void statements_deallocate(struct statements *s, const char *name);
void statements_deallocated(struct statements *s);      /* all of them, well or not */
static inline bool statements_fit(const struct frame_piece *parse)
{
        return frame_whole(parse) && parse->length <= STATEMENTS_UNNAMED_MAX;
}
/* Can a named statement go along? Else it pins. */
static inline bool statements_share(const struct statements *s, const struct frame_piece *parse)
{
        return s->max > 0 && frame_whole(parse) && parse->length <= TEXTS_MAX &&
               s->shared + parse->length <= STATEMENTS_SHARED_MAX && texts_room(s->texts);
}
struct statement *statements_find(const struct statements *s, const char *name);        /* NULL: no such name, ever */
/* What it means by the time the server gets to what is sent now; NULL: nothing. */
struct text *statements_meaning(const struct statements *s, const char *name);
static inline struct text *statements_meant(const struct statements *s, const struct statement *one)
{
        return one && !one->freed && (!s->barrier || one->barriers == s->barriers) ? one->text : NULL;
}
/* It hears that a table has changed under one of them: it counts on no older plan. */
void statements_doubt(struct statements *s);
/* What the name means from now on (takes the reference, NULL: nothing); the one that it meant is the caller's. */
struct text *statements_put(struct statements *s, const char *name, struct text *x);
/* What the client was told of it is the caller's now; NULL: nothing. */
struct told_shape *statements_untold(struct statements *s, const char *name);
/* Forgets the name if it means nothing, and nothing of it is pending. */
void statements_tidy(struct statements *s, const char *name);
/* DEALLOCATE ALL is sent: what follows in the same batch is only looked at if it was done. */
static inline void statements_bar(struct statements *s)
{
        s->barrier = s->dropping = true;
        s->barriers++;
}
/* All names that are not pending mean nothing any more. */
void statements_clear(struct statements *s);
unsigned statements_count(const struct statements *s);
/* A Parse message, whole and not too long, of the unnamed statement is about to be sent. */
void statements_remember(struct statements *s, const uint8_t *message, size_t size);
void statements_forget(struct statements *s);           /* the unnamed statement is gone */
/* This is what the unnamed portal runs: the unnamed statement, or this one, or what is not known. fit_bound() goes behind. */
void statements_bound(struct statements *s, bool unnamed, struct text *named);
const char *statements_running(const struct statements *s);     /* its text; NULL: not known */
/* It, or that there is none, was sent along; it is not here any more; a Sync was sent; all is answered. */
void statements_come(struct statements *s);
void statements_go(struct statements *s);
void statements_synced(struct statements *s);
void statements_proved(struct statements *s);
static inline void statements_mark(struct text_marks *m, uint32_t effects, uint32_t pins)
{
        m->effects |= effects;
        m->pins |= pins;
}

#endif
