/* Which session a cancel request is for: found by the process id it was told at its welcome, and only
 * if the key is that session's and the peer is the same user. */
#ifndef PGB_FRONTEND_SESSIONS_CANCEL_H
#define PGB_FRONTEND_SESSIONS_CANCEL_H

#include "frontend/sessions.h"

void sessions_cancel_init(struct sessions *ss);
void sessions_cancel_free(struct sessions *ss);
/* A session_keeper's: it can be found from now on, until it has ended ... */
void sessions_cancel_know(void *arg, struct session *s);
void sessions_cancel_forget(struct session *s);
/* ... and this is what its connection brought. */
void sessions_cancel(void *arg, struct session *s);

#endif
