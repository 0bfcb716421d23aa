/* Cancel requests for one session, and the connections that brought them: each stays open until its
 * request has been dealt with, as PostgreSQL's would. What the session is at decides:
 *   it waits for a server, or for leave to pin    answered 57014 here, nothing is sent
 *   a server works for it                         a cancel request goes to that server
 *   the broker works there for itself             when that is done
 *   nothing                                       ignored, as PostgreSQL does */
#ifndef PGB_FRONTEND_SESSION_CANCEL_H
#define PGB_FRONTEND_SESSION_CANCEL_H

#include "frontend/session.h"

/* So many connections of one environment are kept open; what further ones ask for is done, too, but
 * they are closed at once. */
#define SESSION_CANCELS_OPEN 256

/* Somebody who may has asked for it. Takes the stream. */
void session_cancel(struct session *s, struct stream *stream);
/* What the session is at may have changed. */
void session_cancel_look(struct session *s);
/* It has ended. */
void session_cancel_end(struct session *s);

#endif
