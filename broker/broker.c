#include "broker.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/expect.h"
#include "base/log.h"
#include "base/sealed.h"
#include "frontend/sessions.h"
#include "io/http.h"
#include "io/work.h"
#include "ops/check.h"
#include "ops/console.h"
#include "ops/life.h"
#include "ops/place.h"
#include "secret/chain.h"

/* A broker that was replaced keeps no server that nobody has for longer than this. */
#define LINGER_IDLE_MS 1000

struct broker {
        struct loop *loop;
        struct log *log;
        struct http *http;
        struct chain *chain;
        struct sessions *sessions;
        struct logins_gate gate;
        struct console *console;
        struct config *config;
        const struct arguments *arguments;
        struct reload *reload;          /* the one that is under way */
        struct life life;
        struct place place;
        struct deadline leave;          /* draining, lingering: look whether all are gone */
        struct list retiring;           /* environments that are configured no more */
        struct deadline retire;         /* look whether their last sessions have ended */
        int exit_code;
};

/* ---- environments ---- */

static struct pool_config pool_config(struct broker *b, const struct config_environment *v)
{
        struct pool_config c = {.environment = v->name, .options = v->pool, .tls = v->tls,
                                .strict = v->isolation == ISOLATION_STRICT,
                                .poll_interval = v->poll_interval,
                                .bridge_timeout = v->bridge_timeout, .gate = &b->gate};
        if (b->place.lingering) {
                c.options.min_pool_size = 0;
                c.options.server_idle_timeout = LINGER_IDLE_MS;
        }
        return c;
}

static bool same_text(const char *a, const char *b)
{
        return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_source(const struct source_options *a, const struct source_options *b)
{
        return a->kind == b->kind && same_text(a->secret_name, b->secret_name) &&
               same_text(a->secret_region, b->secret_region) && same_text(a->region, b->region) &&
               same_text(a->endpoint_url, b->endpoint_url) && same_text(a->path, b->path) &&
               same_text(a->variable, b->variable) && same_text(a->endpoint.host, b->endpoint.host) &&
               a->endpoint.port == b->endpoint.port &&
               same_text(a->endpoint.database, b->endpoint.database);
}

static void remove_environment(struct broker *b, struct sessions_environment *v)
{
        struct pool *pool = v->pool;
        sessions_remove(b->sessions, v);
        pool_free(pool);
}

static void free_retired(struct deadline *d)
{
        struct broker *b = container_of(d, struct broker, retire);
        struct sessions_environment *v;
        list_each(v, &b->retiring, struct sessions_environment, link) {
                if (v->pool->clients == 0)
                        remove_environment(b, v);
        }
        if (!list_empty(&b->retiring))
                loop_set(b->loop, &b->retire, loop_now(b->loop) + 200);
}

/* What is open in it may go on to its end. */
static void retire_environment(struct broker *b, struct sessions_environment *v)
{
        log_info(b->log, "environment retires", log_str("environment", v->name),
                 log_int("clients", v->pool->clients));
        sessions_retire(b->sessions, v);
        pool_drain(v->pool);
        list_push_back(&b->retiring, &v->link);
        loop_set(b->loop, &b->retire, loop_now(b->loop));
}

static bool add_environment(struct broker *b, const struct config_environment *v, struct error *e)
{
        struct source *source = source_new(b->loop, b->http, b->chain, b->log, &v->source, e);
        if (!source)
                return error_context(e, "environment %s", v->name);
        struct pool_config c = pool_config(b, v);
        struct pool *pool = pool_new(b->loop, b->log, &c, source);
        sessions_put(b->sessions, v->name, v->aliases, v->alias_count, pool, &v->access);
        return true;
}

static const struct config_environment *by_name(const struct config *c, const char *name)
{
        for (size_t i = 0; i < c->environment_count; i++) {
                if (strcmp(c->environments[i].name, name) == 0)
                        return &c->environments[i];
        }
        return NULL;
}

/* Environments that are gone, or whose secret comes from elsewhere now (those begin anew). */
static void drop_environments(struct broker *b, const struct config *fresh)
{
        struct sessions_environment *v;
        list_each(v, &b->sessions->environments, struct sessions_environment, link) {
                const struct config_environment *now = by_name(fresh, v->name);
                const struct config_environment *was = by_name(b->config, v->name);
                if (!now || !was || !same_source(&now->source, &was->source))
                        retire_environment(b, v);
        }
}

static bool put_environments(struct broker *b, const struct config *c, struct error *e)
{
        for (size_t i = 0; i < c->environment_count; i++) {
                const struct config_environment *v = &c->environments[i];
                struct sessions_environment *there = sessions_find(b->sessions, v->name);
                if (!there) {
                        if (!add_environment(b, v, e))
                                return false;
                        continue;
                }
                struct pool_config pc = pool_config(b, v);
                pool_set(there->pool, &pc);
                sessions_put(b->sessions, v->name, v->aliases, v->alias_count, there->pool, &v->access);
        }
        return true;
}

static bool apply(struct broker *b, const struct config *c, struct error *e)
{
        log_set(b->log, c->log.level, c->log.format);
        b->sessions->login_timeout = c->environments[0].pool.client_login_timeout;
        sessions_set_admin(b->sessions, &c->admin);
        return put_environments(b, c, e);
}

/* ---- RELOAD and SET ---- */

struct reload {
        struct broker *broker;          /* NULL: it ended meanwhile */
        const struct arguments *arguments;
        const struct config *running;
        char *key, *value;              /* of SET; NULL: all is read again */
        struct config *fresh;
        struct error error;
        bool ok;
        void (*done)(void *arg, const struct error *e);
        void *arg;
};

/* On a thread: users and groups may come from a slow directory service. */
static void load_again(void *arg)
{
        struct reload *r = arg;
        if (r->key)
                r->ok = config_set(r->running, r->key, r->value, &r->fresh, &r->error);
        else
                r->ok = config_load(&r->arguments->config, &r->fresh, &r->error);
}

static void free_reload(struct reload *r)
{
        free(r->key);
        free(r->value);
        free(r);
}

static void warn_of_restart(struct broker *b, const struct config *fresh)
{
        OWN(free) char *keys = config_needs_restart(b->config, fresh);
        if (keys)
                log_warn(b->log, "some changes need a restart", log_str("keys", keys));
}

static void loaded(void *arg)
{
        struct reload *r = arg;
        struct broker *b = r->broker;
        if (!b) {
                config_free(r->fresh);
                free_reload(r);
                return;
        }
        b->reload = NULL;
        if (r->ok) {
                warn_of_restart(b, r->fresh);
                drop_environments(b, r->fresh);
                r->ok = apply(b, r->fresh, &r->error);
                config_free(b->config);
                b->config = r->fresh;
        }
        if (r->ok && r->key)
                log_info(b->log, "setting changed", log_str("key", r->key), log_str("value", r->value));
        else if (r->ok)
                log_write(b->log, LOG_INFO, "configuration reloaded", NULL);
        else
                log_error(b->log, "configuration not reloaded", log_reason(&r->error));
        life_ready(&b->life);
        if (r->done)
                r->done(r->arg, r->ok ? NULL : &r->error);
        free_reload(r);
}

/* The running configuration changes only when this is over, or ends after it. */
static void begin_reload(struct broker *b, const char *key, const char *value,
                         void (*done)(void *arg, const struct error *e), void *done_arg)
{
        if (b->reload) {
                struct error e = {0};
                error_set(&e, "55006", "a reload is under way");
                if (done)
                        done(done_arg, &e);
                return;
        }
        struct reload *r = b->reload = own_new(struct reload);
        life_reloading(&b->life);
        r->broker = b;
        r->arguments = b->arguments;
        r->running = b->config;
        r->key = key ? own_string(key) : NULL;
        r->value = value ? own_string(value) : NULL;
        r->done = done;
        r->arg = done_arg;
        work_submit(b->loop, load_again, loaded, r);
}

static void reload(void *arg, void (*done)(void *arg, const struct error *e), void *done_arg)
{
        begin_reload(arg, NULL, NULL, done, done_arg);
}

static void set(void *arg, const char *key, const char *value,
                void (*done)(void *arg, const struct error *e), void *done_arg)
{
        begin_reload(arg, key, value, done, done_arg);
}

/* ---- the end ---- */

static void drain(struct broker *b)
{
        struct sessions_environment *v;
        log_info(b->log, "draining", log_int("clients", b->sessions->count));
        life_stopping(&b->life);
        place_leave(&b->place);
        place_end_elders(&b->place, false);
        sessions_drain(b->sessions);
        list_each(v, &b->sessions->environments, struct sessions_environment, link)
                pool_drain(v->pool);
        loop_set(b->loop, &b->leave, loop_now(b->loop));
}

static void leave_if_empty(struct deadline *d)
{
        struct broker *b = container_of(d, struct broker, leave);
        if (b->sessions->count == 0 && b->sessions->doorman.seen_out == 0 && list_empty(&b->place.elders.list))
                loop_stop(b->loop);
        else
                loop_set(b->loop, &b->leave, loop_now(b->loop) + 20);
}

static void shut_down(void *arg, enum console_shutdown how)
{
        struct broker *b = arg;
        switch (how) {
        case SHUTDOWN_NOW:
                loop_stop(b->loop);
                break;
        case SHUTDOWN_WAIT_FOR_SERVERS:
                drain(b);
                break;
        case SHUTDOWN_WAIT_FOR_CLIENTS:
                life_stopping(&b->life);
                place_leave(&b->place);
                b->sessions->draining = true;
                loop_set(b->loop, &b->leave, loop_now(b->loop));
                break;
        }
}

/* ---- being replaced ---- */

/* The clients that are here notice nothing; servers that nobody has make room for the other's. */
static void replaced(void *arg)
{
        struct broker *b = arg;
        struct error e = {0};
        put_environments(b, b->config, &e);
        error_set(&e, "57P01", "another broker has taken this one's place");
        error_hint(&e, "Connect again.");
        console_send_away(b->console, &e);
        loop_set(b->loop, &b->leave, loop_now(b->loop));
}

static void drain_all(void *arg)
{
        drain(arg);
}

static void end_now(void *arg)
{
        struct broker *b = arg;
        loop_stop(b->loop);
}

static void cannot_start(void *arg, const struct error *e)
{
        struct broker *b = arg;
        log_error(b->log, "can't start", log_reason(e));
        b->exit_code = 1;
        loop_stop(b->loop);
}

/* ---- signals ---- */

static void on_signal(void *arg, int number)
{
        struct broker *b = arg;
        if (number == SIGHUP)
                reload(b, NULL, NULL);
        else if (b->sessions->draining || b->place.replace)
                loop_stop(b->loop);
        else
                drain(b);
}

static const struct config *current_config(void *arg)
{
        struct broker *b = arg;
        return b->config;
}

static void console_arrived(void *arg, struct stream *stream, const struct listen_peer *peer,
                            const struct greet *greet)
{
        struct broker *b = arg;
        console_serve(b->console, stream, peer, greet);
}

/* ---- building ---- */

static void build(struct broker *b, struct notify notify)
{
        b->loop = loop_new();
        logins_gate_init(&b->gate);
        b->log = log_new(STDERR_FILENO, b->config->log.level, b->config->log.format);
        b->http = http_new(b->loop);
        b->chain = chain_new(b->loop, b->http, NULL);
        b->sessions = sessions_new(b->loop, b->log);
        life_init(&b->life, notify, b->loop, b->sessions);
        struct place_world place = {.loop = b->loop, .log = b->log, .sessions = b->sessions,
                                    .life = &b->life, .config = current_config, .replaced = replaced,
                                    .drain = drain_all, .end = end_now, .failed = cannot_start, .arg = b};
        place_init(&b->place, &place);
        struct console_world world = {.loop = b->loop, .log = b->log, .sessions = b->sessions,
                                      .config = current_config, .reload = reload, .set = set,
                                      .shutdown = shut_down, .elders = &b->place.elders, .arg = b,
                                      .started = time(NULL)};
        b->console = console_new(&world);
        b->sessions->max_client_conn = b->config->socket.max_client_conn;
        b->sessions->console = console_arrived;
        b->sessions->console_arg = b;
        deadline_init(&b->leave, leave_if_empty);
        deadline_init(&b->retire, free_retired);
        list_init(&b->retiring);
        loop_signal(b->loop, SIGHUP, on_signal, b);
        loop_signal(b->loop, SIGTERM, on_signal, b);
        loop_signal(b->loop, SIGINT, on_signal, b);
}

/* The loop has taken its handlers with it: one more SIGTERM must not kill what is about to end well. */
static void ignore_signals(void)
{
        signal(SIGHUP, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
}

static void take_down(struct broker *b)
{
        struct sessions_environment *v;
        if (b->reload)
                b->reload->broker = NULL;
        place_end_elders(&b->place, true);
        place_free(&b->place);
        life_free(&b->life);
        loop_clear(b->loop, &b->leave);
        loop_clear(b->loop, &b->retire);
        console_free(b->console);
        list_each(v, &b->sessions->environments, struct sessions_environment, link)
                remove_environment(b, v);
        list_each(v, &b->retiring, struct sessions_environment, link)
                remove_environment(b, v);
        sessions_free(b->sessions);
        chain_free(b->chain);
        http_free(b->http);
        loop_free(b->loop);
        ignore_signals();
        log_free(b->log);
        config_free(b->config);
}

static void warn_at_start(struct broker *b)
{
        if (geteuid() == 0)
                log_warn(b->log, "running as root", log_str("hint", "a user of its own is enough"));
        if (sealed_unlocked())
                log_warn(b->log, "secrets are not locked in memory",
                         log_str("hint", "raise RLIMIT_MEMLOCK (LimitMEMLOCK=)"));
}

static bool start(struct broker *b, int inherited, struct error *e)
{
        if (!apply(b, b->config, e))
                return false;
        if (!b->arguments->replace)
                return place_start(&b->place, inherited, e);
        if (inherited >= 0) {
                error_set(e, "22023", "found --replace, but the service manager gave the socket (LISTEN_FDS)");
                return error_hint(e, "Restart the service: its socket stays open meanwhile.");
        }
        place_take(&b->place);
        return true;
}

int broker_run(struct config *config, const struct arguments *arguments)
{
        struct broker b = {.config = config, .arguments = arguments};
        struct error e = {0};
        int inherited = -1;
        struct notify notify = notify_open();
        bool fine = listen_inherited(&inherited, &e);
        build(&b, notify);
        warn_at_start(&b);
        if (fine && start(&b, inherited, &e)) {
                loop_run(b.loop);
                log_write(b.log, LOG_INFO, "ended", NULL);
        } else {
                cannot_start(&b, &e);
        }
        take_down(&b);
        return b.exit_code;
}

static void checked(void *arg, bool ok)
{
        struct broker *b = arg;
        b->exit_code = ok ? 0 : 1;
        loop_stop(b->loop);
}

int broker_check(struct config *config)
{
        struct broker b = {.config = config};
        build(&b, (struct notify){.fd = -1});
        log_set(b.log, LOG_ERROR, config->log.format);
        struct check *check = check_start(b.loop, b.http, b.chain, b.log, config, stdout, checked, &b);
        loop_run(b.loop);
        check_free(check);
        take_down(&b);
        return b.exit_code;
}
