#include "secret/keyring.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "base/bytes.h"
#include "base/deadline.h"
#include "base/expect.h"
#include "base/own.h"
#include "secret/keyring_parts.h"

enum {
        SAY_AGAIN_MS = 60000, /* the same fetch error is not logged more often */
        SOON_MS = 1500,       /* a refresh that was asked for begins within this time */
};

/* ---- What the machine has done ---- */

static struct credential *credential_of(struct keyring *k, const char *version)
{
        struct held *h = credentials_find(&k->credentials, version);

        return h ? h->credential : NULL;
}

static void begin(struct keyring *k, const char *trigger, const char *event, uint64_t began)
{
        const char *from = k->active ? k->active->version_id : "";

        history_begin(k->history, trigger, from, event, began);
}

static void bridge_began(struct keyring *k)
{
        struct keyring_rotation *h = history_running(k->history);

        if (!h || strcmp(h->trigger, "start") != 0)
                begin(k, "login refused", "credentials refused, looking for others",
                      rotation_bridge_began(k->rotation));
}

/* A login has worked: with another version than the last time, or again with the same. */
static void proven(struct keyring *k, bool was_bridging)
{
        const struct held *held = credentials_find(&k->credentials, k->active->version_id);
        uint64_t began = rotation_bridge_began(k->rotation);

        history_proven(k->history, k->active->version_id, secret_stage_name(k->active->stage),
                       rotation_provisional(k->rotation),
                       was_bridging ? (int64_t) (loop_now(k->loop) - began) : -1,
                       held ? held->request_id : "", loop_now(k->loop));
}

/* After each event and question. The owner is told later, from drive(). */
static void note(struct keyring *k)
{
        struct seen now = {rotation_bridging(k->rotation), rotation_proven(k->rotation),
                           rotation_provisional(k->rotation)};
        struct credential *active = credential_of(k, rotation_active(k->rotation));
        struct seen was = k->seen;
        bool other = active != k->active, news = now.proven && (other || !was.proven);

        if (now.bridging && !was.bridging)
                bridge_began(k);
        if (news && !history_running(k->history))
                begin(k, k->trigger, "credentials found", k->fetch_began);
        if (other) {
                credential_set(&k->active, active);
                k->generation++;
        }
        k->seen = now;
        if (news)
                proven(k, was.bridging);
        else if (now.proven && was.provisional && !now.provisional)
                history_promoted(k->history, active->version_id, loop_now(k->loop));
        loop_defer(k->loop, &k->drive);
}

/* ---- Fetches ---- */

/* A bridge fetches every few seconds; the same complaint once a minute is enough. */
static void complain(struct keyring *k, const struct source_answer *answer)
{
        uint64_t now = loop_now(k->loop);
        bool same = !strcmp(k->fetch_error.text, answer->error.text);

        k->fetch_error = answer->error;
        if (same && now < k->said_at + SAY_AGAIN_MS)
                return;
        k->said_at = now;
        log_warn(k->log, "secret not fetched", log_str("environment", k->environment),
                 log_str("source", source_name(k->source)), log_str("trigger", k->trigger),
                 log_str("stage", secret_stage_name(k->fetching_stage)),
                 log_str("request_id", answer->request_id), log_reason(&answer->error));
}

static void say_fetched(struct keyring *k, const struct credential *c,
                        const struct source_answer *answer)
{
        history_fetched(k->history,
                        &(struct history_fetch){.source = source_name(k->source),
                                                .version = c->version_id,
                                                .request_id = answer->request_id,
                                                .stage = k->fetching_stage,
                                                .began = k->fetch_began},
                        loop_now(k->loop));
}

/* A version that leads to another database than AWSCURRENT, or there with less protection, is no
 * way out of a bridge. */
static bool is_fit(struct keyring *k, const struct credential *c)
{
        if (k->fetching_stage == STAGE_CURRENT || (k->current && credential_fits(c, k->current)))
                return true;
        if (strcmp(k->unfit, c->version_id) != 0)
                log_warn(k->log, "secret version not used: host, port, database or ssl_mode differ",
                         log_str("environment", k->environment), log_str("version", c->version_id),
                         log_str("stage", secret_stage_name(k->fetching_stage)));
        snprintf(k->unfit, sizeof k->unfit, "%s", c->version_id);
        return false;
}

static void fetched(void *arg, struct source_answer *answer)
{
        struct keyring *k = arg;
        bool found = answer->verdict == SOURCE_FOUND, fit = false;
        struct credential *c =
                found ? credentials_read(&k->credentials, answer, k->fetching_stage) : NULL;

        k->fetching = false;
        if (c) {
                say_fetched(k, c, answer);
                fit = is_fit(k, c);
                if (k->fetching_stage == STAGE_CURRENT) {
                        credential_set(&k->current, c);
                        k->fetched = time(NULL);
                        k->fetched_at = loop_now(k->loop);
                        error_clear(&k->fetch_error);
                }
        } else if (k->fetching_stage == STAGE_CURRENT || answer->verdict != SOURCE_NONE) {
                complain(k, answer);
        }
        rotation_fetched(k->rotation, k->fetching_stage, answer->verdict, c ? c->version_id : "",
                         fit, answer->retry_ms, loop_now(k->loop));
        credentials_forget(&k->credentials, k->rotation);
        if (fit && rotation_knows(k->rotation, c->version_id))
                credentials_keep(&k->credentials, c, answer->request_id);
        credential_unref(c);
        note(k);
}

/* ---- Driving the machine ---- */

static void probe(struct keyring *k)
{
        const char *version = rotation_candidate(k->rotation);
        struct credential *c = credential_of(k, version);
        bool other = !k->active || strcmp(version, k->active->version_id) != 0;

        expect(c);
        if (!history_running(k->history) && other)
                begin(k, k->trigger, "new version of the secret", k->fetch_began);
        if (history_running(k->history))
                history_try(k->history, version, secret_stage_name(rotation_stage(k->rotation)),
                            loop_now(k->loop));
        credential_ref(c);
        k->owner->probe(k->arg, c);
        credential_unref(c);
}

static void act(struct keyring *k, enum rotation_action action)
{
        uint64_t now = loop_now(k->loop), at = rotation_wake(k->rotation);

        if (at == DEADLINE_NEVER)
                loop_clear(k->loop, &k->wake);
        else
                loop_set(k->loop, &k->wake, at);
        switch (action) {
        case ROTATION_FETCH:
                if (k->fetching)
                        break;
                k->fetching = true;
                k->fetch_began = now;
                k->fetching_stage = rotation_stage(k->rotation);
                source_fetch(k->source, k->fetching_stage, fetched, k);
                break;
        case ROTATION_PROBE:
                if (k->probe_serial == rotation_serial(k->rotation))
                        break;
                k->probe_serial = rotation_serial(k->rotation);
                probe(k);
                break;
        case ROTATION_WAIT:
                if (k->active && at > now + SOON_MS)
                        k->trigger = "poll";
                break;
        }
}

static void tell(struct keyring *k)
{
        struct told now = {k->active, keyring_may_login(k), keyring_given_up(k, NULL)};
        struct told was = k->told;
        bool elsewhere =
                was.active && now.active && credential_is_elsewhere(was.active, now.active);
        struct error e = {0};

        if (now.given_up && !was.given_up && keyring_given_up(k, &e))
                history_given_up(k->history, &e, loop_now(k->loop));
        k->told.may_login = now.may_login;
        k->told.given_up = now.given_up;
        if (now.active && now.active != was.active) {
                credential_set(&k->told.active, now.active);
                k->owner->adopted(k->arg, k->told.active, elsewhere);
        }
        if (now.may_login != was.may_login || (now.given_up && !was.given_up))
                k->owner->changed(k->arg);
}

static void drive(struct deferred *d)
{
        struct keyring *k = container_of(d, struct keyring, drive);
        enum rotation_action action;

        /* A round may be due and end at once; who came for it and saw "not given up" is told so. */
        if (!keyring_given_up(k, NULL))
                k->told.given_up = false;
        action = rotation_next(k->rotation, loop_now(k->loop));
        act(k, action);
        tell(k);
}

static void woken(struct deadline *d)
{
        drive(&container_of(d, struct keyring, wake)->drive);
}

/* ---- Life ---- */

/* splitmix64; it only spreads moments in time. */
static uint32_t dice(void *arg, uint32_t below)
{
        struct keyring *k = arg;
        uint64_t x = k->dice += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        x ^= x >> 31;
        return (uint32_t) ((x >> 32) * below >> 32);
}

static struct rotation_options rotation_options_of(struct keyring *k,
                                                   const struct keyring_options *o)
{
        return (struct rotation_options){o->poll_ms, o->bridge_ms, dice, k};
}

static void changed_outside(void *arg)
{
        keyring_refresh(arg);
}

struct keyring *keyring_new(struct loop *l, struct log *log, const struct keyring_options *options,
                            struct source *source, const struct keyring_owner *owner, void *arg)
{
        struct keyring *k = own_new(struct keyring);
        struct rotation_options o = rotation_options_of(k, options);

        k->loop = l;
        k->log = log;
        k->made_at = loop_now(l);
        k->poll_ms = options->poll_ms;
        k->environment = own_string(options->environment);
        k->source = source;
        k->owner = owner;
        k->arg = arg;
        k->trigger = "start";
        if (getrandom(&k->dice, sizeof k->dice, GRND_NONBLOCK) != sizeof k->dice)
                k->dice = (uint64_t) time(NULL);
        deferred_init(&k->drive, drive);
        deadline_init(&k->wake, woken);
        k->rotation = rotation_new(&o, loop_now(l));
        k->history = own_new(struct history);
        k->history->log = log;
        k->history->environment = k->environment;
        begin(k, k->trigger, "looking for credentials", loop_now(l));
        source_on_change(source, changed_outside, k);
        loop_defer(l, &k->drive);
        return k;
}

void keyring_free(struct keyring *k)
{
        if (!k)
                return;
        source_free(k->source);
        deferred_clear(&k->drive);
        loop_clear(k->loop, &k->wake);
        credentials_clear(&k->credentials);
        credential_unref(k->active);
        credential_unref(k->current);
        credential_unref(k->told.active);
        rotation_free(k->rotation);
        free(k->history);
        free(k->environment);
        free(k);
}

void keyring_set(struct keyring *k, const struct keyring_options *options)
{
        struct rotation_options o = rotation_options_of(k, options);

        free(k->environment);
        k->environment = own_string(options->environment);
        k->poll_ms = options->poll_ms;
        k->history->environment = k->environment;
        rotation_set(k->rotation, &o, loop_now(k->loop));
        note(k);
}

/* ---- Events ---- */

/* The pool logs each login that fails; here is told what that one means. */
static void say_refused(struct keyring *k, const struct credential *c)
{
        log_warn(k->log, "new credentials refused, the old ones stay",
                 log_str("environment", k->environment), log_str("version", c->version_id),
                 log_str("active_version", k->active->version_id));
}

void keyring_login(struct keyring *k, struct credential *c, enum rotation_login how,
                   const struct error *reason)
{
        struct held *h = credentials_find(&k->credentials, c->version_id);
        bool refused = how == ROTATION_REFUSED || how == ROTATION_DENIED;
        bool asked = !strcmp(rotation_candidate(k->rotation), c->version_id);

        if (h && how != ROTATION_FAILED)
                h->refused = refused;
        if (how != ROTATION_OK && reason)
                k->login_error = *reason;
        if (asked && how != ROTATION_OK)
                history_failed(k->history, c->version_id, refused, loop_now(k->loop));
        rotation_logged_in(k->rotation, c->version_id, how, loop_now(k->loop));
        note(k);
        if (refused)
                history_refused(k->history, c->version_id);
        if (refused && asked && rotation_proven(k->rotation))
                say_refused(k, c);
        if (how == ROTATION_OK && rotation_proven(k->rotation) &&
            !rotation_provisional(k->rotation))
                error_clear(&k->login_error);
}

void keyring_demand(struct keyring *k, bool wanted)
{
        if (!wanted && !k->demanded)
                return;                 /* after every transaction */
        k->demanded = wanted;
        rotation_demand(k->rotation, wanted, loop_now(k->loop));
        loop_defer(k->loop, &k->drive);
}

void keyring_refresh(struct keyring *k)
{
        if (k->active)
                k->trigger = "refresh";
        rotation_refresh(k->rotation, loop_now(k->loop));
        loop_defer(k->loop, &k->drive);
}

void keyring_drained(struct keyring *k, unsigned connections)
{
        history_drained(k->history, connections, loop_now(k->loop));
}

void keyring_waiters(struct keyring *k, uint32_t waiters)
{
        history_waiters(k->history, waiters);
}
