/* The last rotations of one environment, for SHOW ROTATIONS: each step of one is a line of the log, and
 * a part of its story. One of them may be running. `now` is the loop's, in ms. */
#ifndef PGB_SECRET_HISTORY_H
#define PGB_SECRET_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "secret/rotation.h"

#define KEYRING_HISTORY 32
#define HISTORY_STEPS   1024
struct keyring_rotation {
        int64_t started;                /* seconds since 1970 */
        uint64_t began;                 /* loop ms: what its times count from */
        const char *trigger;            /* "login refused", "poll", "refresh", "start" */
        char from_version[ROTATION_VERSION], to_version[ROTATION_VERSION];
        const char *stage;              /* under which the new one was found */
        uint32_t login_failures, waiters;
        int64_t bridged_ms;             /* how long no login was possible */
        const char *outcome;            /* "running", "adopted", "provisional", "same version",
                                           "given up", "superseded" */
        int64_t drained_ms;             /* until the last connection of older versions was closed, since
                                           `began`; -1 = some are open, or there is nothing to drain, or a
                                           later rotation came first */
        char steps[HISTORY_STEPS];      /* "0 ms login refused; 12 ms AWSCURRENT is v1 (12 ms); ..."; of
                                           many the middle ones are left out */
};

/* A fetch that has brought a version. */
struct history_fetch {
        const char *source, *version, *request_id;
        enum secret_stage stage;
        uint64_t began;
};

struct history {
        struct log *log;
        const char *environment;        /* borrowed */
        struct keyring_rotation ring[KEYRING_HISTORY];
        unsigned count;                 /* ever begun; the newest is the last of them */
        unsigned drains;                /* `count` of the one whose older connections are not all
                                           closed; 0 = none */
        bool running;                   /* the newest is; though "given up" it may be */
        uint32_t waiters;               /* clients that wait now */
        uint64_t tried_at;
        /* What each label was on when it was fetched last: only news is a step. */
        struct {
                char version[ROTATION_VERSION];
                uint64_t began, at;
        } fetched[SECRET_STAGES];
};

/* The newest is 0; NULL past the last. */
struct keyring_rotation *history_at(struct history *h, unsigned i);
struct keyring_rotation *history_running(struct history *h);    /* NULL: none */

/* What still runs is superseded. `began`: when what has set it off did; a fetch since then is its first step. */
struct keyring_rotation *history_begin(struct history *h, const char *trigger, const char *from,
                                       const char *event, uint64_t began);
void history_fetched(struct history *h, const struct history_fetch *f, uint64_t now);
/* This version is tried now; one runs. */
void history_try(struct history *h, const char *version, const char *stage, uint64_t now);
/* That login did not work: refused, or impossible for another reason. Fine if none runs. */
void history_failed(struct history *h, const char *version, bool refused, uint64_t now);
/* A login with it has worked; one runs. `bridged_ms` < 0: there was no bridge. */
void history_proven(struct history *h, const char *version, const char *stage, bool provisional,
                    int64_t bridged_ms, const char *request_id, uint64_t now);
void history_promoted(struct history *h, const char *version, uint64_t now);
/* No server connection of an older version is open any more; there were that many. */
void history_drained(struct history *h, unsigned connections, uint64_t now);
void history_refused(struct history *h, const char *version);  /* a login was */
/* Clients are told, for the first time in this one. */
void history_given_up(struct history *h, const struct error *e, uint64_t now);
void history_waiters(struct history *h, uint32_t waiters);

#endif
