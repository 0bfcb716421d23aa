/* What leads to a server's own default (RESET, RESET ALL, SET ... TO DEFAULT) leads a client without a broker to what
 * it said at its start. So a SET to that goes behind it at once, as far as its transaction: it is undone with the
 * RESET, whatever undoes that. Its answers are swallowed.
 *
 * So it is with a Query that is one such statement, within a transaction, and with an Execute of one. Outside, and
 * behind all others, what was RESET is SET again when the server is quiet: see audit.h. */
#ifndef PGB_TRACK_BACK_H
#define PGB_TRACK_BACK_H

#include "track/state.h"
#include "wire/frame.h"

/* Is this Query, whose text has these marks, one? And is there something to lead back to? Then `message` is what
 * is sent in its place. */
bool back_rewrite(const struct track_client *c, const struct track_server *t, const struct text_marks *marks,
                  const struct frame_piece *piece, struct bytes *message);
/* Is this answer to the client's request one of those to be swallowed? */
bool back_swallows(struct track_server *t, uint8_t type);

/* An Execute of the unnamed portal is being sent: is that one? Then it is appended, and what leads back, with turns
 * of the broker's own. Returns how many of its bytes that replaces. */
size_t back_follow(const struct track_client *c, struct track_server *t, const struct text_marks *marks,
                   const struct frame_piece *execute, struct bytes *out);

#endif
