/* The credentials of one environment under their version ids, and the rotation that keeps them
 * right: joins the pure machine to the source and to whoever makes logins. */
#ifndef PGB_SECRET_KEYRING_H
#define PGB_SECRET_KEYRING_H

#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "io/loop.h"
#include "secret/credential.h"          /* struct credential */
#include "secret/history.h"             /* struct keyring_rotation, KEYRING_HISTORY */
#include "secret/rotation.h"
#include "secret/source.h"

/* Whoever makes logins (the pool). Calls come from the loop, never from inside a keyring_*() call,
 * but for keyring_free() all of those may be called from them. */
struct keyring_owner {
        /* Log in once with c, then keyring_login(c). The connection may be kept and used; a probe is
         * made even when the pool is full. Until that call the rotation stands still. */
        void (*probe)(void *arg, struct credential *c);
        /* The active credential is another now. `elsewhere`: username, host, port, database or
         * ssl_mode differ from the last one's, so this is a drain-and-switch. */
        void (*adopted)(void *arg, struct credential *c, bool elsewhere);
        /* keyring_may_login() or keyring_given_up() may have changed: try again, or tell who waits. */
        void (*changed)(void *arg);
};

struct keyring_options {
        const char *environment;
        uint64_t poll_ms, bridge_ms;    /* see struct rotation_options */
};

struct keyring;

/* Takes the source. Starts fetching at once. */
struct keyring *keyring_new(struct loop *l, struct log *log, const struct keyring_options *options,
                            struct source *source, const struct keyring_owner *owner, void *arg);
void keyring_free(struct keyring *k);                   /* NULL is fine */
void keyring_set(struct keyring *k, const struct keyring_options *options);     /* RELOAD */

/* The credential for new logins (borrowed), NULL while there is none. */
struct credential *keyring_active(const struct keyring *k);
uint32_t keyring_generation(const struct keyring *k);   /* goes up at each adoption */
/* False while the active one is known to be refused, or there is none: wait for changed(). */
bool keyring_may_login(const struct keyring *k);
/* How a login with c went; every login is told, probes and ordinary ones. `reason` may be NULL
 * where it is OK. No more than 4 ordinary logins should be under way at once (see budget.h). */
void keyring_login(struct keyring *k, struct credential *c, enum rotation_login how,
                   const struct error *reason);
void keyring_demand(struct keyring *k, bool wanted);
void keyring_refresh(struct keyring *k);

bool keyring_bridging(const struct keyring *k);
/* A server has taken the active credential. */
bool keyring_proven(const struct keyring *k);
/* True when waiting clients are to be told (bridge_timeout over): `e` says what was tried, with
 * version ids (08001). Also true, with 57P03, when there never was a credential and fetching fails
 * for a reason that waiting won't mend, or has failed for bridge_timeout. False for the moment that
 * a round of fetches and logins takes, which demand starts if none was for some seconds: so set the
 * demand first, then ask; who comes during a round hears its end from changed(). */
bool keyring_given_up(const struct keyring *k, struct error *e);
/* True while there never was a credential: `e` says why (57P03). */
bool keyring_lacking(const struct keyring *k, struct error *e);

/* For SHOW SECRETS and SHOW ROTATIONS. */
struct keyring_status {
        const char *source, *version_id, *stage, *last_error;
        const char *state;              /* "settled", "provisional", "login refused", ... */
        int64_t fetched;                /* seconds since 1970; 0 = never */
        uint64_t age_ms;                /* since then, by a clock that nobody sets */
        int64_t next_poll_ms;           /* from now; -1 = none planned */
        uint32_t generation;
        bool bridging, provisional;
        bool billed;                    /* Secrets Manager is asked, and the next three count */
        uint64_t calls;                 /* so far */
        uint64_t calls_a_month, polls_a_month;  /* at the rate so far; by looking alone: see cost.h */
};
void keyring_status(const struct keyring *k, struct keyring_status *out);

/* The newest first; NULL past the last. */
const struct keyring_rotation *keyring_history(const struct keyring *k, unsigned i);
/* For the history. No server connection of an older version is left, of so many at the adoption ... */
void keyring_drained(struct keyring *k, unsigned connections);
/* ... and so many clients wait now. */
void keyring_waiters(struct keyring *k, uint32_t waiters);

#endif
