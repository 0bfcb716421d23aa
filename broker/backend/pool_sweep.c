#include "backend/pool_parts.h"

#include "base/own.h"

static bool idle_too_long(const struct pool *p, const struct server *s, uint64_t now)
{
        uint64_t limit = p->config.options.server_idle_timeout;
        return limit && now - s->since >= limit &&
               server_total(&p->servers) > p->config.options.min_pool_size;
}

void pool_sweep_idle(struct pool *p, uint64_t now)
{
        struct server *s;
        list_each(s, &p->servers.in[SERVER_IDLE], struct server, link) {
                if (pool_must_leave(p, s, now) || idle_too_long(p, s, now))
                        pool_close(s, "retired");
        }
}

/* A server that does not answer what the broker asks for itself must not hold its place for ever. */
static void sweep_asked(struct pool *p, enum server_state state, const char *why, uint64_t now)
{
        struct server *s;
        uint64_t limit = p->config.options.server_connect_timeout;
        list_each(s, &p->servers.in[state], struct server, link) {
                if (!limit || now - s->since < limit)
                        continue;
                log_warn(p->log, "server does not answer", log_str("environment", p->environment),
                         log_int("server", (int64_t) s->id), log_str("reason", why));
                pool_close(s, why);
        }
}

/* server_fast_close: in session mode nobody waits for the client to leave by itself. */
static void sweep_lent(struct pool *p)
{
        const struct pool_options *o = &p->config.options;
        struct server *s;
        if (!o->server_fast_close || o->pool_mode != POOL_SESSION)
                return;
        list_each(s, &p->servers.in[SERVER_LENT], struct server, link) {
                if (s->close_needed)
                        s->leave(s->borrower);
        }
}

/* Pins whose server leads elsewhere than the secret does now, and that had their time since. One that
 * is only old, or on an older password, goes on until its pin ends. */
static void sweep_pinned(struct pool *p, uint64_t now)
{
        uint64_t patience = p->config.options.pin_drain_timeout;
        struct pool_pin *pin;
        list_each(pin, &p->pinning.held, struct pool_pin, link) {
                const struct server *s = *pin->server;
                uint64_t since = pin->since > p->adopted_at ? pin->since : p->adopted_at;
                bool elsewhere = s && s->close_needed && pool_outdated(p, s);
                if (patience && elsewhere && !pin->told && now - since >= patience) {
                        pin->told = true;
                        pin->drain(pin->client);
                }
        }
}

void pool_sweep(struct deadline *d)
{
        struct pool *p = container_of(d, struct pool, sweep);
        uint64_t now = loop_now(p->loop);
        loop_set(p->loop, &p->sweep, now + POOL_SWEEP_MS);
        stats_tick(&p->stats, now);
        pool_sweep_idle(p, now);
        sweep_asked(p, SERVER_CLEANING, "its reset took too long", now);
        sweep_asked(p, SERVER_TESTING, "server_check_query took too long", now);
        sweep_asked(p, SERVER_PREPARING, "connect_query took too long", now);
        sweep_lent(p);
        pool_hosts_look_up(p, now);
        sweep_pinned(p, now);
        pool_sweep_waits(p);
        pool_look(p);
}
