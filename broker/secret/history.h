/* The last rotations of one environment, for SHOW ROTATIONS, each logged as it begins and ends. One
 * of them may be running. */
#ifndef PGB_SECRET_HISTORY_H
#define PGB_SECRET_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"
#include "secret/rotation.h"

#define KEYRING_HISTORY 32
struct keyring_rotation {
        int64_t started;                /* seconds since 1970 */
        const char *trigger;            /* "login refused", "poll", "refresh", "start" */
        char from_version[ROTATION_VERSION], to_version[ROTATION_VERSION];
        const char *stage;              /* under which the new one was found */
        uint32_t login_failures, waiters;
        int64_t bridged_ms;             /* how long no login was possible */
        const char *outcome;            /* "running", "adopted", "provisional", "same version",
                                           "given up", "superseded" */
};

struct history {
        struct log *log;
        const char *environment;        /* borrowed */
        struct keyring_rotation ring[KEYRING_HISTORY];
        unsigned count;                 /* ever begun; the newest is the last of them */
        bool running;                   /* the newest is; though "given up" it may be */
        uint32_t waiters;               /* clients that wait now */
};

/* The newest is 0; NULL past the last. */
struct keyring_rotation *history_at(struct history *h, unsigned i);
struct keyring_rotation *history_running(struct history *h);    /* NULL: none */

/* What still runs is superseded. */
struct keyring_rotation *history_begin(struct history *h, const char *trigger, const char *from,
                                       const char *event);
/* This version is tried now; one runs. */
void history_try(struct history *h, const char *version, const char *stage);
/* A login with it has worked; one runs. `bridged_ms` < 0: there was no bridge. */
void history_proven(struct history *h, const char *version, const char *stage, bool provisional,
                    int64_t bridged_ms, const char *request_id);
void history_promoted(struct history *h, const char *version);
void history_refused(struct history *h, const char *version);  /* a login was */
/* Clients are told, for the first time in this one. */
void history_given_up(struct history *h, const struct error *e);
void history_waiters(struct history *h, uint32_t waiters);

#endif
