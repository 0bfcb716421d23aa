/* One server connection of a pool: what it is connected as, what it owes, who has it.
 *
 * While it is lent its stream's events go to whoever has it; otherwise to the pool, which closes it
 * at any byte that nobody asked for. */
#ifndef PGB_BACKEND_SERVER_H
#define PGB_BACKEND_SERVER_H

#include <sys/types.h>
#include "backend/dial.h"
#include "base/list.h"
#include "secret/keyring.h"
#include "track/track.h"
#include "wire/startup.h"

/* name, label in SHOW SERVERS */
#define SERVER_STATES(X)                                                                           \
        X(LOGIN, "new")                 /* libpq connects */                                       \
        X(IDLE, "idle")                 /* may be lent */                                          \
        X(LENT, "active")               /* a client has it */                                      \
        X(CLEANING, "tested")           /* a client left it; its reset is under way */             \
        X(TESTING, "tested")            /* unused for long: server_check_query is under way */     \
        X(PREPARING, "new")             /* connect_query is under way */                           \
        X(CANCELED, "being_canceled")   /* a client left it; a cancel request is under way */      \
        X(CLOSED, "closed")

enum server_state {
#define X(name, label) SERVER_##name,
        SERVER_STATES(X)
#undef X
        SERVER_STATE_COUNT
};
const char *server_state_name(enum server_state s);

/* The servers of a pool by their state. */
struct server_lists {
        struct list in[SERVER_STATE_COUNT];
        unsigned count[SERVER_STATE_COUNT];
        uint64_t ids;
};

struct server {
        struct list link;               /* in lists->in[state] */
        struct server_lists *lists;
        void *pool;                     /* for whoever borrows it: the struct pool */
        enum server_state state;
        uint64_t id;
        struct dial *dial;              /* LOGIN */
        bool probe;                     /* LOGIN: the keyring asked for it */
        bool dedicated;                 /* made for one client, closed after it */
        uint8_t replication;            /* enum replication */
        struct connection *connection;  /* from IDLE on */
        struct credential *credential;
        char *root_cert;                /* that its login was held to */
        struct track_server track;
        struct frame_cutter cutter;
        struct bytes scratch;           /* CANCELED: the reset that follows; else empty */
        void *borrower;                 /* LENT: the session */
        struct quota_user *user;        /* LENT: that it counts for */
        struct pool_cancel *canceling;  /* the cancel request that is under way: until it is over
                                           nothing may be sent that it could hit */
        void (*cancel_over)(void *borrower);    /* ... tells the borrower then */
        uint64_t last_client;           /* its id, of the last that had it; 0: nobody */
        pid_t last_pid;                 /* of the client that has or had it last */
        uid_t last_uid;                 /* of the client that had it last ... */
        bool used;                      /* ... if anybody had */
        uint32_t client_pid;            /* that this client was told as its own; 0: nobody had it */
        uint64_t client_left_us;        /* ... when that client had it last, or got it */
        uint64_t other_left_us;         /* ... when the client before it had; 0: nobody was before */
        uint64_t since;                 /* loop ms: when it took its state */
        uint64_t began_us;              /* when its login began */
        uint64_t connected, expires;    /* loop ms */
        uint64_t result_at;             /* loop ms: since when rows come that end no answer; 0 = they don't */
        uint64_t result_size;           /* bytes of it so far */
        int64_t connect_time, request_time;     /* seconds since 1970, for SHOW */
        bool close_needed;              /* leaves at check-in */
        bool lent;                      /* at least once */
        bool tested;                    /* since somebody had it */
        bool read_only;                 /* it refused to write (25006) since it was lent */
        void (*leave)(void *borrower);  /* LENT: asks the borrower to part with it */
};

void server_lists_init(struct server_lists *l);
static inline unsigned server_total(const struct server_lists *l)
{
        return l->count[SERVER_LOGIN] + l->count[SERVER_IDLE] + l->count[SERVER_LENT] +
               l->count[SERVER_CLEANING] + l->count[SERVER_TESTING] + l->count[SERVER_PREPARING] +
               l->count[SERVER_CANCELED];
}
/* The only writer of `state`: moves the server to that list. Dies on a move that is not in the
 * table. */
void server_become(struct server *s, enum server_state state, uint64_t now);
/* One in state LOGIN. Takes a reference to the credential. */
struct server *server_new(struct server_lists *l, struct credential *c, uint64_t now);
/* Closes the connection and frees all. */
void server_free(struct server *s);
static inline struct stream *server_stream(const struct server *s)
{
        return s->connection->stream;
}

#endif
