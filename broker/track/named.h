/* Named prepared statements: what a client calls s1 is on each server a statement of the broker's own
 * name, parsed there when it is first needed. The messages that name it are rewritten on their way; what
 * they are answered with is the server's word. Part of track, on its own for its size. */
#ifndef PGB_TRACK_NAMED_H
#define PGB_TRACK_NAMED_H

#include "base/bytes.h"
#include "track/state.h"
#include "wire/frame.h"

/* Is it not known yet what this name means, or whether the server has it, for what was sent before is
 * not answered? */
bool named_unsettled(const struct track_client *c, const struct track_server *t,
                     const struct frame_piece *piece);

/* Is anything of any name? */
bool named_changing(const struct track_client *c, const struct track_server *t);

/* A Parse, Bind, Describe or Close of a named statement is sent, or its first piece: appends what goes
 * instead of its first bytes; tells how many. (A Bind without a name of a statement isn't for here.) */
size_t named_send(struct track_client *c, struct track_server *t, struct text_marks marks,
                  const struct frame_piece *piece, struct bytes *before);
/* A Query or Execute is sent that will DEALLOCATE: appends what goes before it. */
void named_deallocate(struct track_client *c, struct track_server *t, struct bytes *before);

/* The head of the turns, a change, is answered. False: the answer can't be. c is NULL if the client is
 * gone. */
bool named_done(struct track_client *c, struct track_server *t);
/* An error takes back the first n changes; `failed`: the first of them is what failed. */
void named_undone(struct track_client *c, struct track_server *t, uint32_t n, bool failed);
/* An error bears the broker's name of a statement: appends the same with the client's. False: it does not.
 * `change`: it answers the first change. */
bool named_error(const struct track_client *c, const struct track_server *t, bool change,
                 const struct frame_piece *piece, struct bytes *extra);
/* A command is complete. */
void named_complete(struct track_client *c, struct track_server *t, const char *tag);
/* All that was sent is answered, or what was sent up to the Sync is skipped. */
void named_settle(struct track_client *c, struct track_server *t);

#endif
