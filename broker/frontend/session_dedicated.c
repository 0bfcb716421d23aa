#include "frontend/session_parts.h"

#include "backend/pool_dedicated.h"

#define OPTIONS_MAX 8192                /* with names and the rest they fit into a startup packet */

bool session_needs_dedicated(const struct session *s)
{
        return s->greet->replication || settings_count(s->greet->at_start);
}

static void refuse(struct session *s)
{
        struct error e = {0};
        const char *environment = s->home->pool->environment;
        error_set(&e, "0A000", "replication connections are refused: environments.%s.pool.replication is false",
                  environment);
        error_hint(&e, "Set it to true, or connect to the database server itself.");
        session_end(s, &e);
}

/* A walsender takes no SET: it is told all of them. */
static void put_options(const struct greet *g, struct bytes *out)
{
        struct settings *all = g->replication ? home_overlay(g->settings, g->at_start) : settings_ref(g->at_start);
        settings_options(all, out);
        bytes_append(out, "", 1);
        settings_unref(all);
}

void session_dedicate(struct session *s)
{
        const char *replication = s->greet->replication;
        struct error e = {0};
        struct bytes options;
        if (replication && !session_options(s)->replication) {
                refuse(s);
                return;
        }
        s->dedicated = true;
        s->replication = replication ? startup_replication(replication) : REPLICATION_NONE;
        session_pin_start(s);
        bytes_init(&options, OPTIONS_MAX);
        put_options(s->greet, &options);
        if (options.failed) {
                error_set(&e, "54000", "the parameters of this session's start may have %d bytes in all, written as "
                          "options", OPTIONS_MAX);
                session_end(s, &e);
        } else {
                const struct connect_session asked = {.options = (const char *) bytes_data(&options),
                                                      .replication = replication};
                pool_dedicate(s->home->pool, &s->wait, session_pin(s), &asked);
                session_settle(s);
        }
        bytes_free(&options);
}
