/* A named statement is brought to a server: parsed there, if that has not got it, under the broker's name, with a
 * Parse of the broker's own. Part of named, on its own for its size. */
#ifndef PGB_TRACK_BRING_H
#define PGB_TRACK_BRING_H

#include "base/bytes.h"
#include "track/state.h"

/* What the name means, and since when. If that was prepared under other parameters and must be parsed here now, it
 * is another statement from here on: others share the first. */
struct text *bring_meant(struct track_client *c, const struct track_server *t, const char *name, uint64_t *since);
/* The name means this text from now on, which is the same in other words (takes the reference; returns it). */
struct text *bring_instead(struct statements *s, const char *name, struct text *now);
/* The server has it, or will, as a client may count on that prepared it at `since`. */
void bring(struct track_server *t, struct text *x, uint64_t since, struct bytes *out);

/* Before a Parse: it is not there, and there is room for it. True: it was there. */
bool bring_clear(struct track_server *t, struct text *x, struct bytes *out);
/* A Parse of it is sent. Tells what the one before had proved, if there was one. */
uint64_t bring_noted(struct track_server *t, struct text *x);
/* Notes a change that is sent; takes `name`, `before`, `whose` and `told`. */
void bring_change(struct track_server *t, enum turn_kind kind, enum turn_owner owner, struct prepared_change ch);
/* A Sync is sent: what comes behind it is another batch. */
void bring_sync(struct track_client *c, struct track_server *t, enum turn_owner owner, struct bytes *out);
void bring_sync_sent(struct track_client *c, struct track_server *t, enum turn_owner owner);
/* Own requests about a name, whatever it means: it is closed; an empty statement is parsed under it. */
void bring_close(struct track_server *t, const char *name, struct bytes *out);
void bring_empty(struct track_server *t, const char *name, struct bytes *out);
/* Is something pending since a batch before this one? */
bool bring_from_before(uint32_t pending, uint32_t batch, const struct track_server *t);

#endif
