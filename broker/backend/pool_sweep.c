#include "backend/pool_parts.h"

#include <stdio.h>
#include "base/own.h"

static void pin_wait_too_long(const struct pool *p, const struct pool_wait *w, struct error *e)
{
        char holders[300];
        uint64_t now = loop_now(p->loop);
        const struct pool_options *o = &p->config.options;
        error_set(e, "53400", "max_pinned: %u of %u servers of %s may be pinned and all are; waited %llu s "
                  "for leave to pin; held by %s", pinning_most(o), o->pool_size, p->environment,
                  (unsigned long long) (now - w->since) / 1000,
                  pinning_holders(&p->pinning, now, holders, sizeof holders));
        error_hint(e, "End the session state that pins (SHOW PINS), or raise max_pinned or pool_size.");
}

static void wait_too_long(const struct pool *p, const struct pool_wait *w, struct error *e)
{
        char holders[300];
        if (!p->servers.count[SERVER_LENT] && logins_failing(&p->logins, e))
                return;
        pool_borrowers(p, holders, sizeof holders);
        error_set(e, "53400", "query_wait_timeout: no server of %s became free in %llu s; %u of %u in "
                  "use, %u pinned%s%s", p->environment,
                  (unsigned long long) (loop_now(p->loop) - w->since) / 1000,
                  p->servers.count[SERVER_LENT], p->config.options.pool_size, p->pinning.count,
                  *holders ? "; held by " : "", holders);
        error_hint(e, "See SHOW POOLS and SHOW CLIENTS for who holds them; raise pool_size or "
                      "query_wait_timeout.");
}

static void expire_waits(struct pool *p, struct wait_line *line,
                         void (*why)(const struct pool *p, const struct pool_wait *w, struct error *e))
{
        uint64_t patience = p->config.options.query_wait_timeout;
        struct pool_wait *w;
        while (patience && (w = wait_first(line)) && loop_now(p->loop) - w->since >= patience) {
                struct error e = {0};
                why(p, w, &e);
                wait_fail(w, &e);
        }
}

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

/* A server that does not answer, not even that it is clean, must not hold its place for ever. */
static void sweep_cleaning(struct pool *p, uint64_t now)
{
        struct server *s;
        uint64_t limit = p->config.options.server_connect_timeout;
        list_each(s, &p->servers.in[SERVER_CLEANING], struct server, link) {
                if (limit && now - s->since >= limit)
                        pool_close(s, "its reset took too long");
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
                        pin->drain(pin);
                }
        }
}

void pool_sweep(struct deadline *d)
{
        struct pool *p = container_of(d, struct pool, sweep);
        uint64_t now = loop_now(p->loop);
        struct error e;
        loop_set(p->loop, &p->sweep, now + POOL_SWEEP_MS);
        stats_tick(&p->stats, now);
        pool_sweep_idle(p, now);
        sweep_cleaning(p, now);
        sweep_pinned(p, now);
        /* During a bridge clients wait for the bridge, however short query_wait_timeout is. */
        if (!keyring_bridging(p->keyring) || keyring_given_up(p->keyring, &e))
                expire_waits(p, &p->waiting, wait_too_long);
        expire_waits(p, &p->pinning.waiting, pin_wait_too_long);
        pool_look(p);
}
