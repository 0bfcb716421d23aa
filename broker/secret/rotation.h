/* What to do when credentials change, as a pure machine: it knows secret versions by id, what was
 * refused when, and the clock as an argument; it asks for fetches and probe logins and is told
 * how they went. The rule:
 *
 *   a login with the active version is refused (28P01, or 28000 within limits)
 *     -> fetch AWSCURRENT; a version not known to be bad is tried by ONE login
 *     -> else AWSPENDING, else AWSPREVIOUS, likewise, if they lead to the same database
 *     -> none works: full-jitter back-off (250 ms * 2^n, cap 5 s while clients wait, 30 s else),
 *        again, as long as clients wait or a server is wanted; a version known to be bad may be
 *        tried again, since its password may just have been set, within the login budget
 *   AWSCURRENT polled in the background (interval +-20 %): a new version is proven by one login
 *     before it is adopted; refused: the old one stays, proven again with back-off
 *   an active version that came from PENDING or PREVIOUS is provisional: AWSCURRENT is polled at
 *     2 s, 4 s ... 30 s until it is that version or a third one that works
 *   never from a version known to be good to one known to be bad because of a read
 *
 * Login budget: at most 12 refused logins in the first minute of a bridge, then 4 a minute. */
#ifndef PGB_SECRET_ROTATION_H
#define PGB_SECRET_ROTATION_H

#include <stdbool.h>
#include <stdint.h>
#include "secret/source.h"

#define ROTATION_VERSION 65             /* bytes of a version id with its NUL */

struct rotation_options {
        uint64_t poll_ms;               /* 0 = never */
        uint64_t bridge_ms;             /* how long a bridge lasts before waiting clients are told */
        uint32_t (*dice)(void *arg, uint32_t below);    /* uniform in 0..below-1 */
        void *dice_arg;
};

enum rotation_action {
        ROTATION_WAIT,                  /* nothing before rotation_wake() */
        ROTATION_FETCH,                 /* fetch r->stage, then rotation_fetched() */
        ROTATION_PROBE                  /* log in once with r->candidate, then rotation_login() */
};

enum rotation_login {
        ROTATION_OK,
        ROTATION_REFUSED,               /* 28P01 and its local forms */
        ROTATION_DENIED,                /* 28000: at most one refresh in 30 s, no PREVIOUS */
        ROTATION_FAILED                 /* not about credentials: network, TLS, 53300, 57P03, ... */
};

struct rotation;

struct rotation *rotation_new(const struct rotation_options *options, uint64_t now);
void rotation_free(struct rotation *r);

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
const char *rotation_candidate(const struct rotation *r);       /* of PROBE */

/* State. */
const char *rotation_active(const struct rotation *r);  /* "" before the first good login */
bool rotation_provisional(const struct rotation *r);
/* May an ordinary login with the active version be made (it is not known to be refused now)? */
bool rotation_may_login(const struct rotation *r);
bool rotation_bridging(const struct rotation *r);       /* since the refusal, until a login works */
uint64_t rotation_bridge_began(const struct rotation *r);
/* The bridge has lasted bridge_ms: waiting clients are told. It goes on in the background. */
bool rotation_given_up(const struct rotation *r, uint64_t now);

#endif
