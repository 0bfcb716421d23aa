/* What the parts of session share: session.c (a client at work), session_server.c (the server it has),
 * session_time.c (its timeouts), session_login.c (until it is at work), session_cancel.c (cancel requests
 * for it), session_dedicated.c (one whose server
 * is made for it), session_replication.c (one that speaks replication). */
#ifndef PGB_FRONTEND_SESSION_PARTS_H
#define PGB_FRONTEND_SESSION_PARTS_H

#include "frontend/session.h"

extern const struct stream_events session_client_events;        /* after the welcome */
extern const struct pool_wait_events session_wait_events;

void session_become(struct session *s, enum session_state state);
const struct pool_options *session_options(const struct session *s);
bool session_mode(const struct session *s);     /* pool_mode session */
/* It has one server from its first need of it to its end. */
static inline bool session_keeps(const struct session *s)
{
        return s->dedicated || session_mode(s);
}
/* After every event: who is read, and which timeout runs. */
void session_settle(struct session *s);
void session_set_patience(struct session *s, uint64_t ms);
/* What begins or ends has been noted; sees to it that patience_over() comes in time. */
void session_watch_time(struct session *s);
/* It has this server, whose events go to it from now on. */
void session_hold(struct session *s, struct server *server, const struct stream_events *events);
void session_borrow(struct session *s, struct server *server);
void session_give_back(struct session *s);
/* Bytes came from the client: does a request, a transaction begin with them? */
void session_clock(struct session *s);
/* Its server is quiet: is there something left to ask, or can it go back? */
void session_at_rest(struct session *s);
void session_log_in(struct session *s);
/* Tracking begins, anew if need be: all that the client is told, and what of it it has said. */
void session_track(struct session *s, const struct welcome *w);
void session_welcome(struct session *s);
/* Only a server that is made for it will do: asks for one. */
bool session_needs_dedicated(const struct session *s);
void session_dedicate(struct session *s);
/* The server is lost, and why. `unseen`: all that the client began was answered before. */
void session_server_gone(struct session *s, const struct error *why, bool unseen);
/* A server for trying the startup parameters; they were tried. */
void session_try(struct session *s, struct server *server);
void session_tried(struct session *s);
void session_trial_failed(struct session *s);

/* What is dedicated to it is its own from the start. */
static inline void session_pin_start(struct session *s)
{
        if (s->dedicated)
                pins_add(&s->relay.track.pins, s->replication ? PIN_REPLICATION : PIN_START);
}

/* Callbacks. */
void session_patience_over(struct deadline *d);
/* Its leave to pin, with which it may ask for it; and no more. */
struct pool_pin *session_pin(struct session *s);
void session_unpin(struct session *s);
void session_bury(struct deferred *d);
void session_cancel_over(void *borrower);
void session_leave_server(void *borrower);
void session_flow_changed(void *arg);
void session_client_ended(void *arg, const struct error *e);

#endif
