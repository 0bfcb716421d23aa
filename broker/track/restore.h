/* Brings a server's parameters in line with what a client wants, and tells the client what others are:
 * values are compared as servers report them. Part of track, on its own for its size. */
#ifndef PGB_TRACK_RESTORE_H
#define PGB_TRACK_RESTORE_H

#include <stdbool.h>
#include "base/bytes.h"
#include "track/state.h"

/* Can a reported parameter be SET? */
bool restore_settable(const char *name);
/* Is it the client's own: said at its start, or SET? */
bool restore_own(const struct track_client *c, const char *name);
/* Is it a list of quoted names (PostgreSQL's GUC_LIST_QUOTE)? SET would take the whole value for one name,
 * set_config() takes it as it was reported. */
bool restore_quotes(const char *name);
/* "SET name = value; ", in whatever way leads to just this value. */
void restore_append_set(struct bytes *sql, const char *name, const char *value);
/* Whose the server is at the moment. */
enum restore_from {
        RESTORE_KEPT,                   /* the client's */
        RESTORE_SHARED,                 /* another's, who may share what the broker doesn't see */
        RESTORE_RESET                   /* another's, who may share nothing: a full reset */
};
/* Sends the text, and frees it, as one Query of the broker's own. */
void restore_query(struct track_server *t, struct bytes *sql, enum turn_owner owner, struct bytes *out);
/* Appends one Query with all that must be reset and SET, and notes its turn; nothing if all fits. */
void restore_align(struct track_client *c, struct track_server *t, enum restore_from from, struct bytes *first,
                   struct bytes *tell);
/* currval() and lastval() know of nothing, rather than of what another client had from a sequence. */
void restore_sequences(struct track_client *c, struct track_server *t, struct bytes *out);
/* The full reset alone, after a ROLLBACK if a transaction may be open. */
void restore_clean(struct track_server *t, bool rollback, struct bytes *out);
/* What the broker SET may hold no longer: all of it is SET again before the next request. */
void restore_forget(struct track_server *t);
/* The server told the client a value. */
void restore_told(struct track_client *c, struct track_server *t, const char *name,
                  const char *value);
/* Tells the client reported values that are not what it was told last. */
void restore_tell(struct track_client *c, struct track_server *t, struct bytes *extra);
/* A parameter has this value on the server because the client wants it so ... */
void restore_keep(struct track_client *c, struct track_server *t, const char *name, const char *value);
/* ... or it was RESET: the client's is what it said at the start. */
void restore_back(struct track_client *c, struct track_server *t, const char *name, struct bytes *extra);

#endif
