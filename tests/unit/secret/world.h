/* A pretended world around the rotation machine: a database that accepts the passwords of some
 * versions, a secret with labels, fetches and logins that take time, clients that come and go. It
 * watches at every step what must hold always. Versions are numbered; version n is called "vn". */
#ifndef PGB_TEST_WORLD_H
#define PGB_TEST_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/deadline.h"
#include "secret/rotation.h"

#define NOBODY (-1)             /* no version has that label */
#define ONLY(v) (1u << (v))
#define LOGINS 4                /* ordinary ones at once */
#define REFUSALS 4096

struct flight {
        bool on;
        uint64_t at;            /* its end */
        int version;
        enum secret_stage stage;
        enum source_verdict verdict;
        enum rotation_login how;
};

struct world {
        uint64_t now, seed;
        struct rotation *r;
        struct rotation_options options;

        unsigned accepts;       /* by the database: 1 << version */
        int at[3], was_at[3];   /* labels; was: read now and then for `lag` ms after a change */
        uint64_t moved, lag;
        enum source_verdict verdict[3];         /* of a fetch; FOUND = what `at` says */
        unsigned retry_ms;
        enum rotation_login network;            /* OK, or what all logins end with */
        unsigned fetch_ms, login_ms;            /* at most */
        bool load;              /* clients want new server connections all the time */
        unsigned pace_ms;

        struct flight fetch, probe, login[LOGINS];
        uint64_t next_login;
        uint32_t serial;

        /* What is watched. */
        bool refused_last[32];  /* by version: its last login */
        int active;
        bool may_login, bridging, given_up;
        uint64_t began, down_at, up_at, told_at;        /* bridge; no login possible; again; first given up */
        uint64_t refusals[REFUSALS];
        unsigned refused, logins, probes, fetches, others_fetched, adoptions;
        uint64_t actions[64];   /* the moments of the last ones */
        unsigned action_count;
        uint64_t hopeful_since; /* clients wait, and a version that works can be found */
        uint64_t longest_wait;
};

static inline uint32_t world_dice(void *arg, uint32_t below)
{
        struct world *w = arg;

        assert_true(below > 0);
        w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t) ((w->seed >> 33) % below);
}

static inline struct world *world_new(uint64_t seed)
{
        struct world *w = calloc(1, sizeof *w);

        w->seed = seed;
        w->now = 1000000;
        w->options = (struct rotation_options){300000, 90000, world_dice, w};
        w->r = rotation_new(&w->options, w->now);
        w->accepts = ONLY(1);
        w->at[STAGE_CURRENT] = w->was_at[STAGE_CURRENT] = 1;
        w->at[STAGE_PENDING] = w->was_at[STAGE_PENDING] = NOBODY;
        w->at[STAGE_PREVIOUS] = w->was_at[STAGE_PREVIOUS] = 0;
        w->network = ROTATION_OK;
        w->fetch_ms = 60;
        w->login_ms = 20;
        w->pace_ms = 200;
        w->active = NOBODY;
        w->down_at = w->began = w->hopeful_since = w->now;
        return w;
}

static inline void world_free(struct world *w)
{
        rotation_free(w->r);
        free(w);
}

static inline void world_label(struct world *w, enum secret_stage s, int version)
{
        memcpy(w->was_at, w->at, sizeof w->at);
        w->at[s] = version;
        w->moved = w->now;
}

/* As UpdateSecretVersionStage does it. */
static inline void world_promote(struct world *w, int version)
{
        int old = w->at[STAGE_CURRENT];

        world_label(w, STAGE_CURRENT, version);
        w->at[STAGE_PREVIOUS] = old;
}

static inline int world_number(const char *id)
{
        return *id ? atoi(id + 1) : NOBODY;
}

/* ---- Fetches and logins under way ---- */

static inline int world_read(struct world *w, enum secret_stage s)
{
        bool stale = w->now < w->moved + w->lag && world_dice(w, 3) == 0;

        return stale ? w->was_at[s] : w->at[s];
}

static inline void world_look(struct world *w, struct flight *f)
{
        f->verdict = w->verdict[f->stage];
        if (f->verdict == SOURCE_FOUND) {
                f->version = world_read(w, f->stage);
                if (f->version == NOBODY)
                        f->verdict = SOURCE_NONE;
        }
}

static inline void world_judge(struct world *w, struct flight *f)
{
        bool right = w->accepts & ONLY(f->version);

        f->how = w->network != ROTATION_OK ? w->network : right ? ROTATION_OK : ROTATION_REFUSED;
}

static inline void world_start(struct world *w, struct flight *f, unsigned ms)
{
        f->on = true;
        f->at = w->now + 1 + world_dice(w, ms);
}

/* What a request finds is settled as it begins or as it ends. */
static inline bool world_settled_late(struct world *w)
{
        return world_dice(w, 2) == 0;
}

static inline void world_refusal(struct world *w, uint64_t began)
{
        unsigned first = 0, later = 0;

        assert_true(w->refused < REFUSALS);
        w->refusals[w->refused++] = w->now;
        if (!w->bridging)
                return;
        for (unsigned i = w->refused; i-- > 0 && w->refusals[i] >= began;) {
                first += w->refusals[i] < began + 60000;
                later += w->refusals[i] >= began + 60000 && w->refusals[i] + 60000 > w->now;
        }
        assert_in_range(first, 0, 12);
        assert_in_range(later, 0, 4);
}

static inline void world_end_login(struct world *w, struct flight *f)
{
        char id[16];

        f->on = false;
        snprintf(id, sizeof id, "v%d", f->version);
        rotation_logged_in(w->r, id, f->how, w->now);
        if (f->how != ROTATION_FAILED)
                w->refused_last[f->version] = f->how != ROTATION_OK;
        if (f->how == ROTATION_REFUSED || f->how == ROTATION_DENIED)
                world_refusal(w, rotation_bridge_began(w->r));
        w->logins += f->how == ROTATION_OK;
}

static inline void world_end_fetch(struct world *w)
{
        struct flight f = w->fetch;
        char id[16];

        w->fetch.on = false;
        snprintf(id, sizeof id, "v%d", f.version);
        rotation_fetched(w->r, f.stage, f.verdict, f.verdict == SOURCE_FOUND ? id : "", true,
                         w->retry_ms, w->now);
}

/* ---- What must hold always ---- */

static inline void world_watch_state(struct world *w)
{
        int active = world_number(rotation_active(w->r));
        bool may = rotation_may_login(w->r), given_up = rotation_given_up(w->r, w->now);

        if (active != w->active) {
                /* Never to a version that is known to be bad. */
                assert_int_not_equal(active, NOBODY);
                assert_false(w->refused_last[active]);
                w->adoptions++;
        }
        if (may && !w->may_login)
                w->up_at = w->now;
        if (!may && w->may_login)
                w->down_at = w->now;
        if (given_up && !w->told_at)
                w->told_at = w->now;
        w->active = active;
        w->may_login = may;
        w->bridging = rotation_bridging(w->r);
        w->given_up = given_up;
        assert_false(may && w->bridging);
        assert_false(may && given_up);
}

static inline void world_watch_waiting(struct world *w)
{
        bool hope = w->network == ROTATION_OK && w->verdict[STAGE_CURRENT] == SOURCE_FOUND &&
                    (w->accepts & ONLY(w->at[STAGE_CURRENT]));

        if (w->network == ROTATION_OK && w->active != NOBODY && (w->accepts & ONLY(w->active)))
                hope = true;
        if (w->may_login || !w->load || !hope)
                w->hopeful_since = w->now;
        if (w->now - w->hopeful_since > w->longest_wait)
                w->longest_wait = w->now - w->hopeful_since;
}

static inline void world_count_action(struct world *w)
{
        unsigned n = w->action_count++ % 64;

        /* The 64th before this one was longer ago than a second. */
        if (w->action_count > 64)
                assert_true(w->now - w->actions[n] > 1000);
        w->actions[n] = w->now;
}

static inline void world_ask(struct world *w)
{
        enum rotation_action action = rotation_next(w->r, w->now);
        enum secret_stage stage = rotation_stage(w->r);
        uint32_t serial = rotation_serial(w->r);
        bool bridging = rotation_bridging(w->r);

        assert_int_equal(rotation_next(w->r, w->now), action);
        assert_int_equal(rotation_stage(w->r), stage);
        assert_int_equal(rotation_serial(w->r), serial);
        if (action == ROTATION_WAIT)
                assert_true(rotation_wake(w->r) > w->now);
        if (action == ROTATION_WAIT || serial == w->serial)
                return;
        w->serial = serial;
        world_count_action(w);
        if (action == ROTATION_FETCH) {
                /* AWSPENDING is not looked at while AWSCURRENT works. */
                assert_true(stage == STAGE_CURRENT || bridging);
                assert_false(w->fetch.on);
                w->fetch = (struct flight){.stage = stage};
                w->fetches++;
                w->others_fetched += stage != STAGE_CURRENT;
                world_look(w, &w->fetch);
                world_start(w, &w->fetch, w->fetch_ms);
        } else {
                assert_true(stage == STAGE_CURRENT || bridging);
                w->probe = (struct flight){.version = world_number(rotation_candidate(w->r))};
                w->probes++;
                world_judge(w, &w->probe);
                world_start(w, &w->probe, w->login_ms);
        }
}

/* ---- Time ---- */

static inline void world_open_logins(struct world *w)
{
        if (w->now < w->next_login)
                return;
        w->next_login = w->now + 1 + world_dice(w, w->pace_ms * 2);
        for (unsigned i = 0; i < LOGINS; i++) {
                if (w->login[i].on || !w->load || !rotation_may_login(w->r))
                        continue;
                w->login[i] = (struct flight){.version = world_number(rotation_active(w->r))};
                world_judge(w, &w->login[i]);
                world_start(w, &w->login[i], w->login_ms);
                if (world_dice(w, 3))
                        break;
        }
}

static inline void world_end_flights(struct world *w)
{
        if (w->fetch.on && w->fetch.at <= w->now) {
                if (world_settled_late(w))
                        world_look(w, &w->fetch);
                world_end_fetch(w);
        }
        if (w->probe.on && w->probe.at <= w->now) {
                if (world_settled_late(w))
                        world_judge(w, &w->probe);
                world_end_login(w, &w->probe);
                world_watch_state(w);
        }
        for (unsigned i = 0; i < LOGINS; i++)
                if (w->login[i].on && w->login[i].at <= w->now) {
                        if (world_settled_late(w))
                                world_judge(w, &w->login[i]);
                        world_end_login(w, &w->login[i]);
                        world_watch_state(w);
                }
}

static inline uint64_t world_sooner(uint64_t a, const struct flight *f)
{
        return f->on && f->at < a ? f->at : a;
}

static inline uint64_t world_next(const struct world *w, uint64_t until)
{
        uint64_t at = rotation_wake(w->r) < until ? rotation_wake(w->r) : until;

        at = world_sooner(world_sooner(at, &w->fetch), &w->probe);
        for (unsigned i = 0; i < LOGINS; i++)
                at = world_sooner(at, &w->login[i]);
        if (w->load && w->next_login < at)
                at = w->next_login;
        return at > w->now ? at : w->now;
}

/* Lets `ms` pass. */
static inline void world_run(struct world *w, uint64_t ms)
{
        uint64_t until = w->now + ms;

        for (;;) {
                rotation_demand(w->r, w->load, w->now);
                world_end_flights(w);
                world_ask(w);
                world_watch_state(w);
                world_watch_waiting(w);
                world_open_logins(w);
                if (w->now >= until)
                        break;
                uint64_t next = world_next(w, until);

                w->now = next > w->now ? next : w->now + 1;
        }
}

/* ---- For tests ---- */

/* Settled on version 1, the clients as given. */
static inline struct world *settled(bool load)
{
        struct world *w = world_new(42);

        w->load = load;
        world_run(w, 5000);
        assert_int_equal(w->active, 1);
        assert_string_equal(rotation_describe(w->r), "settled");
        w->refused = w->probes = w->fetches = w->others_fetched = w->adoptions = 0;
        return w;
}

static inline void is(const struct world *w, int active, const char *health)
{
        assert_int_equal(w->active, active);
        assert_string_equal(rotation_describe(w->r), health);
}

/* Clients could go on within `ms` of `since`. */
static inline void back_within(const struct world *w, uint64_t since, uint64_t ms)
{
        assert_true(w->may_login);
        assert_true(w->up_at >= since);
        assert_in_range(w->up_at - since, 0, ms);
}

#endif
