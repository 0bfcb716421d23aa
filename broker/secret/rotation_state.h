/* The insides of the rotation machine, for rotation.c and rotation_round.c only: how the active
 * version fares (health), what the machine is at (step), and what it knows. */
#ifndef PGB_SECRET_ROTATION_STATE_H
#define PGB_SECRET_ROTATION_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include "secret/budget.h"
#include "secret/rotation.h"
#include "secret/version.h"

/* DENIED is REFUSED by 28000. In both a bridge is on, with an active version or without. */
#define ROTATION_HEALTHS(X)                                                                        \
        X(EMPTY, "no credential yet",                                                              \
          H(BARRED) | H(UNPROVEN) | H(SETTLED) | H(REFUSED) | H(DENIED))                           \
        X(BARRED, "secret not readable", H(EMPTY) | H(REFUSED) | H(DENIED))                        \
        X(UNPROVEN, "unproven", H(SETTLED) | H(PROVISIONAL) | H(REFUSED) | H(DENIED))              \
        X(SETTLED, "settled", H(PROVISIONAL) | H(REFUSED) | H(DENIED))                             \
        X(PROVISIONAL, "provisional", H(SETTLED) | H(REFUSED) | H(DENIED))                         \
        X(REFUSED, "login refused", H(SETTLED) | H(PROVISIONAL))                                   \
        X(DENIED, "login denied", H(SETTLED) | H(PROVISIONAL) | H(REFUSED))

/* A step, the action it stands for, the stage that concerns, where it may lead. A round goes from
 * REST through some of them back to REST. */
#define ROTATION_STEPS(X)                                                                          \
        X(REST, WAIT, CURRENT, S(FETCH_CURRENT) | S(RETRY))                                        \
        X(FETCH_CURRENT, FETCH, CURRENT, S(REST) | S(PROBE_CURRENT) | S(FETCH_PENDING) | S(RETRY)) \
        X(PROBE_CURRENT, PROBE, CURRENT, S(REST) | S(FETCH_PENDING))                               \
        X(FETCH_PENDING, FETCH, PENDING,                                                           \
          S(REST) | S(PROBE_PENDING) | S(FETCH_PREVIOUS) | S(RETRY))                               \
        X(PROBE_PENDING, PROBE, PENDING, S(REST) | S(FETCH_PREVIOUS) | S(RETRY))                   \
        X(FETCH_PREVIOUS, FETCH, PREVIOUS, S(REST) | S(PROBE_PREVIOUS) | S(RETRY))                 \
        X(PROBE_PREVIOUS, PROBE, PREVIOUS, S(REST) | S(RETRY))                                     \
        X(RETRY, PROBE, CURRENT, S(REST))

enum rotation_health {
#define X(name, text, moves) HEALTH_##name,
        ROTATION_HEALTHS(X)
#undef X
};

enum rotation_step {
#define X(name, action, stage, moves) STEP_##name,
        ROTATION_STEPS(X)
#undef X
};

enum { STAGES = STAGE_PREVIOUS + 1 };

enum {
        AGAIN_MS = 1000,                /* between two logins with one version, two refreshes */
        MOST_HOLD_MS = 60000,           /* however long a service asks us to wait */
};

struct rotation {
        struct rotation_options options;
        uint64_t clock;                 /* of the last event or question */
        enum rotation_health health;
        enum rotation_step step;
        uint32_t serial, asked_serial;  /* of this step; of the one rotation_next() gave last */
        bool wanted;                    /* clients wait */
        bool asked;                     /* this round was asked for by rotation_refresh() */
        bool fetch_failed;              /* the last one, of CURRENT */

        struct versions versions;
        struct version *active, *candidate, *at[STAGES];
        bool news;                      /* the candidate is asked for as news */
        struct budget budget;

        uint64_t began;                 /* the bridge; or being without a credential */
        uint64_t due_wanted, due_unwanted;      /* the end of this rest */
        uint64_t refresh_at, round_at, fetched_at;
        uint64_t fetch_after, denied_until;     /* no fetch before */
        unsigned polls, rounds;         /* exponents of the two back-offs */
        unsigned turns;                 /* second tries in this bridge with this AWSCURRENT */
};

/* The only writers of health and step. */
void rotation_turn(struct rotation *r, enum rotation_health to);
void rotation_step_to(struct rotation *r, enum rotation_step to);
enum rotation_action rotation_action(const struct rotation *r);

static inline bool rotation_without(const struct rotation *r)
{
        return r->health == HEALTH_EMPTY || r->health == HEALTH_BARRED;
}
static inline uint64_t later(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}
static inline uint64_t sooner(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

#endif
