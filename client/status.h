/* How the broker is: gathered from the console's SHOW, one verdict for each environment. */
#ifndef PGBROKER_STATUS_H
#define PGBROKER_STATUS_H

#include <stdbool.h>
#include <libpq-fe.h>
#include "pgbroker.h"

/* The word, and whether it counts as healthy. */
#define STATUS_HEALTHS(X)                                                                          \
        X(OK, "ok", true)                                                                          \
        X(BRIDGING, "bridging", true)   /* credentials are refused, others are looked for */       \
        X(PAUSED, "paused", false)                                                                 \
        X(DISABLED, "disabled", false)                                                             \
        X(FAILING, "failing", false)

enum status_health {
#define X(name, word, healthy) STATUS_##name,
        STATUS_HEALTHS(X)
#undef X
};
const char *status_health_word(enum status_health h);
bool status_is_healthy(enum status_health h);

/* What is asked of the console, each kept as it came. */
#define STATUS_THINGS(X)                                                                           \
        X(VERSION) X(DATABASES) X(POOLS) X(SECRETS) X(ROTATIONS) X(PINS) X(CLIENTS) X(STATS)       \
        X(PREDECESSORS)

enum status_thing {
#define X(name) STATUS_##name,
        STATUS_THINGS(X)
#undef X
        STATUS_THING_COUNT
};

struct status_environment {
        const char *name;
        enum status_health health;
        const char *why;                        /* of all but OK, a few words */
        int database, secret, stats;            /* rows; -1: there is none */
        long long size, reserve;                /* of the pool */
        long long active, idle, cleaning, connecting;   /* servers */
        long long clients_active, clients_idle, clients_waiting;
        long long pins;
        double longest_wait;                    /* seconds */
        const char *waits_for;                  /* of the clients that wait */
};

struct status {
        PGresult *shown[STATUS_THING_COUNT];
        struct status_environment *environments;
        int count;
        bool healthy;                           /* all of them are, and there is one */
};

/* False and *e if the console does not answer. Free it either way. */
bool status_read(struct status *s, PGconn *conn, int timeout_ms, struct pgbroker_error *e);
void status_free(struct status *s);

/* How long the client of this row of SHOW CLIENTS has waited, in seconds. */
double status_wait_of(const struct status *s, int client);
/* Is this row of a thing about the environment? */
bool status_row_is_of(const struct status *s, enum status_thing thing, int row,
                      const struct status_environment *v);

#endif
