#include "ops/snapshot_secrets.h"

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
                snapshot_number(r, w->now > status.fetched ? w->now - status.fetched : 0);
        else
                snapshot_text(r, NULL);
        if (status.next_poll_ms >= 0)
                snapshot_number(r, (status.next_poll_ms + 999) / 1000);
        else
                snapshot_text(r, NULL);
        snapshot_count(r, status.generation);
        snapshot_text(r, last_error(p, &status));
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
                "is wrong.",
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
