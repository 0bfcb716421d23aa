/* A client that speaks replication: it has a server of its own, to which all goes as it is, from its login to its
 * end. Source: PostgreSQL manual, "Streaming Replication Protocol". */
#ifndef PGB_FRONTEND_SESSION_REPLICATION_H
#define PGB_FRONTEND_SESSION_REPLICATION_H

#include "frontend/session.h"

/* Its server is there. */
void session_replicating(struct session *s, struct server *server);
/* session_settle() of such a client. */
void session_replication_settle(struct session *s);

extern const struct stream_events session_replication_events;   /* after the welcome */

#endif
