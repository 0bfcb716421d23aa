/* A client that was told what a named statement takes and gives may count on that: it sends its parameters in
 * binary by their types, and takes the rows for what they were. On a connection of its own PostgreSQL keeps it so: a
 * statement's parameters never change, and it fails ("cached plan must not change result type") when its rows have.
 * A server where the text was parsed again knows nothing of that: after a table was changed, or by a client with
 * another search_path, or with a temporary table that hides one. So before a Bind goes to a server where it is not
 * known what the statement is there, the server is asked, and the Bind waits for the answer: once for each text on
 * each server. If it is something else, the client gets an edition of its own, which it shares with those who were
 * told the same, parsed with the parameters' types that it knows; if the rows of that are others, they have changed,
 * and the Bind fails as PostgreSQL would have it. Part of named, on its own for its size. */
#ifndef PGB_TRACK_FIT_H
#define PGB_TRACK_FIT_H

#include "track/state.h"
#include "wire/frame.h"

/* Must the server be asked before this Bind is sent? */
bool fit_must_ask(const struct track_client *c, const struct track_server *t, const struct frame_piece *bind);
/* Must it wait for what was sent before, so that it can be asked then? */
bool fit_must_wait(const struct track_client *c, const struct track_server *t, const struct frame_piece *bind);
/* Appends the question: c->check is ASKED then, else offer the Bind again. */
void fit_ask(struct track_client *c, struct track_server *t, const struct frame_piece *bind, struct bytes *out);
/* As bring_meant(), for a Bind or a Describe. `holds`: is it what the client counts on? */
struct text *fit_meant(struct track_client *c, const struct track_server *t, const char *name, uint64_t *since,
                       bool *holds);
/* In place of its name then: the server's refusal, which fit_refused() knows again. */
#define FIT_NOBODY TEXTS_PREFIX "changed"
bool fit_refused(const struct track_server *t, const struct frame_piece *error);
/* The broker's own question failed: if it was canceled, or waited too long, so was the Bind. */
void fit_question_failed(struct track_client *c, const struct frame_piece *error);
/* What the client hears of its Bind then, or that the statement has changed. */
void fit_say_refused(struct track_client *c, struct bytes *out);
static inline bool fit_has_refusal(const struct track_client *c)
{
        return c->question && bytes_length(&c->question->refusal);
}
void fit_forget_refusal(struct track_client *c);

/* A Describe of this text is sent, which the client calls `name`. */
void fit_describing(struct track_server *t, struct text *x, const char *name);
/* One of the unnamed portal is: true if it may tell something, and was noted. */
bool fit_describing_portal(const struct track_client *c, struct track_server *t);
/* A piece of its answer: ParameterDescription, RowDescription or NoData. */
void fit_described(struct track_client *c, struct track_server *t, const struct frame_piece *piece);
/* The unnamed portal runs this statement (NULL: none of them, or another one by now), if that is so: a Describe of
 * it may tell what that gives. */
void fit_bound(struct statements *s, const char *name);

#endif
