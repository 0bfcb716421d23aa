#include "secret/history.h"

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

struct keyring_rotation *history_begin(struct history *h, const char *trigger, const char *from,
                                       const char *event)
{
        struct keyring_rotation *x = history_running(h);

        if (x)
                x->outcome = "superseded";
        h->count++;
        h->running = true;
        x = history_at(h, 0);
        *x = (struct keyring_rotation){.started = time(NULL),
                                       .trigger = trigger,
                                       .stage = "",
                                       .waiters = h->waiters,
                                       .outcome = "running"};
        snprintf(x->from_version, sizeof x->from_version, "%s", from);
        log_info(h->log, event, log_str("environment", h->environment), log_str("trigger", trigger),
                 log_str("from_version", from), log_int("waiters", h->waiters));
        return x;
}

static void point_to(struct keyring_rotation *x, const char *version, const char *stage)
{
        snprintf(x->to_version, sizeof x->to_version, "%s", version);
        x->stage = stage;
}

void history_try(struct history *h, const char *version, const char *stage)
{
        struct keyring_rotation *x = history_running(h);

        point_to(x, version, stage);
        log_info(h->log, "trying credentials", log_str("environment", h->environment),
                 log_str("trigger", x->trigger), log_str("version", version),
                 log_str("stage", stage));
}

void history_proven(struct history *h, const char *version, const char *stage, bool provisional,
                    int64_t bridged_ms, const char *request_id)
{
        struct keyring_rotation *x = history_running(h);
        bool same = !strcmp(x->from_version, version);

        if (bridged_ms >= 0)
                x->bridged_ms = bridged_ms;
        if (strcmp(x->to_version, version) != 0)
                point_to(x, version, stage);
        x->outcome = same ? "same version" : provisional ? "provisional" : "adopted";
        h->running = false;
        log_info(h->log, same ? "credentials work again" : "credentials adopted",
                 log_str("environment", h->environment), log_str("trigger", x->trigger),
                 log_str("from_version", x->from_version), log_str("to_version", version),
                 log_str("stage", x->stage), log_str("outcome", x->outcome),
                 log_int("login_failures", x->login_failures), log_int("waiters", x->waiters),
                 log_int("bridged_ms", x->bridged_ms), log_str("request_id", request_id));
}

void history_promoted(struct history *h, const char *version)
{
        struct keyring_rotation *x = history_at(h, 0);

        if (x && !strcmp(x->outcome, "provisional") && !strcmp(x->to_version, version))
                x->outcome = "adopted";
        log_info(h->log, "credentials in use are AWSCURRENT now",
                 log_str("environment", h->environment), log_str("version", version));
}

/* Refusals of one burst arrive after the bridge they have caused is over, too. */
void history_refused(struct history *h, const char *version)
{
        struct keyring_rotation *x = history_at(h, 0);

        if (x && (h->running || !strcmp(x->from_version, version)))
                x->login_failures++;
}

void history_given_up(struct history *h, const struct error *e)
{
        struct keyring_rotation *x = history_running(h);

        if (x && !strcmp(x->outcome, "given up"))
                return;
        if (x)
                x->outcome = "given up";
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
