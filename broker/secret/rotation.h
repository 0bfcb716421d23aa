/* What to do when credentials change, as a pure machine: it knows secret versions by id, what was
 * refused when, and the clock as an argument; it asks for fetches and probe logins and is told
 * how they went. The rule:
 *
 *   a login with the active version is refused (28P01, or 28000 within limits)
 *     -> fetch AWSCURRENT; a version not known to be bad is tried by ONE login
 *     -> else AWSPENDING, else AWSPREVIOUS, likewise, if they lead to the same database
 *     -> none works: full-jitter back-off (250 ms * 2^n, cap 3 s while clients wait, 10 s after
 *        they were told, 30 s when nobody waits), then again; a version known to be bad may be
 *        tried again, since its password may just have been set, within the login budget
 *   AWSCURRENT polled in the background (interval +-20 %): a new version is proven by one login
 *     before it is adopted; refused: the old one stays, the new one is proven again with back-off
 *   an active version that is not AWSCURRENT is provisional: AWSCURRENT is polled at 2 s, 4 s ...
 *     30 s until it is that version or another one that works
 *   never from a version known to be good to one known to be bad because of a read; and what was
 *     left less than a minute ago and is read as AWSCURRENT again is taken for a stale read
 *   the first version is proven too; if that login fails for a reason that isn't its credentials
 *     it is active but unproven, and ordinary logins decide
 *
 * Login budget: at most 12 refused logins in the first minute of a bridge, then 4 a minute, ordinary
 * logins included (of which 4 may be under way when the first one is refused). Second tries of what
 * is known to be bad leave room for news (a new version, or a label that moved); see budget.h. */
#ifndef PGB_SECRET_ROTATION_H
#define PGB_SECRET_ROTATION_H

#include <stdbool.h>
#include <stdint.h>
#include "secret/source.h"
#include "secret/version.h"

#define ROTATION_VERSION VERSION_ID
#define ROTATION_VERSIONS VERSION_COUNT /* how many it remembers */

struct rotation_options {
        uint64_t poll_ms;               /* 0 = never */
        uint64_t bridge_ms;             /* how long a bridge lasts before waiting clients are told;
                                           0 = they are never told */
        uint32_t (*dice)(void *arg, uint32_t below);    /* uniform in 0..below-1 */
        void *dice_arg;
};

enum rotation_action {
        ROTATION_WAIT,                  /* nothing before rotation_wake() */
        ROTATION_FETCH,                 /* fetch rotation_stage(), then rotation_fetched() */
        ROTATION_PROBE                  /* log in once with rotation_candidate(), then rotation_logged_in() */
};

enum rotation_login {
        ROTATION_OK,
        ROTATION_REFUSED,               /* 28P01 and its local forms */
        ROTATION_DENIED,                /* 28000: at most one refresh in 30 s, no PREVIOUS */
        ROTATION_FAILED                 /* not about credentials: network, TLS, 53300, 57P03, ... */
};

struct rotation;

struct rotation *rotation_new(const struct rotation_options *options, uint64_t now);
void rotation_free(struct rotation *r);         /* NULL is fine */
void rotation_set(struct rotation *r, const struct rotation_options *options, uint64_t now);

/* Events. */
void rotation_fetched(struct rotation *r, enum secret_stage stage, enum source_verdict verdict,
                      const char *version, bool eligible, unsigned retry_ms, uint64_t now);
                                        /* eligible: same endpoint as CURRENT, ssl_mode not weaker */
void rotation_logged_in(struct rotation *r, const char *version, enum rotation_login how, uint64_t now);
void rotation_demand(struct rotation *r, bool wanted, uint64_t now);    /* clients wait for a server */
void rotation_refresh(struct rotation *r, uint64_t now);                /* told to look now */

/* What to do now; asking twice gives the same until an event. */
enum rotation_action rotation_next(struct rotation *r, uint64_t now);
uint64_t rotation_wake(const struct rotation *r);       /* when to ask again; DEADLINE_NEVER */
enum secret_stage rotation_stage(const struct rotation *r);     /* of FETCH, of the candidate */
const char *rotation_candidate(const struct rotation *r);       /* of PROBE; "" else */
uint32_t rotation_serial(const struct rotation *r);     /* another one for each FETCH and PROBE */

/* State. */
const char *rotation_active(const struct rotation *r);  /* "" before the first version is taken */
bool rotation_proven(const struct rotation *r);         /* a login with the active one has worked */
bool rotation_provisional(const struct rotation *r);    /* it works and isn't AWSCURRENT */
/* May an ordinary login with the active version be made (it is not known to be refused now)? */
bool rotation_may_login(const struct rotation *r);
bool rotation_bridging(const struct rotation *r);       /* since the refusal, until a login works */
uint64_t rotation_bridge_began(const struct rotation *r);       /* of this one or the last one */
/* Waiting clients are told: the bridge has lasted bridge_ms, or there was no credential for so long
 * since the start, or the secret may not be read at all. False while a round of fetches and logins
 * is under way: who comes later waits for its end, and demand starts one if the last is over for
 * some seconds. It all goes on in the background. */
bool rotation_given_up(const struct rotation *r, uint64_t now);
/* The ones it may still ask a login for; others can be thrown away. */
bool rotation_knows(const struct rotation *r, const char *version);
const char *rotation_describe(const struct rotation *r);        /* "settled", "login refused", ... */

#endif
