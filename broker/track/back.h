/* A RESET within a transaction: on the server it leads to the server's own default, where the client without a
 * broker would be back at what it said at its start. So a SET to that goes with it, in the same Query: it is undone
 * with the RESET, whatever undoes that. Its answers are swallowed.
 *
 * So it is with a Query that is one RESET, RESET ALL or SET ... TO DEFAULT. */
#ifndef PGB_TRACK_BACK_H
#define PGB_TRACK_BACK_H

#include "track/state.h"
#include "wire/frame.h"

/* Is this Query, whose text has these effects, one? And is there something to lead back to? Then `message` is what
 * is sent in its place. */
bool back_rewrite(const struct track_client *c, const struct track_server *t, uint32_t effects,
                  const struct frame_piece *piece, struct bytes *message);
/* Is this answer to the client's request one of those to be swallowed? */
bool back_swallows(struct track_server *t, uint8_t type);

#endif
