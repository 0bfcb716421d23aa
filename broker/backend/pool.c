#include "backend/pool_cancel.h"
#include "backend/pool_parts.h"

#include <stdio.h>
#include <string.h>
#include "base/expect.h"
#include "base/own.h"

#define RETIRE_SPREAD  10000    /* ms over which servers of an older credential leave */

void pool_look(struct pool *p)
{
        loop_defer(p->loop, &p->serve);
}

/* ---- servers that nobody has ---- */

bool pool_outdated(const struct pool *p, const struct server *s)
{
        struct credential *active = keyring_active(p->keyring);
        return active && s->credential != active;
}

static unsigned count_outdated(const struct pool *p)
{
        struct server *s;
        unsigned n = 0;
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link)
                        n += pool_outdated(p, s);
        }
        return n;
}

/* Tells the keyring when the last connection of older credentials is closed. */
static void note_drained(struct pool *p)
{
        if (p->older && !count_outdated(p)) {
                keyring_drained(p->keyring, p->older);
                p->older = 0;
        }
}

void pool_close(struct server *s, const char *why)
{
        struct pool *p = s->pool;
        log_debug(p->log, "server closed", log_str("environment", p->environment),
                  log_int("server", (int64_t) s->id), log_str("reason", why));
        pool_cancel_forget(s);
        pool_lent_no_more(s);
        if (s->dedicated)
                pool_dedicated_closed(s);
        server_become(s, SERVER_CLOSED, loop_now(p->loop));
        server_free(s);
        note_drained(p);
        pool_look(p);
}

/* A server of an older credential leaves within RETIRE_SPREAD, each at a moment of its own; at once
 * (close_needed) if the new one leads elsewhere. */
bool pool_must_leave(const struct pool *p, const struct server *s, uint64_t now)
{
        return s->close_needed || p->paused || p->draining || now >= s->expires ||
               (s->lent && !p->config.options.server_lifetime) ||
               (pool_outdated(p, s) && now >= p->adopted_at + s->id * 7919 % RETIRE_SPREAD);
}

void pool_settle_idle(struct server *s)
{
        struct pool *p = s->pool;
        pool_hosts_judge(s);
        if (pool_must_leave(p, s, loop_now(p->loop)))
                pool_close(s, "retired");
        else
                pool_look(p);
}

/* ---- coming back ---- */

static void retake(struct server *s, enum server_state state)
{
        struct pool *p = s->pool;
        s->borrower = NULL;
        stream_retarget(server_stream(s), &pool_own_events, s);
        pool_lent_no_more(s);
        server_become(s, state, loop_now(p->loop));
}

/* Its reset goes first, if it needs one; and a cancel request that is under way before that. */
static void give(struct server *s, struct bytes *reset)
{
        if (s->canceling) {
                s->scratch = *reset;
                retake(s, SERVER_CANCELED);
        } else if (bytes_length(reset)) {
                pool_clean(s, reset);
                retake(s, SERVER_CLEANING);
        } else {
                retake(s, SERVER_IDLE);
                pool_settle_idle(s);
        }
}

void pool_return(struct server *s)
{
        struct bytes out;
        if (s->dedicated) {
                pool_discard(s, "the client that it was made for left");
                return;
        }
        expect(track_quiet(&s->track) && frame_at_border(&s->cutter));
        bytes_init(&out, 0);
        track_calm(&s->track, &out);
        give(s, &out);
}

void pool_take_back(struct server *s)
{
        struct pool *p = s->pool;
        if (s->close_needed) {
                pool_close(s, "a cancel request may still hit it");
        } else if (bytes_length(&s->scratch)) {
                pool_clean(s, &s->scratch);
                server_become(s, SERVER_CLEANING, loop_now(p->loop));
        } else {
                server_become(s, SERVER_IDLE, loop_now(p->loop));
                pool_settle_idle(s);
        }
}

void pool_discard(struct server *s, const char *why)
{
        s->borrower = NULL;
        pool_close(s, why);
}

void pool_abandon(struct server *s, const struct track_client *c)
{
        struct bytes out;
        bytes_init(&out, 0);
        if (s->dedicated || !frame_at_border(&s->cutter) || !track_clean(c, &s->track, &out)) {
                bytes_free(&out);
                pool_discard(s, "its client left in the middle of something");
                return;
        }
        if (stream_paused(server_stream(s)))
                stream_resume(server_stream(s));
        if (bytes_length(&out))
                give(s, &out);
        else
                pool_return(s);
}

/* ---- clients ---- */

static bool full(unsigned clients, unsigned most, const char *key, const char *environment,
                 struct error *e)
{
        if (!most || clients < most)
                return false;
        error_set(e, "53300", "too many clients in environment %s (%s %u)", environment, key, most);
        error_hint(e, "Close idle clients or raise environments.%s.pool.%s.", environment, key);
        return true;
}

bool pool_enter(struct pool *p, struct pool_wait *w, uid_t uid, struct error *e)
{
        const struct pool_options *o = &p->config.options;
        if (full(p->clients, o->max_client_conn, "max_client_conn", p->environment, e) ||
            full(p->clients, o->max_db_client_connections, "max_db_client_connections",
                 p->environment, e))
                return false;
        w->quota = quota_enter(&p->quota, uid, e);
        p->clients += w->quota != NULL;
        return w->quota != NULL;
}

void pool_exit(struct pool *p, struct pool_wait *w)
{
        p->clients -= w->quota != NULL;
        pool_dedicated_forget(p, w);
        quota_leave(&p->quota, TAKE(w->quota));
}

/* ---- pins ---- */

bool pool_pin(struct pool *p, struct pool_pin *pin, struct pool_wait *w)
{
        if (pinning_take(&p->pinning, &p->config.options, pin, loop_now(p->loop)))
                return true;
        wait_join(&p->pinning.waiting, &w->quota->for_pin, w, loop_now(p->loop), loop_us());
        pool_look(p);
        return false;
}

void pool_pinned(struct pool *p, struct pool_pin *pin)
{
        pinning_hold(&p->pinning, pin, loop_now(p->loop));
}

void pool_unpin(struct pool *p, struct pool_pin *pin)
{
        pinning_drop(&p->pinning, pin);
        if (p->pinning.waiting.count || p->dedicated.waiting.count)
                pool_look(p);
}

/* ---- events from below ---- */

static void opened(void *arg, struct server *s)
{
        struct pool *p = arg;
        s->pool = p;
        p->hosts.doubt = false;
        stream_retarget(server_stream(s), &pool_own_events, s);
        if (s->dedicated) {
                if (*p->config.options.connect_query && !s->replication)
                        pool_prepare(s);
                else
                        pool_dedicated_opened(s);
                return;
        }
        if (!p->known || !settings_equal(p->known, s->connection->reported)) {
                settings_unref(p->known);
                p->known = settings_ref(s->connection->reported);
                p->known_changes++;
        }
        if (server_total(&p->servers) > p->config.options.pool_size + p->config.options.reserve_pool_size)
                pool_close(s, "a probe beyond pool_size");
        else if (*p->config.options.connect_query)
                pool_prepare(s);
        else
                pool_settle_idle(s);
}

static void not_opened(void *arg, const struct server *s, enum connect_failure f, const struct error *e)
{
        pool_dedicated_not_opened(arg, s, f, e);
}

/* A login that failed may have been one with older credentials. */
static void login_changed(void *arg)
{
        note_drained(arg);
        pool_look(arg);
}

static void unfit(void *arg, const struct connection *c)
{
        pool_hosts_unfit(arg, c);
}

static void probe(void *arg, struct credential *c)
{
        struct pool *p = arg;
        logins_probe(&p->logins, c);
}

static void adopted(void *arg, struct credential *c, bool elsewhere)
{
        struct pool *p = arg;
        struct server *s;
        (void) c;
        p->adopted_at = loop_now(p->loop);
        p->older = count_outdated(p);
        if (!p->older)
                keyring_drained(p->keyring, 0);
        /* Drain and switch: what was connected elsewhere takes no new work. */
        for (unsigned i = 0; elsewhere && i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link) {
                        if (pool_outdated(p, s))
                                s->close_needed = true;
                }
        }
        pool_sweep_idle(p, loop_now(p->loop));
        pool_look(p);
}

static void keyring_changed(void *arg)
{
        pool_look(arg);
}

static const struct keyring_owner keyring_owner = {probe, adopted, keyring_changed};

/* ---- life ---- */

/* An environment is one database. */
static void cap_servers(struct pool_options *o)
{
        uint32_t most = o->max_db_connections;
        if (most && o->pool_size > most)
                o->pool_size = most;
        if (most && o->reserve_pool_size > most - o->pool_size)
                o->reserve_pool_size = most - o->pool_size;
        if (o->min_pool_size > o->pool_size)
                o->min_pool_size = o->pool_size;
}

static char *renew(char **text, const char *from)
{
        char *copy = own_string(from ? from : "");
        free(*text);
        return *text = copy;
}

static void take_config(struct pool *p, const struct pool_config *config)
{
        struct pool_config c = *config;
        c.environment = renew(&p->environment, config->environment);
        c.tls.root_cert = renew(&p->root_cert, config->tls.root_cert);
        c.options.server_check_query = renew(&p->check_query, config->options.server_check_query);
        c.options.connect_query = renew(&p->connect_query, config->options.connect_query);
        p->config = c;
        cap_servers(&p->config.options);
}

struct pool *pool_new(struct loop *l, struct log *log, const struct pool_config *config,
                      struct source *source)
{
        struct pool *p = own_new(struct pool);
        p->loop = l;
        p->log = log;
        take_config(p, config);
        server_lists_init(&p->servers);
        wait_line_init(&p->waiting);
        pool_dedicated_init(&p->dedicated);
        pinning_init(&p->pinning);
        list_init(&p->cancels);
        p->texts = texts_new();
        stats_init(&p->stats, loop_now(l));
        deferred_init(&p->serve, pool_serve);
        quota_init(&p->quota, &p->waiting, &p->config.options);
        deadline_init(&p->sweep, pool_sweep);
        struct keyring_options k = {p->environment, config->poll_interval, config->bridge_timeout};
        p->keyring = keyring_new(l, log, &k, source, &keyring_owner, p);
        p->logins = (struct logins){.loop = l, .log = log, .environment = p->environment,
                                    .options = &p->config.options, .tls = &p->config.tls,
                                    .servers = &p->servers, .keyring = p->keyring,
                                    .gate = config->gate,
                                    .latency = &p->latency.login, .errors = &p->errors,
                                    .opened = opened, .not_opened = not_opened,
                                    .changed = login_changed, .unfit = unfit, .arg = p};
        logins_init(&p->logins);
        loop_set(l, &p->sweep, loop_now(l) + POOL_SWEEP_MS);
        pool_look(p);
        return p;
}

static bool same_tls(const struct enforce_options *a, const struct enforce_options *b)
{
        return a->min_ssl_mode == b->min_ssl_mode && a->channel_binding == b->channel_binding &&
               strcmp(a->root_cert ? a->root_cert : "", b->root_cert ? b->root_cert : "") == 0;
}

void pool_set(struct pool *p, const struct pool_config *config)
{
        bool other_demands = !same_tls(&p->config.tls, &config->tls) ||
                             p->config.options.target != config->options.target;
        take_config(p, config);
        if (other_demands)
                pool_reconnect(p);
        p->logins.environment = p->environment;
        struct keyring_options k = {p->environment, config->poll_interval, config->bridge_timeout};
        keyring_set(p->keyring, &k);
        quota_look(&p->quota);
        pool_look(p);
}

void pool_free(struct pool *p)
{
        struct server *s;
        if (!p)
                return;
        expect(!p->waiting.count && !p->pinning.count && list_empty(&p->dedicated.asked));
        pool_cancel_end_all(p);
        logins_stop(&p->logins);
        pool_hosts_free(&p->hosts);
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link)
                        server_free(s);
        }
        keyring_free(p->keyring);
        loop_clear(p->loop, &p->sweep);
        deferred_clear(&p->serve);
        settings_unref(p->known);
        texts_free(p->texts);
        quota_free(&p->quota);
        free(p->environment);
        free(p->root_cert);
        free(p->check_query);
        free(p->connect_query);
        free(p);
}
