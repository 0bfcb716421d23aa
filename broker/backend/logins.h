/* New server connections of one pool: when one may be opened, with which credential, and what a
 * failure means. A few at a time, so that a burst of clients is no burst of logins. */
#ifndef PGB_BACKEND_LOGINS_H
#define PGB_BACKEND_LOGINS_H

#include "backend/options.h"
#include "backend/server.h"
#include "base/errors.h"
#include "base/histogram.h"

#define LOGINS_AT_ONCE 4                /* of one pool ... */
#define LOGINS_DEDICATED 2              /* ... so many of these for one client each, which may ask for a slow one */
#define LOGINS_IN_ALL  16               /* ... and of all: each is a TLS handshake and a SCRAM exchange */

/* The logins that are under way in all pools, and the pools that wait for one of them to end. */
struct logins_gate {
        unsigned active;
        struct list waiting;
};

void logins_gate_init(struct logins_gate *g);

/* The last failure, as those see it who wait for their first server. */
enum logins_kind {
        LOGINS_TEMPORARY,               /* starting, full: they wait, up to query_wait_timeout */
        LOGINS_UNREACHABLE,             /* the same if it ever was reached: a failover; else as doubtful */
        LOGINS_DOUBTFUL,                /* they are told when it has lasted for server_login_retry */
        LOGINS_HOPELESS                 /* at once: no such database, TLS policy */
};

struct logins {
        struct loop *loop;
        struct log *log;
        const char *environment;
        const struct pool_options *options;
        const struct enforce_options *tls;
        struct server_lists *servers;
        struct keyring *keyring;
        struct histogram *latency;
        struct errors *errors;
        struct logins_gate *gate;
        struct list at_gate;            /* gate->waiting */
        struct deadline retry;
        uint64_t failing_since;         /* loop ms of the first of a row of failures; 0 = fine */
        unsigned failures;              /* in that row */
        uint64_t failed_at;             /* loop ms, the last; for how long to wait after it: ... */
        uint64_t dice;
        struct error failure;           /* the last */
        enum logins_kind kind;
        bool worked;                    /* one did, ever */
        unsigned dedicated;             /* that are under way; the gate does not know them */
        unsigned fitted, turn;          /* hosts, any number: the last one that fitted; whose turn it is */
        /* A server is IDLE now, or one has failed: look who can be served or must be told. */
        void (*opened)(void *arg, struct server *s);
        /* A dedicated one could not be made: it says nothing of the others. */
        void (*not_opened)(void *arg, const struct server *s, enum connect_failure f,
                           const struct error *e);
        void (*changed)(void *arg);
        /* The server at that host is not what target_session_attrs asks for. */
        void (*unfit)(void *arg, const struct connection *c);
        void *arg;
};

void logins_init(struct logins *g);
/* Before its servers are freed. */
void logins_stop(struct logins *g);
/* Opens one more if that is allowed now; `urgent`: somebody waits for it, and is not kept waiting for
 * long after the last one that failed. */
bool logins_open(struct logins *g, bool urgent);
/* Opens one for a client of its own. Only if logins_may_dedicate(): not at once after others failed. */
struct server *logins_dedicate(struct logins *g, const struct connect_session *session);
bool logins_may_dedicate(struct logins *g);
/* That client is gone: it is not made any more. */
void logins_give_up(struct logins *g, struct server *s);
/* The keyring asks for one login with c, whatever the limits. */
void logins_probe(struct logins *g, struct credential *c);
/* True when a client that waits for its first server is to be told: `e`. Only while no server is
 * there at all. */
bool logins_given_up(const struct logins *g, struct error *e);
/* Do logins fail at the moment? `e` says how (08001). */
bool logins_failing(const struct logins *g, struct error *e);

#endif
