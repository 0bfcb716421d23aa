/* What a client's message is, and what session state it would touch. */
#ifndef PGB_TRACK_LOOK_H
#define PGB_TRACK_LOOK_H

#include "base/error.h"
#include "track/state.h"
#include "wire/frame.h"

enum track_verdict {
        TRACK_FORWARD,
        TRACK_SWALLOW,
        TRACK_ANSWER,                   /* the broker answers: ReadyForQuery, nothing is sent */
        TRACK_ASK,                      /* not before the server has answered fit_ask(): offer it again then */
        TRACK_WAIT,                     /* not before more has been answered: offer it again then */
        TRACK_GOODBYE,                  /* Terminate */
        TRACK_BAD                       /* protocol violation: see error */
};

/* What track_look() found; kept by the caller until track_send(). */
struct track_request {
        uint8_t type;
        bool begins, ends, whole;
        struct text_marks marks;   /* of its text */
        uint32_t pins;                  /* kinds this message would add to what is held */
        bool unnamed;                   /* Parse, Bind, Describe, Close of the unnamed statement */
        bool named;                     /* the same of a named one */
        bool portal;                    /* Bind, Describe, Execute: the unnamed portal */
};

/* Judges a piece of a client's message. `t` is the server the client has, or NULL. */
enum track_verdict track_look(struct track_client *c, const struct track_server *t,
                              const struct frame_piece *piece, struct track_request *out,
                              struct error *e);

/* May a message of this type create something temporary without a word of it? The search_path says so, or the
 * answer what it is is still to come. */
static inline bool look_creates_unnamed(const struct track_client *c, uint8_t type)
{
        bool may = c->temporary_path || (c->asked && c->pins.kinds & PIN_BIT(PIN_TEMP));
        return may && (type == 'Q' || type == 'E' || type == 'F');
}

/* The message is being sent: its effects take hold. `executed`: they also happen now (a Query; a
 * Parse only prepares). Of a message in pieces this is the first. */
void look_apply(struct track_client *c, const struct track_server *t, const struct track_request *r,
                const struct frame_piece *piece, bool executed);
/* The messages that bring what the text means by EXECUTE; how many it means. */
unsigned look_namesakes(const struct track_client *c, const struct track_request *r,
                        const struct frame_piece *piece, struct bytes *out);
/* The following pieces; true at the last. */
bool look_continue(struct track_client *c, const struct track_server *t,
                   const struct frame_piece *piece);
/* A message whose first piece was judged is not sent after all. */
void look_drop(struct track_client *c);
/* An Execute is being sent: what was prepared earlier happens now. */
void look_execute(struct track_client *c, const struct track_server *t,
                  const struct track_request *r);

#endif
