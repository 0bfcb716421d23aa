/* Lending: who gets which server, and when another one is opened. */
#include "backend/pool_parts.h"

#include "base/own.h"

#define LOOK_AT        8        /* idle servers, for the one that fits best */
#define TEST_MS        1000     /* a test that takes longer is not waited for */
#define QUIET_CHECK_MS 1000     /* idle for longer: look at the socket before lending */

/* Has it been unused for longer than server_check_delay? Once tested it is fit for a moment, even if
 * that is 0. */
static bool must_be_tested(const struct pool *p, const struct server *s, uint64_t now)
{
        const struct pool_options *o = &p->config.options;
        uint64_t delay = o->server_check_delay;
        if (s->tested && delay < QUIET_CHECK_MS)
                delay = QUIET_CHECK_MS;
        return *o->server_check_query && now - s->since >= delay;
}

/* The one used last is the likeliest to be fit, and the others grow old and leave; one that had a
 * client of the same user needs no reset. */
static struct server *pick_idle(struct pool *p, uid_t uid, uint64_t now)
{
        struct server *s, *best = NULL;
        int best_worth = -1;
        unsigned looked = 0;
        if (p->config.options.server_round_robin)
                return list_last(&p->servers.in[SERVER_IDLE], struct server, link);
        list_each(s, &p->servers.in[SERVER_IDLE], struct server, link) {
                int worth = 2 * !must_be_tested(p, s, now) + (s->used && s->last_uid == uid);
                if (worth > best_worth) {
                        best = s;
                        best_worth = worth;
                }
                if (++looked == LOOK_AT || best_worth == 3)
                        break;
        }
        return best;
}

static bool fit_to_lend(struct server *s, uint64_t now)
{
        if (s->close_needed || now >= s->expires)
                return false;
        return now - s->since < QUIET_CHECK_MS || stream_quiet(server_stream(s));
}

void pool_lent_no_more(struct server *s)
{
        struct pool *p = s->pool;
        if (!s->user)
                return;
        quota_return(&p->quota, TAKE(s->user));
        pool_look(p);
}

struct server *pool_lend(struct pool *p, struct server *s, struct quota_user *user)
{
        server_become(s, SERVER_LENT, loop_now(p->loop));
        p->stats.total.server_assignment_count++;
        s->lent = true;
        s->tested = false;
        s->read_only = false;
        s->user = user;
        quota_lend(&p->quota, user);
        return s;
}

/* NULL: none is there, or none yet: what must be tested first is, as many at a time as are waited for. */
static struct server *lend(struct pool *p, const struct pool_wait *w)
{
        struct server *s;
        uint64_t now = loop_now(p->loop);
        while ((s = pick_idle(p, w->quota->uid, now))) {
                if (!fit_to_lend(s, now)) {
                        pool_close(s, "not fit to be lent");
                        continue;
                }
                if (!must_be_tested(p, s, now))
                        return pool_lend(p, s, w->quota);
                unsigned testing = p->servers.count[SERVER_TESTING];
                if (testing && testing >= p->waiting.ready)
                        return NULL;
                pool_test(s);
        }
        return NULL;
}

bool pool_must_reset(const struct server *s, uid_t uid)
{
        const struct pool *p = s->pool;
        return s->used && (p->config.strict || s->last_uid != uid);
}

static unsigned wanted_size(const struct pool *p)
{
        const struct pool_options *o = &p->config.options;
        const struct pool_wait *first = wait_oldest(&p->waiting);
        unsigned size = o->pool_size;
        if (first && o->reserve_pool_timeout &&
            loop_now(p->loop) - first->since >= o->reserve_pool_timeout)
                size += o->reserve_pool_size;
        return size;
}

/* Servers that will be there in a moment. */
static unsigned coming(const struct pool *p)
{
        const struct server *s;
        unsigned count = p->servers.count[SERVER_LOGIN] + p->servers.count[SERVER_PREPARING] -
                         p->logins.dedicated;
        list_each(s, &p->servers.in[SERVER_TESTING], struct server, link) {
                if (loop_now(p->loop) - s->since >= TEST_MS)
                        break;
                count++;
        }
        return count;
}

/* Opens servers for those who wait, and up to min_pool_size. */
static void open_servers(struct pool *p)
{
        if (p->paused || p->draining)
                return;
        unsigned expected = coming(p);
        while (server_total(&p->servers) < wanted_size(p) &&
               (expected < p->waiting.ready || p->hosts.doubt ||
                server_total(&p->servers) < p->config.options.min_pool_size)) {
                if (!logins_open(&p->logins, p->waiting.count > 0))
                        return;
                p->hosts.doubt = false;
                expected++;
        }
}

bool pool_shares(const struct pool *p)
{
        const unsigned *count = p->servers.count;
        unsigned others = server_total(&p->servers) - count[SERVER_LOGIN] - count[SERVER_IDLE];
        const struct server *s;
        list_each(s, &p->servers.in[SERVER_LENT], struct server, link)
                others -= s->dedicated;
        return others > 0;
}

/* Is waiting of no use any more? */
static bool hopeless(struct pool *p, struct error *e)
{
        if (p->draining) {
                error_set(e, "57P01", "the broker is shutting down");
                return error_hint(e, "Connect again in a moment.");
        }
        return (keyring_given_up(p->keyring, e) || logins_given_up(&p->logins, e)) && !pool_shares(p);
}

/* Clients with a server that wait for leave to pin, and one with leave that waits for a server, would
 * wait for each other: the leave is passed on, and its holder asks again when it has a server. */
static void pass_leave(struct pool *p)
{
        struct pool_wait *w;
        list_each(w, &p->pinning.waiting.all, struct pool_wait, in_line) {
                if (!w->has_server)
                        continue;
                if (!pinning_reclaim(&p->pinning, &p->waiting))
                        return;
                if (p->pinning.count < pinning_most(&p->config.options))
                        wait_give(w, NULL);
        }
}

static void give_up(struct pool *p)
{
        struct error e = {0};
        if (!hopeless(p, &e))
                return;
        wait_fail_all(&p->waiting, &e);
        wait_fail_all(&p->dedicated.waiting, &e);
}

void pool_serve(struct deferred *d)
{
        struct pool *p = container_of(d, struct pool, serve);
        struct pool_wait *w;
        struct server *s;
        pool_dedicated_serve(p);
        while (!p->paused && (w = wait_next(&p->waiting)) && (s = lend(p, w))) {
                uint64_t waited = loop_us() - w->since_us;
                p->stats.total.wait_time += waited;
                histogram_add(&p->latency.wait, waited);
                wait_give(w, s);
        }
        while (p->pinning.count < pinning_most(&p->config.options) &&
               (w = wait_next(&p->pinning.waiting)))
                wait_give(w, NULL);
        if (p->waiting.count)
                pass_leave(p);
        open_servers(p);
        unsigned waiters = p->waiting.count + p->dedicated.waiting.count;
        /* The demand first: it may begin a round, and who waits hears the end of that. */
        keyring_waiters(p->keyring, waiters);
        keyring_demand(p->keyring, waiters > 0 ||
                                           server_total(&p->servers) < p->config.options.min_pool_size);
        if (waiters)
                give_up(p);
}

struct server *pool_take(struct pool *p, struct pool_wait *w)
{
        struct wait_user *user = &w->quota->for_server;
        if (!p->paused && !p->draining && !p->waiting.ready && !user->held) {
                struct server *s = lend(p, w);
                if (s) {
                        histogram_add(&p->latency.wait, 0);
                        return s;
                }
        }
        wait_join(&p->waiting, user, w, loop_now(p->loop), loop_us());
        pool_look(p);
        return NULL;
}

void pool_leave(struct pool *p, struct pool_wait *w)
{
        if (!wait_waits(w))
                return;
        wait_leave(w);
        pool_look(p);
}
