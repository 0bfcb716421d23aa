/* Statements of SQL and of the protocol have their names in one space: EXECUTE s1 runs what was prepared
 * by a Parse, and PREPARE s1 fails if there is one. Where a text has one of these the server gets the
 * client's statement under the client's name, too, and the client keeps the server as long as it is there. */
#ifndef PGB_TRACK_NAMESAKES_H
#define PGB_TRACK_NAMESAKES_H

#include "track/state.h"

/* Those that the text names behind EXECUTE or PREPARE: how many; and the messages that bring them, if `out` is
 * not NULL. */
unsigned namesakes_in(const struct track_client *c, const char *sql, size_t size, struct bytes *out);
/* The name is about to be parsed: that must fail if it is one that SQL has PREPAREd. */
void namesakes_probe(const struct track_client *c, struct track_server *t, const char *name, struct bytes *out);
/* The name's meaning ends: so does that of its namesake, if there may be one. */
void namesakes_close(struct track_client *c, struct track_server *t, const char *name, struct bytes *out);

#endif
