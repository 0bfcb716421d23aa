/* Session state as a pure function of two message streams. A `track_server` is what the broker
 * knows of a server connection, a `track_client` what it knows of a client; together they say what
 * to do with each message and when the server may be lent to someone else.
 *
 * A client's message:  track_look()   what it is, what it would pin   (no server needed)
 *                      track_lend()   a server is lent: what has to go first
 *                      track_send()   it is sent: what has to go just before it
 * A server's message:  track_reply()  forward it, or it was the broker's
 * No file, clock, log or network in it. Source: PostgreSQL manual, "Message Flow". */
#ifndef PGB_TRACK_TRACK_H
#define PGB_TRACK_TRACK_H

#include "base/bytes.h"
#include "base/error.h"
#include "track/look.h"
#include "track/state.h"
#include "wire/frame.h"

/* The server is lent to the client: appends what must be sent to the server first, and what the
 * client must be told. `reset`: a full reset is due (another uid had it, or isolation is strict). */
void track_lend(struct track_client *c, struct track_server *t, bool reset, struct bytes *first,
                struct bytes *tell);
/* The same before a request of a client that kept its server, when that is quiet (after RESET ALL
 * and the like). */
void track_realign(struct track_client *c, struct track_server *t, struct bytes *first,
                   struct bytes *tell);
/* The piece is being sent: notes what it will be answered with; appends what goes just before it, and
 * instead of its first bytes: tells of how many. */
size_t track_send(struct track_client *c, struct track_server *t, const struct track_request *r,
                  const struct frame_piece *piece, struct bytes *before);

/* A request of this type is not sent: the client has canceled it while it waited, and has the server.
 * Appends one in its place that fails as a canceled one does, so that its transaction fails, too. */
void track_cancel(struct track_client *c, struct track_server *t, uint8_t type, struct bytes *instead);

/* Judges a piece from the server; c is NULL while nobody has it. `extra`: messages for the client,
 * to be sent before the piece. */
enum track_verdict track_reply(struct track_client *c, struct track_server *t,
                               const struct frame_piece *piece, struct bytes *extra);

/* Nothing is owed and no transaction is open. */
bool track_quiet(const struct track_server *t);
/* May the server be lent to another client now? */
bool track_lendable(const struct track_client *c, const struct track_server *t);
/* Has the client state, or may it have, that no other may meet? */
bool track_holds(const struct track_client *c);
/* Must the client's next request wait for an answer? */
bool track_settling(const struct track_client *c, const struct track_server *t);
/* Appends the audit, if it is time to ask which pins are still alive. */
bool track_audit(struct track_client *c, struct track_server *t, struct bytes *out);
/* The client is gone: appends what makes the server as new (rolls back if need be). False: it can't
 * be cleaned (replies are owed, or state that no reset undoes), close it. */
bool track_clean(const struct track_client *c, struct track_server *t, struct bytes *out);

/* The client leaves a server that would end by itself while nobody has it (idle_session_timeout): appends its reset. */
void track_calm(struct track_server *t, struct bytes *out);

/* What the broker itself sent at lending was refused, as a whole: nothing of it holds. The server
 * is sound and gets a full reset before it is lent again. */
void track_recover(struct track_server *t);

#endif
