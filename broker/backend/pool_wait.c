/* What those are told who wait for long, or in vain. */
#include "backend/pool_parts.h"

#include <stdio.h>

#define NOTICES_AT_ONCE 256             /* in one sweep: the others hear it in the next */

static unsigned long long seconds(const struct pool *p, const struct pool_wait *w)
{
        return (unsigned long long) (loop_now(p->loop) - w->since) / 1000;
}

static void tell(const struct pool *p, struct pool_wait *w)
{
        char why[400], text[500];
        const char *what = pool_waits_for(p, w, why, sizeof why);
        snprintf(text, sizeof text, "%s: waiting for %s, %llu s so far: %s", p->environment, what,
                 seconds(p, w), why);
        w->events->notify(w, text);
}

static void notify_waits(struct pool *p, struct wait_line *line)
{
        uint64_t limit = p->config.options.query_wait_notify;
        unsigned told = 0;
        struct pool_wait *w;
        list_each(w, &line->all, struct pool_wait, in_line) {
                if (!limit || loop_now(p->loop) - w->since < limit || told == NOTICES_AT_ONCE)
                        return;
                if (w->notified)
                        continue;
                w->notified = true;
                told++;
                tell(p, w);
        }
}

static void pin_wait_too_long(const struct pool *p, const struct pool_wait *w, struct error *e)
{
        char why[400];
        pool_waits_for(p, w, why, sizeof why);
        error_set(e, "53400", "no leave to pin in %s in %llu s; %s", p->environment, seconds(p, w), why);
        error_hint(e, "End the session state that pins (SHOW PINS), or raise max_pinned or pool_size.");
}

static void wait_too_long(const struct pool *p, const struct pool_wait *w, struct error *e)
{
        char why[400];
        if (pool_waits_for_pin(p, w)) {
                pin_wait_too_long(p, w, e);
                return;
        }
        if (!pool_shares(p) && logins_failing(&p->logins, e))
                return;
        if (keyring_lacking(p->keyring, e))
                return;
        pool_waits_for(p, w, why, sizeof why);
        if (*pool_dedicated_why(p, w)) {
                error_set(e, "08001", "no server connection could be made for this client in %llu s "
                          "(query_wait_timeout); %s", seconds(p, w), why);
                error_hint(e, "The broker went on trying: see its log, and the server's.");
                return;
        }
        /* Nobody has a server, and no setting of the pool would help. */
        if (!p->paused && !keyring_active(p->keyring)) {
                error_set(e, "57P03", "no credentials for %s in %llu s (query_wait_timeout); %s",
                          p->environment, seconds(p, w), why);
                error_hint(e, "See SHOW SECRETS; the broker goes on trying.");
                return;
        }
        error_set(e, "53400", "query_wait_timeout: no server of %s became free in %llu s; %s",
                  p->environment, seconds(p, w), why);
        error_hint(e, "See SHOW POOLS and SHOW CLIENTS for who holds them; raise pool_size or "
                      "query_wait_timeout.");
}

static void expire_waits(struct pool *p, struct wait_line *line)
{
        uint64_t patience = p->config.options.query_wait_timeout;
        struct pool_wait *w;
        while (patience && (w = wait_oldest(line)) && loop_now(p->loop) - w->since >= patience) {
                struct error e = {0};
                wait_too_long(p, w, &e);
                wait_fail(w, &e);
        }
}

void pool_sweep_waits(struct pool *p)
{
        struct error e;
        /* During a bridge clients wait for the bridge, however short query_wait_timeout is. */
        if (!keyring_bridging(p->keyring) || keyring_given_up(p->keyring, &e)) {
                expire_waits(p, &p->waiting);
                expire_waits(p, &p->dedicated.waiting);
        }
        expire_waits(p, &p->pinning.waiting);
        notify_waits(p, &p->waiting);
        notify_waits(p, &p->dedicated.waiting);
        notify_waits(p, &p->pinning.waiting);
}
