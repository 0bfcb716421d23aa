/* What the broker asks a quiet server about the session it has: whether what pins is still there, and
 * what became of the parameters that the client's statements may have SET or RESET. The server knows
 * best: what a rollback undid, how it spells a value, whether a function or a savepoint had a hand in it. */
#ifndef PGB_TRACK_AUDIT_H
#define PGB_TRACK_AUDIT_H

#include <stdbool.h>
#include "base/bytes.h"
#include "track/state.h"
#include "wire/frame.h"

/* A statement that may SET this parameter, or RESET it, is being sent. */
void audit_touch(struct track_client *c, const char *name, bool reset);
/* The server reports it: if no statement of the client's is known to have SET it, a function did, or the
 * server's own configuration has changed. */
void audit_told(struct track_client *c, const char *name);
/* May something of the client's start have been RESET, and not been led back to that? */
bool audit_leads_back(const struct track_client *c);
/* The client_encoding is about to be another one: what is wanted and not ASCII is known in the old one. */
void audit_encoding(struct track_client *c);
/* ... all of them: RESET ALL, DISCARD ALL. `last`: behind what was touched so far, else it may have been before. */
void audit_touch_all(struct track_client *c, bool last);
/* The server is quiet. `sure`: nothing failed and nothing was rolled back. */
void audit_settle(struct track_client *c, const struct track_server *t, bool sure);
/* Is there something that was not asked, or not answered yet? */
bool audit_open(const struct track_client *c);
/* Should it be asked? ... before the client hears that its statement is done? */
bool audit_wanted(const struct track_client *c);
bool audit_pressing(const struct track_client *c);
/* Appends the question and notes its turn. */
void audit_ask(struct track_client *c, struct track_server *t, struct bytes *out);
/* A piece of the row that answers it, and its end. */
void audit_row(struct track_server *t, const struct frame_piece *piece);
void audit_answered(struct track_client *c, struct track_server *t, struct bytes *extra);

#endif
