/* A batch of the extended protocol that is done again unseen: a table was changed, and what this server had
 * prepared before ("cached plan must not change result type") is not what the client asked for. While nothing of
 * the batch was executed, the client's messages are kept by the server that they went to; if one fails so, the
 * error and its ReadyForQuery are swallowed, and what was not answered is sent once more.
 *
 * A driver may remember what a statement returns from the time when it prepared it, and PostgreSQL fails so in
 * order that it does not take the new rows for the old ones. So only what can't mislead it is done again: what
 * binds a statement that it prepared itself later than this server did, which has not proved to be right since; or
 * what has its parameters in text and is described before it is executed. Part of track, on its own for its size. */
#ifndef PGB_TRACK_AGAIN_H
#define PGB_TRACK_AGAIN_H

#include "track/state.h"
#include "wire/frame.h"

#define AGAIN_MAX 16384                 /* bytes of a batch that is kept */

/* A message of the client's is being sent, or its first piece; `named`: it is about a named statement. */
void again_sent(struct track_server *t, const struct frame_piece *piece, bool named, bool unnamed_portal);
/* What the server has of this text, if that is of use to a client that counts on what it gave at `since`: no table
 * can have changed under it before; or it may be tried, for the batch can be done again. Else NULL. */
struct prepared_one *again_usable(const struct track_server *t, const struct text *x, uint64_t since);
/* It is used: from then on it has proved right till then, unless an error comes. */
void again_use(struct track_server *t, struct prepared_one *one, uint64_t since);
/* "cached plan must not change result type" is the answer that comes: will the batch be done again? Then it is,
 * when its ReadyForQuery has come. */
bool again_failed(struct track_client *c, struct track_server *t);
/* It has come, and all is quiet; false: nothing is to be done again. */
bool again_ready(struct track_server *t);
/* What is to be sent once more then, one message after the other; `at` begins as 0. */
bool again_next(const struct track_server *t, size_t *at, struct frame_piece *piece);
/* Another error came, or this one is the client's to hear. */
void again_refused(struct track_server *t);
/* What the client sends now must wait: an error was swallowed, and its ReadyForQuery has not come; or one may
 * come that it must not hear of. */
static inline bool again_waits(const struct track_server *t)
{
        const struct track_again *a = &t->again;
        return a->state == AGAIN_FAILED || (a->state == AGAIN_SENT && a->tried && turns_have(&t->turns, TURN_BIND));
}
void again_drop(struct track_server *t);                /* another client has the server */

#endif
