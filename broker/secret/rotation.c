#include "secret/rotation.h"

#include "base/deadline.h"
#include "base/own.h"
#include "secret/rotation_round.h"
#include "secret/rotation_state.h"

enum {
        HINT_MS = 30000,  /* between two fetches because the server can't be reached */
        BARRED_MS = 5000, /* at least, after a fetch of AWSCURRENT that was refused */
};

struct rotation *rotation_new(const struct rotation_options *options, uint64_t now)
{
        struct rotation *r = own_new(struct rotation);

        r->options = *options;
        r->clock = r->began = now;
        r->health = HEALTH_EMPTY;
        r->step = STEP_REST;
        r->due_wanted = r->due_unwanted = now;
        r->refresh_at = DEADLINE_NEVER;
        budget_init(&r->budget);
        return r;
}

void rotation_free(struct rotation *r)
{
        free(r);
}

void rotation_set(struct rotation *r, const struct rotation_options *options, uint64_t now)
{
        r->clock = now;
        r->options = *options;
        if (r->step == STEP_REST && r->health == HEALTH_SETTLED)
                round_end(r, now);
}

/* ---- What fetches bring ---- */

static void hold_off(struct rotation *r, uint64_t least_ms, unsigned retry_ms, uint64_t now)
{
        r->fetch_after = now + sooner(later(least_ms, retry_ms), MOST_HOLD_MS);
}

static void no_current(struct rotation *r, enum source_verdict verdict, unsigned retry_ms,
                       uint64_t now)
{
        bool worth_waiting = verdict == SOURCE_RETRY;

        hold_off(r, worth_waiting ? 0 : BARRED_MS, retry_ms, now);
        if (rotation_without(r))
                rotation_turn(r, worth_waiting ? HEALTH_EMPTY : HEALTH_BARRED);
        round_retry(r, now);
}

static void found_current(struct rotation *r, struct version *v, uint64_t now)
{
        r->fetch_after = now;
        if (r->at[STAGE_CURRENT] != v) {
                /* Whether these lead to the same database is to be asked again. */
                r->at[STAGE_PENDING] = r->at[STAGE_PREVIOUS] = NULL;
                r->at[STAGE_CURRENT] = v;
                r->turns = 0;
        }
        if (r->health == HEALTH_BARRED)
                rotation_turn(r, HEALTH_EMPTY);
        if (r->health == HEALTH_PROVISIONAL && v == r->active)
                rotation_turn(r, HEALTH_SETTLED);
        if (rotation_bridging(r)) {
                if (round_is_news(r, v, now))
                        round_probe(r, v, STEP_PROBE_CURRENT);
                else
                        rotation_step_to(r, STEP_FETCH_PENDING);
        } else if (round_worth_proving(r, v, now)) {
                round_probe(r, v, STEP_PROBE_CURRENT);
        } else {
                round_end(r, now);
        }
}

static void fetched_current(struct rotation *r, enum source_verdict verdict, struct version *v,
                            unsigned retry_ms, uint64_t now)
{
        r->fetched_at = now;
        r->fetch_failed = !v;
        if (v)
                found_current(r, v, now);
        else
                no_current(r, verdict, retry_ms, now);
}

static void fetched_other(struct rotation *r, enum secret_stage stage, enum source_verdict verdict,
                          struct version *v, unsigned retry_ms, uint64_t now)
{
        if (verdict == SOURCE_RETRY)
                hold_off(r, 0, retry_ms, now);
        else
                r->at[stage] = v;
        if (rotation_bridging(r) && v && round_is_news(r, v, now))
                round_probe(r, v,
                            stage == STAGE_PENDING ? STEP_PROBE_PENDING : STEP_PROBE_PREVIOUS);
        else if (stage == STAGE_PENDING && r->health == HEALTH_REFUSED && verdict != SOURCE_RETRY)
                rotation_step_to(r, STEP_FETCH_PREVIOUS);
        else
                round_retry(r, now);
}

void rotation_fetched(struct rotation *r, enum secret_stage stage, enum source_verdict verdict,
                      const char *version, bool eligible, unsigned retry_ms, uint64_t now)
{
        struct version *const kept[] = {r->active, r->candidate, r->at[STAGE_CURRENT],
                                        r->at[STAGE_PENDING], r->at[STAGE_PREVIOUS]};
        struct version *v = NULL;

        r->clock = now;
        if (rotation_action(r) != ROTATION_FETCH || rotation_stage(r) != stage)
                return;
        if (verdict == SOURCE_FOUND && eligible && version && *version)
                v = versions_know(&r->versions, version, kept, sizeof kept / sizeof *kept);
        else if (verdict == SOURCE_FOUND)
                verdict = SOURCE_NONE;
        if (stage == STAGE_CURRENT)
                fetched_current(r, verdict, v, retry_ms, now);
        else
                fetched_other(r, stage, verdict, v, retry_ms, now);
}

/* ---- What logins tell ---- */

static unsigned labels_of(const struct rotation *r, const struct version *v)
{
        unsigned labels = 0;

        for (unsigned s = 0; s < STAGES; s++)
                labels |= (unsigned) (r->at[s] == v) << s;
        return labels;
}

static void bridge(struct rotation *r, enum rotation_health kind, uint64_t now)
{
        rotation_turn(r, kind);
        budget_bridge_begins(&r->budget, now);
        r->began = now;
        r->rounds = r->turns = 0;
        if (r->step == STEP_REST)
                round_due_by(r, now);
}

static void adopt(struct rotation *r, struct version *v, uint64_t now)
{
        if (r->active && r->active != v)
                r->active->left_at = now;
        v->left_at = 0;
        r->active = v;
        r->polls = 0;
        budget_bridge_ends(&r->budget);
        rotation_turn(r, v == r->at[STAGE_CURRENT] ? HEALTH_SETTLED : HEALTH_PROVISIONAL);
}

/* The bridge is over before its next action was asked for. */
static bool is_not_wanted_any_more(const struct rotation *r)
{
        return r->step != STEP_REST && r->asked_serial != r->serial && !rotation_bridging(r);
}

static void worked(struct rotation *r, struct version *v, bool answered, uint64_t now)
{
        version_worked(v);
        if (rotation_bridging(r)) {
                if (v == r->active || labels_of(r, v))
                        adopt(r, v, now);
        } else if (v == r->active) {
                if (r->health == HEALTH_UNPROVEN)
                        adopt(r, v, now);
        } else if (answered && v == r->at[STAGE_CURRENT]) {
                adopt(r, v, now);
        }
        if (answered || is_not_wanted_any_more(r))
                round_end(r, now);
}

static void after_refusal(struct rotation *r, uint64_t now)
{
        budget_probe_refused(&r->budget, r->news, now);
        r->candidate = NULL;
        r->turns += r->step == STEP_RETRY;
        if (!rotation_bridging(r) || r->step == STEP_RETRY)
                round_end(r, now);
        else if (r->step == STEP_PROBE_CURRENT)
                rotation_step_to(r, STEP_FETCH_PENDING);
        else if (r->step == STEP_PROBE_PENDING && r->health == HEALTH_REFUSED)
                rotation_step_to(r, STEP_FETCH_PREVIOUS);
        else
                round_retry(r, now);
}

static void refused(struct rotation *r, struct version *v, enum rotation_health kind, bool answered,
                    uint64_t now)
{
        version_refused(v, labels_of(r, v), now);
        round_prove_later(r, v, now);
        if (!rotation_bridging(r) && (v == r->active || rotation_without(r)))
                bridge(r, kind, now);
        else if (r->health == HEALTH_DENIED)
                rotation_turn(r, kind);
        if (answered)
                after_refusal(r, now);
}

/* Nothing is known to be better than AWSCURRENT: ordinary logins decide. */
static void take_unproven(struct rotation *r, struct version *v)
{
        if (r->health == HEALTH_BARRED)
                rotation_turn(r, HEALTH_EMPTY);
        if (r->active != v)
                r->polls = 0;
        r->active = v;
        rotation_turn(r, HEALTH_UNPROVEN);
}

static void failed(struct rotation *r, struct version *v, bool answered, uint64_t now)
{
        if (answered) {
                round_prove_later(r, v, now);
                if (v == r->at[STAGE_CURRENT] && !version_is_bad(v) &&
                    (rotation_without(r) || r->health == HEALTH_UNPROVEN))
                        take_unproven(r, v);
                round_end(r, now);
        } else if (v == r->active && !rotation_bridging(r)) {
                /* The host may have moved, which AWSCURRENT then tells. */
                round_due_by(r, later(later(now, r->fetched_at + HINT_MS), r->fetch_after));
        }
}

void rotation_logged_in(struct rotation *r, const char *version, enum rotation_login how,
                        uint64_t now)
{
        struct version *v = versions_find(&r->versions, version);
        bool answered = v && v == r->candidate;

        r->clock = now;
        if (how == ROTATION_REFUSED || how == ROTATION_DENIED)
                budget_refused(&r->budget, now);
        if (!v)
                return;
        if (how == ROTATION_OK)
                worked(r, v, answered, now);
        else if (how == ROTATION_FAILED)
                failed(r, v, answered, now);
        else
                refused(r, v, how == ROTATION_DENIED ? HEALTH_DENIED : HEALTH_REFUSED, answered,
                        now);
}

/* ---- Wishes and questions ---- */

void rotation_demand(struct rotation *r, bool wanted, uint64_t now)
{
        r->clock = now;
        r->wanted = wanted;
}

/* A round that is under way may have read what has changed since, so another one follows. */
void rotation_refresh(struct rotation *r, uint64_t now)
{
        bool first = r->round_at == 0;

        r->clock = now;
        r->refresh_at = first ? now : later(now, r->round_at + AGAIN_MS);
}

enum rotation_action rotation_next(struct rotation *r, uint64_t now)
{
        r->clock = now;
        if (r->step == STEP_REST && round_due(r) <= now)
                round_begin(r, now);
        r->asked_serial = r->serial;
        return rotation_action(r);
}

static bool is_waited_for(const struct rotation *r)
{
        return r->options.bridge_ms && (rotation_bridging(r) || rotation_without(r));
}

uint64_t rotation_wake(const struct rotation *r)
{
        uint64_t at = r->step == STEP_REST ? round_due(r) : DEADLINE_NEVER;
        uint64_t end = r->began + r->options.bridge_ms;

        return is_waited_for(r) && r->clock < end ? sooner(at, end) : at;
}

const char *rotation_candidate(const struct rotation *r)
{
        return r->candidate ? r->candidate->id : "";
}

uint32_t rotation_serial(const struct rotation *r)
{
        return r->serial;
}

const char *rotation_active(const struct rotation *r)
{
        return r->active ? r->active->id : "";
}

bool rotation_proven(const struct rotation *r)
{
        return r->health == HEALTH_SETTLED || r->health == HEALTH_PROVISIONAL;
}

bool rotation_provisional(const struct rotation *r)
{
        return r->health == HEALTH_PROVISIONAL;
}

bool rotation_may_login(const struct rotation *r)
{
        return rotation_proven(r) || r->health == HEALTH_UNPROVEN;
}

bool rotation_bridging(const struct rotation *r)
{
        return r->health == HEALTH_REFUSED || r->health == HEALTH_DENIED;
}

uint64_t rotation_bridge_began(const struct rotation *r)
{
        return r->began;
}

bool rotation_given_up(const struct rotation *r, uint64_t now)
{
        if (r->step != STEP_REST || round_due(r) <= now)
                return false;
        if (r->health == HEALTH_BARRED)
                return true;
        return is_waited_for(r) && now - r->began >= r->options.bridge_ms;
}

bool rotation_knows(const struct rotation *r, const char *version)
{
        return versions_find((struct versions *) &r->versions, version) != NULL;
}
