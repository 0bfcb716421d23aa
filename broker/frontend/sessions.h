/* All clients: who may come in, to which environment, and how many. */
#ifndef PGB_FRONTEND_SESSIONS_H
#define PGB_FRONTEND_SESSIONS_H

#include "base/map.h"
#include "frontend/access.h"
#include "frontend/doorman.h"
#include "frontend/session.h"

/* One environment, as the configuration says. */
struct sessions_environment {
        struct list link;
        char *name;
        char **aliases;                 /* NULL-terminated */
        struct pool *pool;
        struct home *home;
        struct access_list access;
};

struct sessions {
        struct loop *loop;
        struct log *log;
        struct session_keeper keeper;   /* itself, as each session knows it */
        struct list all;                /* every session, the oldest first */
        struct list environments;
        struct list *by_pid;            /* sessions that can be canceled: sessions_cancel.c */
        unsigned count, max_client_conn;
        unsigned inside;                /* of `count`, those that have an environment */
        uint64_t ids, refused;
        struct errors errors;           /* given to clients that came to no environment */
        struct access_list admin;
        struct doorman doorman;
        struct access_self self;
        uint64_t login_timeout;         /* ms */
        bool draining;
        /* Takes a console connection (set by whoever has a console). */
        void (*console)(void *arg, struct stream *stream, const struct listen_peer *peer,
                        const struct greet *greet);
        void *console_arg;
        /* Takes the connection of a process that asks to take the broker's place. */
        void (*successor)(void *arg, int fd, pid_t pid, uid_t uid);
        void *successor_arg;
        /* No client here has this cancel key (of up to SESSION_KEY bytes): one of a broker that was replaced may. The
         * descriptor stays ours; the client sees the end when all copies of it are closed. */
        void (*cancel_elsewhere)(void *arg, int fd, uint32_t pid, const uint8_t *key, size_t size);
        void *cancel_arg;
};

struct sessions *sessions_new(struct loop *l, struct log *log);
/* Ends all at once. */
void sessions_free(struct sessions *ss);

/* For listen_unix(): arg is the struct sessions. */
void sessions_accept(void *arg, int fd, const struct listen_peer *peer);

/* Likewise: clients can't be accepted (errno), or can be again (0). */
void sessions_trouble(void *arg, int why);

/* The environment of this name or alias, NULL if none. */
struct sessions_environment *sessions_find(const struct sessions *ss, const char *name);
/* Adds or replaces what the configuration says; takes copies. The pool stays the caller's. */
struct sessions_environment *sessions_put(struct sessions *ss, const char *name,
                                          const char *const *aliases, size_t alias_count,
                                          struct pool *pool, const struct access_list *access);
/* No new clients; its sessions end when nothing of theirs is open. The caller then frees it, when
 * its pool has no clients any more. */
void sessions_retire(struct sessions *ss, struct sessions_environment *v);
/* Ends its sessions at once, each with this reason. */
void sessions_kill(struct sessions *ss, struct sessions_environment *v, const struct error *e);
/* The client of this number (or of its lower 31 bits, as SHOW CLIENTS has it); NULL if none. */
struct session *sessions_client(const struct sessions *ss, uint64_t id);
/* Ends its sessions at once and frees it. */
void sessions_remove(struct sessions *ss, struct sessions_environment *v);
void sessions_set_admin(struct sessions *ss, const struct access_list *admin);

/* A cancel request, and the connection that brought it (taken), from a broker that has this one's place
 * now. */
void sessions_cancel_from(struct sessions *ss, int fd, uint32_t pid, const uint8_t *key, size_t size);

/* No new clients, sessions end when they have no server. */
void sessions_drain(struct sessions *ss);

#endif
