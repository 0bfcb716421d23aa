/* The servers of one environment and the clients that wait for them.
 *
 * The local users take turns; the clients of one are served as they come. Servers are opened when clients
 * wait, a few at a time, within pool_size (and the reserve), with the keyring's credential. A client fails
 * only when waiting is of no use any more, and is told what for. */
#ifndef PGB_BACKEND_POOL_H
#define PGB_BACKEND_POOL_H

#include <sys/types.h>
#include "backend/logins.h"
#include "backend/pinning.h"
#include "backend/pool_hosts.h"
#include "backend/pool_dedicated.h"
#include "backend/quota.h"
#include "backend/wait.h"
#include "base/errors.h"
#include "base/histogram.h"
#include "base/stats.h"

struct pool_config {
        const char *environment;        /* copied, like all texts */
        struct pool_options options;
        struct enforce_options tls;
        bool strict;                    /* a full reset between any two clients */
        uint64_t poll_interval, bridge_timeout; /* ms, for the keyring */
        struct logins_gate *gate;       /* of all pools */
};

/* How long things take, since the start, in microseconds; the texts are SHOW LATENCY's. */
#define POOL_LATENCIES(X)                                                                          \
        X(wait, "a client waited for a server; also those that got one at once")                   \
        X(login, "connecting to the server and logging in")                                        \
        X(query, "from a request to the last of its answer; a pipeline counts as one")             \
        X(transaction, "from a transaction's first request to its end, pauses included")

struct pool_latency {
#define X(name, text) struct histogram name;
        POOL_LATENCIES(X)
#undef X
};

struct pool {
        struct loop *loop;
        struct log *log;
        char *environment, *root_cert, *check_query, *connect_query;
        struct pool_config config;
        struct keyring *keyring;
        struct server_lists servers;
        struct logins logins;
        struct wait_line waiting;       /* for a server */
        struct dedicated dedicated;     /* clients that wait for one of their own */
        struct quota quota;
        struct pinning pinning;
        struct pool_hosts hosts;
        struct list cancels;            /* cancel requests that are under way: pool_cancel.c */
        unsigned cancel_count;          /* of them */
        unsigned cancels_waiting, cancels_active;       /* clients' own: not sent yet; under way */
        unsigned clients;
        struct texts *texts;            /* of the statements that clients prepare */
        struct settings *known;         /* what the newest server reported at login; NULL = none yet */
        uint64_t known_changes;         /* goes up when it changes */
        struct stats stats;
        struct pool_latency latency;
        struct errors errors;           /* given to clients, and had from the server */
        struct deadline sweep;
        struct deferred serve;          /* look who can be served */
        uint64_t adopted_at;            /* loop ms: when the active credential became it ... */
        unsigned older;                 /* ... and the servers of older ones then; 0 = all are closed */
        bool paused, draining;
        bool disabled;                  /* DISABLE: no new clients; for whoever lets them in */
};

/* Takes the source. */
struct pool *pool_new(struct loop *l, struct log *log, const struct pool_config *config,
                      struct source *source);
void pool_free(struct pool *p);         /* closes every server; no session may be left */
void pool_set(struct pool *p, const struct pool_config *config);        /* RELOAD */

/* One more client; false and `e` (53300) if there are too many. */
bool pool_enter(struct pool *p, struct pool_wait *w, uid_t uid, struct error *e);
/* It is gone, and has given its server back. Fine if it was refused. */
void pool_exit(struct pool *p, struct pool_wait *w);

/* A server now; or NULL: the wait is queued and given() or failed() comes later. */
struct server *pool_take(struct pool *p, struct pool_wait *w);
/* The client is gone. Fine if it does not wait. */
void pool_leave(struct pool *p, struct pool_wait *w);

/* What a client that waits waits for: "server", "credentials" or "leave to pin"; `why` is told why it
 * has to. */
const char *pool_waits_for(const struct pool *p, const struct pool_wait *w, char *why, size_t size);

/* Leave to pin: true at once, or false: queued, given(w, NULL) or failed() comes later. */
bool pool_pin(struct pool *p, struct pool_pin *pin, struct pool_wait *w);
/* It is pinned already, without leave: what pins was found in the middle of a message too long to be
 * read before it was sent. Counts as the others do. */
void pool_pinned(struct pool *p, struct pool_pin *pin);
void pool_unpin(struct pool *p, struct pool_pin *pin);  /* fine if not held */

/* The lent server comes back: lendable (track_lendable()) ... (Who can be hit by a cancel request that
 * is under way stays CANCELED until that is over.) */
void pool_return(struct server *s);
/* ... or its client left it as it is: it is cleaned if that can be, else closed ... */
void pool_abandon(struct server *s, const struct track_client *c);
/* ... or it can't be used any more. */
void pool_discard(struct server *s, const char *why);
/* Must a server that goes from its last user to this uid be reset? */
bool pool_must_reset(const struct server *s, uid_t uid);

/* PAUSE and RESUME; paused: pool_settled() when no server is left. */
void pool_pause(struct pool *p, bool on);
bool pool_settled(const struct pool *p);
/* RECONNECT: every server leaves when nobody has it; while pool_closing() some have yet to. */
void pool_reconnect(struct pool *p);
bool pool_closing(const struct pool *p);
void pool_kill(struct pool *p);         /* KILL, when its sessions have ended: closes every server; paused */
/* SHUTDOWN: waiting clients are told 57P01, nothing new is lent but to clients that hold a pin. */
void pool_drain(struct pool *p);

#endif
