#include "ops/snapshot_secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include "secret/cost.h"

/* ---- SECRETS ---- */

static const struct snapshot_column secrets_columns[] = {
        {"environment", 's', "The environment."},
        {"name", 's', "The secret's name, or the file or variables it is read from."},
        {"version_id", 's',
         "The version that new server connections log in with; empty: none yet."},
        {"stage", 's', "The label under which that version was found last."},
        {"fetched", 'T', "When the secret was last read; NULL: never yet."},
        {"age_s", 'q', "How many seconds ago that was."},
        {"next_poll_s", 'q',
         "In how many seconds it is looked at again; NULL: no look is planned."},
        {"generation", 'i', "How many versions have been adopted."},
        {"last_error", 's',
         "What is wrong with reading it or logging in with it; empty if nothing is."},
        {"calls", 'q',
         "Requests to Secrets Manager since the start, repeated ones included; NULL, as in the next "
         "three: it is not asked for this secret."},
        {"calls_30d", 'q',
         "What they come to in 30 days at the rate so far; the rest of the first hour is thought to "
         "go by poll_interval."},
        {"polls_30d", 'q', "What looking every poll_interval comes to in 30 days by itself."},
        {"usd_30d", 'N',
         "What calls_30d cost, in dollars, at AWS's $0.05 for 10,000 requests; the secret itself is "
         "billed besides."},
};

static const char *secret_name(const struct snapshot_world *w, const struct pool *p,
                               const struct keyring_status *status)
{
        const struct config_environment *v = config_find(w->config, p->environment);
        if (v && v->source.kind == SOURCE_AWS && v->source.secret_name)
                return v->source.secret_name;
        return status->source;
}

/* A server that can't be reached is no fault of the secret, but of the same weight. */
static const char *last_error(const struct pool *p, const struct keyring_status *status)
{
        if (status->last_error && *status->last_error)
                return status->last_error;
        return p->logins.failing_since ? p->logins.failure.text : "";
}

static void cost_columns(const struct keyring_status *status, struct snapshot_rows *r)
{
        uint64_t price = cost_price(status->calls_a_month);
        char dollars[32];

        snprintf(dollars, sizeof dollars, "%" PRIu64 ".%06" PRIu64, price / 1000000, price % 1000000);
        if (status->billed) {
                snapshot_count(r, status->calls);
                snapshot_count(r, status->calls_a_month);
                snapshot_count(r, status->polls_a_month);
                snapshot_text(r, dollars);
        } else {
                for (unsigned i = 0; i < 4; i++)
                        snapshot_text(r, NULL);
        }
}

static void secrets_row(const struct snapshot_world *w, const struct pool *p,
                        struct snapshot_rows *r)
{
        struct keyring_status status = {0};
        keyring_status(p->keyring, &status);
        snapshot_text(r, p->environment);
        snapshot_text(r, secret_name(w, p, &status));
        snapshot_text(r, status.version_id);
        snapshot_text(r, status.stage);
        snapshot_moment(r, status.fetched);
        if (status.fetched)
                snapshot_count(r, status.age_ms / 1000);
        else
                snapshot_text(r, NULL);
        if (status.next_poll_ms >= 0)
                snapshot_number(r, (status.next_poll_ms + 999) / 1000);
        else
                snapshot_text(r, NULL);
        snapshot_count(r, status.generation);
        snapshot_text(r, last_error(p, &status));
        cost_columns(&status, r);
        snapshot_end(r);
}

static void secrets_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        list_each(v, &w->sessions->environments, struct sessions_environment, link)
                secrets_row(w, v->pool, r);
}

const struct snapshot snapshot_secrets = {
        .name = "SECRETS",
        .description =
                "The credentials that each environment is on: which version, how old, and what "
                "is wrong, and what asking for them costs.",
        SNAPSHOT_OF(secrets_columns),
        .rows = secrets_rows,
};

/* ---- ROTATIONS ---- */

static const struct snapshot_column rotations_columns[] = {
        {"environment", 's', "The environment."},
        {"started", 'T', "When it was noticed."},
        {"trigger", 's', "By what: login refused, poll, refresh or start."},
        {"from_version", 's', "The version in use before; empty: none."},
        {"to_version", 's', "The version in use after, or the one being tried."},
        {"stage", 's', "The label under which that version was found."},
        {"login_failures", 'i', "How many logins were refused meanwhile."},
        {"waiters", 'i', "How many clients waited at most."},
        {"bridged_ms", 'q',
         "For how many milliseconds no login was possible, while clients waited."},
        {"outcome", 's', "running, adopted, provisional, same version, given up or superseded."},
        {"drained_ms", 'q',
         "After how many milliseconds the last server connection of an older version was closed; "
         "NULL: some are open, there were none to close, or a later rotation came first."},
        {"steps", 's',
         "Its story, a step after the other, each with the milliseconds since the rotation was "
         "noticed and, in brackets, what it took; the log has a line for each."},
};

static void rotations_row(const struct pool *p, const struct keyring_rotation *h,
                          struct snapshot_rows *r)
{
        snapshot_text(r, p->environment);
        snapshot_moment(r, h->started);
        snapshot_text(r, h->trigger);
        snapshot_text(r, h->from_version);
        snapshot_text(r, h->to_version);
        snapshot_text(r, h->stage);
        snapshot_count(r, h->login_failures);
        snapshot_count(r, h->waiters);
        snapshot_number(r, h->bridged_ms);
        snapshot_text(r, h->outcome);
        if (h->drained_ms >= 0)
                snapshot_number(r, h->drained_ms);
        else
                snapshot_text(r, NULL);
        snapshot_text(r, h->steps);
        snapshot_end(r);
}

static void rotations_rows(const struct snapshot_world *w, struct snapshot_rows *r)
{
        const struct sessions_environment *v;
        const struct keyring_rotation *h;
        list_each(v, &w->sessions->environments, struct sessions_environment, link) {
                for (unsigned i = 0; (h = keyring_history(v->pool->keyring, i)); i++)
                        rotations_row(v->pool, h, r);
        }
}

const struct snapshot snapshot_rotations = {
        .name = "ROTATIONS",
        .description = "The last rotations of each environment, the newest first.",
        SNAPSHOT_OF(rotations_columns),
        .rows = rotations_rows,
};
