/* One client: from its connection to its end. */
#ifndef PGB_FRONTEND_SESSION_H
#define PGB_FRONTEND_SESSION_H

#include "backend/pool.h"
#include "frontend/greet.h"
#include "frontend/home.h"
#include "frontend/relay.h"

/* name, label in SHOW CLIENTS */
#define SESSION_STATES(X)                                                                          \
        X(GREETING, "idle")             /* its first packets */                                    \
        X(LOGIN, "waiting")             /* wants a server to try its parameters on */              \
        X(TRYING, "active")             /* they are being tried */                                 \
        X(IDLE, "idle")                 /* has no server and needs none */                         \
        X(WAITING, "waiting")           /* wants a server */                                       \
        X(ACTIVE, "active")             /* has a server */                                         \
        X(WAITING_PIN, "waiting")       /* wants leave to pin; may have a server */                \
        X(ENDED, "ended")

enum session_state {
#define X(name, label) SESSION_##name,
        SESSION_STATES(X)
#undef X
        SESSION_STATE_COUNT
};
const char *session_state_name(enum session_state s);

#define SESSION_KEY 8                   /* bytes of a cancel key at most: a hand-over carries no more */

struct session;

/* What a session asks of whoever keeps all of them. */
struct session_keeper {
        void *arg;                      /* for all of these */
        /* The environment of this name, if the peer may use it; else NULL and `e`. */
        struct home *(*home)(void *arg, struct session *s, const char *database,
                                     struct error *e);
        /* Is this dbname=pgbroker? Then the console takes the stream (`taken`). False and `e` if the
         * peer may not. */
        bool (*console)(void *arg, struct session *s, bool *taken, struct error *e);
        /* It is welcome, and knows its cancel key now. */
        void (*welcomed)(void *arg, struct session *s);
        /* A cancel request came; its connection ends, unless its stream is taken. */
        void (*cancel)(void *arg, struct session *s);
        void (*successor)(void *arg, struct session *s);        /* likewise: a new broker came */
        void (*failed)(void *arg, const struct session *s, const struct error *e); /* it ends so */
        void (*ended)(void *arg, struct session *s);    /* forget it; it frees itself */
        /* Takes the stream of a session that was ended, and lets the client read what it was sent. */
        void (*see_out)(void *arg, struct stream *client);
};

struct session {
        struct list link;               /* of the keeper */
        struct list by_pid;             /* of the keeper: where cancel requests look */
        struct list cancels;            /* cancel requests that wait: session_cancel.c */
        struct loop *loop;
        struct log *log;
        const struct session_keeper *keeper;
        struct home *home;      /* from LOGIN on */
        struct relay relay;             /* client stream, server, tracking */
        struct greet *greet;            /* until IDLE */
        struct pool_wait wait;
        struct pool_pin *pin;           /* NULL: it never asked for leave to pin */
        struct deadline patience;       /* the first of its timeouts, or earlier: session_time.c */
        struct deferred burial;         /* frees it when nobody is inside any more */
        uint64_t heard_at;              /* loop ms: it last said something, or was answered */
        uint64_t query_at, xact_at;     /* since when a query, a transaction has been open; 0 = none */
        uint64_t cancel_at;             /* when query_timeout had the query canceled; 0 = not */
        uint32_t answers, readies;      /* the relay's counts when it was last looked at */
        uint64_t id;
        uint64_t query_us;              /* when the request under way began: for SHOW */
        uint8_t cancel_key_size;        /* 4, or all of it: the client speaks protocol 3.2 */
        uint8_t cancel_key[SESSION_KEY];
        uint8_t trials;                 /* servers that were lost while its parameters were tried */
        pid_t pid;
        uid_t uid;
        gid_t gid;
        enum session_state state;
        bool partial;                   /* the client has sent a part of a message, or one that waits */
        bool finished;                  /* it has said its last, and waits for answers */
        bool dedicated;                 /* its server is made for it */
        uint8_t replication;            /* enum replication */
        char *user;
        int64_t connect_time, request_time;     /* seconds since 1970, for SHOW */
        struct error *farewell;         /* it must go as soon as nothing is open: why; or NULL */
};

/* Does it have leave to pin? */
static inline bool session_pinned(const struct session *s)
{
        return s->pin && s->pin->held;
}

struct listen_peer;
struct session *session_new(struct loop *l, struct log *log, const struct session_keeper *keeper,
                            int fd, const struct listen_peer *peer, uint64_t id, uint64_t login_timeout);
/* Ends it: with a FATAL for the client if `e` is given. The server is given back, cleaned or closed. */
void session_end(struct session *s, const struct error *e);
/* It must go: now, if no request and no transaction of it is open, else as soon as that is so. */
void session_drain(struct session *s, const struct error *e);

#endif
