/* How PostgreSQL reads a client's texts: by the values of some parameters. */
#ifndef PGB_TRACK_READING_H
#define PGB_TRACK_READING_H

#include "track/state.h"

/* Is a text read by this parameter, when it is parsed or planned? */
bool reading_depends(const char *parameter);
/* The way in which the client's texts are read now, for texts_share(); the caller frees it. NULL: that is not
 * known just now. */
char *reading_of(const struct track_client *c);
/* The text that the unnamed portal runs, if that is known and it is read now as it was then; else NULL. */
const char *reading_running(const struct track_client *c);
/* Appends "; SET LOCAL ..." for what makes the server read texts in this way (or a key that begins with it). False:
 * nobody knows it. */
bool reading_set(const char *way, struct bytes *sql);

#endif
