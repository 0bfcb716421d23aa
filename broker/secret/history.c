#include "secret/history.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct keyring_rotation *history_at(struct history *h, unsigned i)
{
        if (i >= h->count || i >= KEYRING_HISTORY)
                return NULL;
        return &h->ring[(h->count - 1 - i) % KEYRING_HISTORY];
}

struct keyring_rotation *history_running(struct history *h)
{
        return h->running ? history_at(h, 0) : NULL;
}

/* ---- Steps ---- */

enum { END_ROOM = 400 }; /* of a story, for how it ends */

static int64_t since(const struct keyring_rotation *x, uint64_t at)
{
        return at > x->began ? (int64_t) (at - x->began) : 0;
}

/* Adds one to the story. Steps that may come again and again leave room for those that end it. */
__attribute__((format(printf, 4, 5))) static void tell(struct keyring_rotation *x, uint64_t at,
                                                        bool ends, const char *format, ...)
{
        size_t used = strlen(x->steps), most = sizeof x->steps - (ends ? 0 : END_ROOM);
        char step[128];
        va_list arguments;
        int n;

        va_start(arguments, format);
        vsnprintf(step, sizeof step, format, arguments);
        va_end(arguments);
        n = snprintf(NULL, 0, "; %lld ms %s", (long long) since(x, at), step);
        if (used + (size_t) n + sizeof "; ..." <= most)
                snprintf(x->steps + used, sizeof x->steps - used, "%s%lld ms %s", used ? "; " : "",
                         (long long) since(x, at), step);
        else if (!ends && (used < 5 || strcmp(x->steps + used - 5, "; ...") != 0))
                snprintf(x->steps + used, sizeof x->steps - used, "; ...");
}

/* ---- From the beginning to a version that works ---- */

static void tell_fetched(struct history *h, struct keyring_rotation *x, enum secret_stage stage)
{
        tell(x, h->fetched[stage].at, false, "%s is %.8s (%lld ms)", secret_stage_name(stage),
             h->fetched[stage].version,
             (long long) (h->fetched[stage].at - h->fetched[stage].began));
}

struct keyring_rotation *history_begin(struct history *h, const char *trigger, const char *from,
                                       const char *event, uint64_t began)
{
        struct keyring_rotation *x = history_running(h);

        if (x)
                x->outcome = "superseded";
        h->count++;
        h->running = true;
        x = history_at(h, 0);
        *x = (struct keyring_rotation){.started = time(NULL),
                                       .began = began,
                                       .trigger = trigger,
                                       .stage = "",
                                       .waiters = h->waiters,
                                       .outcome = "running",
                                       .drained_ms = -1};
        snprintf(x->from_version, sizeof x->from_version, "%s", from);
        tell(x, began, false, "%s", trigger);
        for (unsigned s = 0; s < SECRET_STAGES; s++) {
                if (h->fetched[s].at && h->fetched[s].began >= began)
                        tell_fetched(h, x, (enum secret_stage) s);
                else
                        h->fetched[s].version[0] = 0;
        }
        log_info(h->log, event, log_str("environment", h->environment), log_str("trigger", trigger),
                 log_str("from_version", from), log_int("waiters", h->waiters));
        return x;
}

void history_fetched(struct history *h, const struct history_fetch *f, uint64_t now)
{
        struct keyring_rotation *x = history_running(h);
        bool news = strcmp(h->fetched[f->stage].version, f->version) != 0;

        h->fetched[f->stage].began = f->began;
        h->fetched[f->stage].at = now;
        if (!news)
                return;
        snprintf(h->fetched[f->stage].version, sizeof h->fetched[f->stage].version, "%s",
                 f->version);
        if (x)
                tell_fetched(h, x, f->stage);
        log_info(h->log, "secret fetched", log_str("environment", h->environment),
                 log_str("source", f->source), log_str("stage", secret_stage_name(f->stage)),
                 log_str("version", f->version), log_str("request_id", f->request_id),
                 log_int("took_ms", (int64_t) (now - f->began)),
                 log_int("at_ms", x ? since(x, now) : 0));
}

static void point_to(struct keyring_rotation *x, const char *version, const char *stage)
{
        snprintf(x->to_version, sizeof x->to_version, "%s", version);
        x->stage = stage;
}

void history_try(struct history *h, const char *version, const char *stage, uint64_t now)
{
        struct keyring_rotation *x = history_running(h);

        point_to(x, version, stage);
        h->tried_at = now;
        tell(x, now, false, "%.8s tried as %s", version, stage);
        log_info(h->log, "trying credentials", log_str("environment", h->environment),
                 log_str("trigger", x->trigger), log_str("version", version),
                 log_str("stage", stage), log_int("at_ms", since(x, now)));
}

void history_failed(struct history *h, const char *version, bool refused, uint64_t now)
{
        struct keyring_rotation *x = history_running(h);
        uint64_t took = now - h->tried_at;

        if (!x || strcmp(x->to_version, version) != 0)
                return;
        tell(x, now, false, "%.8s %s (%lld ms)", version, refused ? "refused" : "not proven: no login",
             (long long) took);
        log_info(h->log, refused ? "credentials refused" : "credentials not proven: no login possible",
                 log_str("environment", h->environment), log_str("version", version),
                 log_str("stage", x->stage), log_int("took_ms", (int64_t) took),
                 log_int("at_ms", since(x, now)));
}

static void bridged(struct history *h, struct keyring_rotation *x, int64_t ms, uint64_t now)
{
        x->bridged_ms = ms;
        tell(x, now, true, "gap bridged (%lld ms, %u waited)", (long long) ms, x->waiters);
        log_info(h->log, "gap bridged", log_str("environment", h->environment),
                 log_int("bridged_ms", ms), log_int("login_failures", x->login_failures),
                 log_int("waiters", x->waiters), log_int("at_ms", since(x, now)));
}

void history_proven(struct history *h, const char *version, const char *stage, bool provisional,
                    int64_t bridged_ms, const char *request_id, uint64_t now)
{
        struct keyring_rotation *x = history_running(h);
        bool same = !strcmp(x->from_version, version);

        if (bridged_ms >= 0)
                bridged(h, x, bridged_ms, now);
        if (strcmp(x->to_version, version) != 0)
                point_to(x, version, stage);
        x->outcome = same ? "same version" : provisional ? "provisional" : "adopted";
        h->running = false;
        h->drains = same || !x->from_version[0] ? 0 : h->count;
        tell(x, now, true, "%.8s works: %s", version, x->outcome);
        log_info(h->log, same ? "credentials work again" : "credentials adopted",
                 log_str("environment", h->environment), log_str("trigger", x->trigger),
                 log_str("from_version", x->from_version), log_str("to_version", version),
                 log_str("stage", x->stage), log_str("outcome", x->outcome),
                 log_int("login_failures", x->login_failures), log_int("waiters", x->waiters),
                 log_int("bridged_ms", x->bridged_ms), log_int("at_ms", since(x, now)),
                 log_str("request_id", request_id));
}

/* ---- What comes after it ---- */

void history_promoted(struct history *h, const char *version, uint64_t now)
{
        struct keyring_rotation *x = history_at(h, 0);

        if (x && !strcmp(x->outcome, "provisional") && !strcmp(x->to_version, version)) {
                x->outcome = "adopted";
                tell(x, now, true, "it is AWSCURRENT");
        }
        log_info(h->log, "credentials in use are AWSCURRENT now",
                 log_str("environment", h->environment), log_str("version", version),
                 log_int("at_ms", x ? since(x, now) : 0));
}

void history_drained(struct history *h, unsigned connections, uint64_t now)
{
        struct keyring_rotation *x = h->drains ? history_at(h, h->count - h->drains) : NULL;

        h->drains = 0;
        if (!x)
                return;
        x->drained_ms = since(x, now);
        tell(x, now, true, "drained: %u older connections are closed", connections);
        log_info(h->log, "older connections drained", log_str("environment", h->environment),
                 log_str("from_version", x->from_version), log_str("to_version", x->to_version),
                 log_int("connections", connections), log_int("at_ms", since(x, now)));
}

/* Refusals of one burst arrive after the bridge they have caused is over, too. */
void history_refused(struct history *h, const char *version)
{
        struct keyring_rotation *x = history_at(h, 0);

        if (x && (h->running || !strcmp(x->from_version, version)))
                x->login_failures++;
}

void history_given_up(struct history *h, const struct error *e, uint64_t now)
{
        struct keyring_rotation *x = history_running(h);

        if (x && !strcmp(x->outcome, "given up"))
                return;
        if (x) {
                x->outcome = "given up";
                tell(x, now, true, "waiting clients are told (%u)", h->waiters);
        }
        log_error(h->log, "waiting clients are told", log_str("environment", h->environment),
                  log_int("waiters", h->waiters), log_reason(e));
}

void history_waiters(struct history *h, uint32_t waiters)
{
        struct keyring_rotation *x = history_running(h);

        h->waiters = waiters;
        if (x && x->waiters < waiters)
                x->waiters = waiters;
}
