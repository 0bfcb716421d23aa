/* The insides of a keyring, which its parts share: keyring.c, and keyring_status.c (what it answers
 * when it is asked). */
#ifndef PGB_SECRET_KEYRING_PARTS_H
#define PGB_SECRET_KEYRING_PARTS_H

#include "secret/keyring.h"

/* What was last seen of the machine, and what the owner was last told. */
struct seen {
        bool bridging, proven, provisional;
};

struct told {
        struct credential *active;
        bool may_login, given_up;
};

struct keyring {
        struct loop *loop;
        struct log *log;
        char *environment;
        struct source *source;
        const struct keyring_owner *owner;
        void *arg;

        struct rotation *rotation;
        uint64_t dice;
        struct deferred drive;
        struct deadline wake;
        bool demanded;       /* somebody waits for a login */
        bool fetching;
        uint64_t fetch_began; /* of this one or the last */
        enum secret_stage fetching_stage;
        uint32_t probe_serial;
        const char *trigger; /* of the round */

        struct credentials credentials;
        struct credential *active, *current; /* current: AWSCURRENT as last fetched */
        uint32_t generation;
        struct seen seen;
        struct told told;

        struct history *history;
        int64_t fetched;
        uint64_t fetched_at; /* the same by the loop's clock */
        uint64_t made_at, poll_ms;
        struct error fetch_error, login_error;
        uint64_t said_at;
        char unfit[ROTATION_VERSION]; /* the last version that leads elsewhere */
};

#endif
