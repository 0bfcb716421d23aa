#include "secret/rotation_round.h"

#include "base/deadline.h"
#include "base/expect.h"

enum {
        BACKOFF_MS = 250,
        BACKOFF_LEAST_MS = 100,
        WAITED_CAP_MS = 3000,    /* while clients wait */
        TOLD_CAP_MS = 10000,     /* after they were told */
        UNWANTED_CAP_MS = 30000, /* when nobody waits */
        QUICK_MS = 2000,         /* polls while something is not settled */
        QUICK_CAP_MS = 30000,
        PROVE_MS = 5000, /* proving a new version again while the old one works */
        PROVE_CAP_MS = 300000,
        DENIED_MS = 30000, /* between two refreshes because of 28000 */
        STALE_MS = 60000,  /* what was left may be read as AWSCURRENT for so long */
};

#define H(name) (1u << HEALTH_##name)
#define S(name) (1u << STEP_##name)

static const struct {
        const char *text;
        unsigned moves;
} healths[] = {
#define X(name, text, moves) [HEALTH_##name] = {text, moves},
        ROTATION_HEALTHS(X)
#undef X
};

static const struct {
        enum rotation_action action;
        enum secret_stage stage;
        unsigned moves;
} steps[] = {
#define X(name, action, stage, moves) [STEP_##name] = {ROTATION_##action, STAGE_##stage, moves},
        ROTATION_STEPS(X)
#undef X
};

void rotation_turn(struct rotation *r, enum rotation_health to)
{
        expect(r->health == to || healths[r->health].moves & 1u << to);
        r->health = to;
}

void rotation_step_to(struct rotation *r, enum rotation_step to)
{
        expect(steps[r->step].moves & 1u << to);
        r->step = to;
        r->serial++;
}

enum rotation_action rotation_action(const struct rotation *r)
{
        return steps[r->step].action;
}

/* For RETRY: the label that the candidate has now. */
enum secret_stage rotation_stage(const struct rotation *r)
{
        for (unsigned s = 0; r->step == STEP_RETRY && s < STAGES; s++)
                if (r->at[s] == r->candidate)
                        return (enum secret_stage) s;
        return steps[r->step].stage;
}

const char *rotation_describe(const struct rotation *r)
{
        return healths[r->health].text;
}

/* ---- Which version ---- */

/* Not known to be bad; or known so under another label only, and AWSCURRENT since: whoever moved
 * the label there has tested it. */
static bool is_fresh(const struct rotation *r, const struct version *v)
{
        return !version_is_bad(v) ||
               (v == r->at[STAGE_CURRENT] && !(v->refused_as & 1u << STAGE_CURRENT));
}

bool round_is_news(struct rotation *r, const struct version *v, uint64_t now)
{
        r->news = is_fresh(r, v) && budget_allows_news(&r->budget, now);
        return r->news;
}

static bool is_due_again(const struct rotation *r, const struct version *v, uint64_t now)
{
        if (!v || !version_is_bad(v) || now < v->refused_at + AGAIN_MS)
                return false;
        return r->asked || v->refused_at < r->began || budget_again_due(&r->budget, now);
}

/* Second tries: every fourth goes to the one that waited longest, the others to AWSCURRENT, where a
 * repair is most likely. The active one has its turns even if no label points at it any more. */
static struct version *pick_again(const struct rotation *r, uint64_t now)
{
        struct version *all[STAGES + 1] = {r->at[STAGE_CURRENT], r->at[STAGE_PENDING],
                                           r->at[STAGE_PREVIOUS], r->active};
        struct version *best = NULL;

        if (r->health == HEALTH_DENIED)
                all[STAGE_PREVIOUS] = NULL;
        if (r->turns % 4 != 3 && is_due_again(r, all[STAGE_CURRENT], now))
                return all[STAGE_CURRENT];
        for (unsigned i = 0; i <= STAGES; i++)
                if (is_due_again(r, all[i], now) &&
                    (!best || all[i]->refused_at < best->refused_at))
                        best = all[i];
        return best;
}

static struct version *pick(struct rotation *r, uint64_t now)
{
        unsigned stages = r->health == HEALTH_DENIED ? STAGE_PREVIOUS : STAGES;

        for (unsigned s = 0; s < stages; s++)
                if (r->at[s] && round_is_news(r, r->at[s], now))
                        return r->at[s];
        r->news = r->asked && budget_allows_news(&r->budget, now);
        if (!r->news && !budget_allows_again(&r->budget, now))
                return NULL;
        return pick_again(r, now);
}

bool round_worth_proving(struct rotation *r, const struct version *v, uint64_t now)
{
        if (v == r->active)
                return r->health == HEALTH_UNPROVEN;
        r->news = is_fresh(r, v) || r->asked;
        if ((version_is_bad(v) && now < v->refused_at + AGAIN_MS) ||
            (v->left_at && now < v->left_at + STALE_MS))
                return false;
        if (r->asked)
                return budget_allows_news(&r->budget, now);
        if (now < v->prove_at)
                return false;
        /* A password that was rotated away won't come back, nor will one whose successor, found
         * as AWSPENDING, works. */
        if (!r->news && (v->standing == VERSION_SPENT || r->active == r->at[STAGE_PENDING]))
                return false;
        return r->news ? budget_allows_news(&r->budget, now) : budget_allows_again(&r->budget, now);
}

/* ---- When ---- */

static uint64_t dice(const struct rotation *r, uint64_t below)
{
        if (below > UINT32_MAX)
                below = UINT32_MAX;
        return below > 1 ? r->options.dice(r->options.dice_arg, (uint32_t) below) : 0;
}

static uint64_t doubled(uint64_t base, unsigned n, uint64_t cap)
{
        return n > 16 ? cap : sooner(base << n, cap);
}

static uint64_t about(const struct rotation *r, uint64_t ms) /* +-20 % */
{
        return ms - ms / 5 + dice(r, ms / 5 * 2 + 1);
}

void round_prove_later(struct rotation *r, struct version *v, uint64_t now)
{
        uint64_t cap = r->options.poll_ms ? later(r->options.poll_ms, QUICK_CAP_MS) : PROVE_CAP_MS;

        v->prove_at = now + about(r, doubled(PROVE_MS, v->tries, cap));
        v->tries++;
}

static uint64_t backoff(const struct rotation *r, uint64_t cap) /* full jitter */
{
        return later(BACKOFF_LEAST_MS, dice(r, doubled(BACKOFF_MS, r->rounds, cap) + 1));
}

static void rest_impatiently(struct rotation *r, uint64_t now)
{
        bool told = r->options.bridge_ms && now - r->began >= r->options.bridge_ms;
        uint64_t wanted = now + backoff(r, told ? TOLD_CAP_MS : WAITED_CAP_MS);
        uint64_t unwanted = now + backoff(r, UNWANTED_CAP_MS);

        /* Without a version there is nothing to log in with, so only a fetch makes sense. */
        if (rotation_without(r))
                wanted = later(wanted, r->fetch_after);
        r->due_wanted = wanted;
        r->due_unwanted = later(wanted, unwanted);
        r->rounds++;
}

static uint64_t poll_delay(struct rotation *r)
{
        uint64_t cap = QUICK_CAP_MS;

        if (r->health == HEALTH_SETTLED && !r->fetch_failed) {
                r->polls = 0;
                return r->options.poll_ms ? about(r, r->options.poll_ms) : DEADLINE_NEVER;
        }
        if (r->health == HEALTH_SETTLED)
                cap = later(cap, r->options.poll_ms);
        return about(r, doubled(QUICK_MS, r->polls++, cap));
}

static void rest_patiently(struct rotation *r, uint64_t now)
{
        uint64_t delay = poll_delay(r);

        r->due_wanted = delay == DEADLINE_NEVER ? delay : later(now + delay, r->fetch_after);
        r->due_unwanted = r->due_wanted;
}

uint64_t round_due(const struct rotation *r)
{
        return sooner(r->wanted ? r->due_wanted : r->due_unwanted, r->refresh_at);
}

void round_due_by(struct rotation *r, uint64_t at)
{
        r->due_wanted = sooner(r->due_wanted, at);
        r->due_unwanted = sooner(r->due_unwanted, at);
}

/* ---- A round ---- */

void round_probe(struct rotation *r, struct version *v, enum rotation_step step)
{
        rotation_step_to(r, step);
        r->candidate = v;
}

void round_end(struct rotation *r, uint64_t now)
{
        if (r->step != STEP_REST)
                rotation_step_to(r, STEP_REST);
        r->candidate = NULL;
        if (r->health == HEALTH_SETTLED && r->active != r->at[STAGE_CURRENT]) {
                rotation_turn(r, HEALTH_PROVISIONAL);
                r->polls = 0;
        }
        if (rotation_bridging(r) || rotation_without(r))
                rest_impatiently(r, now);
        else
                rest_patiently(r, now);
}

void round_retry(struct rotation *r, uint64_t now)
{
        struct version *v = rotation_bridging(r) ? pick(r, now) : NULL;

        if (v)
                round_probe(r, v, STEP_RETRY);
        else
                round_end(r, now);
}

void round_begin(struct rotation *r, uint64_t now)
{
        bool denied = r->health == HEALTH_DENIED;

        r->round_at = now;
        r->asked = r->refresh_at <= now;
        if (r->asked)
                r->refresh_at = DEADLINE_NEVER;
        if (!r->asked && (now < r->fetch_after || (denied && now < r->denied_until))) {
                round_retry(r, now);
                return;
        }
        if (denied)
                r->denied_until = now + DENIED_MS;
        rotation_step_to(r, STEP_FETCH_CURRENT);
}
