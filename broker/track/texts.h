/* The texts of named prepared statements, shared by all clients of a pool: the same text with the same
 * parameter types is one statement on a server, whoever prepared it, under a name of the broker's; as long
 * as the parameters by which PostgreSQL reads a text are the same: '1/2/2026'::date is one day or another. */
#ifndef PGB_TRACK_TEXTS_H
#define PGB_TRACK_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/own.h"

#define TEXTS_PREFIX "pgbroker_"        /* of the names on servers; 0 is nobody's */
/* Is it one of these? */
static inline bool text_name(const char *name)
{
        return strncmp(name, TEXTS_PREFIX, sizeof TEXTS_PREFIX - 1) == 0;
}
#define TEXTS_MAX    65536              /* bytes of a text that is shared; a longer one stays where it is */
#define TEXTS_ALL_MAX (256 << 20)       /* bytes of all that a pool's clients share; more stay where they are, too */

/* What texts do: bits of enum sql_effect, and of the kinds of pins they bring. */
struct text_marks {
        uint32_t effects, pins;
};

struct text {
        struct texts *texts;
        uint32_t holders;
        struct text_marks marks;
        char name[32];
        bool inferred;                  /* the server finds out the types of its parameters */
        bool edition;                   /* of a text: for those who were told that it is this */
        char *key;                      /* NULL: of one client alone, on one server; it has no body */
        size_t size;
        uint8_t body[];                 /* of its Parse message, behind the name */
};

struct texts *texts_new(void);
void texts_free(struct texts *t);       /* no text may be held; NULL is fine */
/* Their clock: it goes on when a client has something prepared, or learns that it must be prepared anew. */
uint64_t texts_tick(struct texts *t);
uint64_t text_now(const struct text *x);
bool texts_room(const struct texts *t); /* for another one */
/* A client asks for currval() or lastval(): from now on what one had of sequences is kept from the next. */
void texts_ask_sequences(struct texts *t);
bool texts_asked_sequences(const struct texts *t);
/* The text whose Parse message has this body, read in this `way`, NULL: in one that nobody knows, so that it
 * is shared with no other Parse; the caller holds it. */
struct text *texts_share(struct texts *t, const char *way, const uint8_t *body, size_t size,
                         struct text_marks marks);
/* The same text, by itself for those who were told that it is this (a digest), with this body; the caller holds it. */
struct text *texts_edition(struct text *x, uint64_t told, const uint8_t *body, size_t size);
/* Was it read this way? One that nobody shares always was. */
bool text_read_so(const struct text *x, const char *way);
/* One that nobody shares. */
struct text *texts_alone(struct texts *t, struct text_marks marks);
struct text *text_ref(struct text *x);  /* NULL is fine */
void text_unref(struct text *x);

OWN_DEFINE(struct text, text_unref)

#endif
