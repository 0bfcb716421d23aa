#include "ops/console_order.h"

#include <stdlib.h>
#include "base/expect.h"
#include "base/own.h"

#define LOOK_MS 20 /* how often PAUSE and WAIT_CLOSE look */

/* A RELOAD or SET under way: it may outlive the connection that asked for it. */
struct errand {
        struct order *order; /* NULL: forgotten */
        struct error error;
        bool over, failed;
        bool inside; /* its start has not returned yet */
};

/* ---- RELOAD and SET ---- */

static void changed(void *arg, const struct error *e)
{
        struct errand *r = arg;
        struct order *o = r->order;
        r->over = true;
        r->failed = e != NULL;
        if (e)
                r->error = *e;
        if (r->inside)
                return;
        if (o) {
                o->errand = NULL;
                o->done(o, r->failed ? &r->error : NULL);
        }
        free(r);
}

static enum order_verdict change_config(struct order *o, const struct command *c, struct error *e)
{
        struct errand *r = o->errand = own_new(struct errand);
        r->order = o;
        r->inside = true;
        if (c->kind == COMMAND_SET)
                o->world->set(o->world->arg, c->argument, c->value, changed, r);
        else
                o->world->reload(o->world->arg, changed, r);
        r->inside = false;
        if (!r->over)
                return ORDER_WAIT;
        enum order_verdict v = r->failed ? ORDER_FAILED : ORDER_DONE;
        if (r->failed)
                *e = r->error;
        free(TAKE(o->errand));
        return v;
}

/* ---- environments ---- */

static bool is_meant(const struct order *o, const struct sessions_environment *v)
{
        return !o->argument[0] || sessions_find(o->world->sessions, o->argument) == v;
}

static bool exists(const struct order *o, struct error *e)
{
        if (!o->argument[0] || sessions_find(o->world->sessions, o->argument))
                return true;
        error_set(e, "3D000", "environment \"%s\" does not exist", o->argument);
        return error_hint(e, "SHOW DATABASES lists the environments.");
}

static void each_meant(const struct order *o, void (*call)(struct pool *p))
{
        const struct sessions_environment *v;
        list_each(v, &o->world->sessions->environments, struct sessions_environment, link) {
                if (is_meant(o, v))
                        call(v->pool);
        }
}

static void pause_pool(struct pool *p)
{
        pool_pause(p, true);
}

static void resume_pool(struct pool *p)
{
        pool_pause(p, false);
}

static void refresh_pool(struct pool *p)
{
        keyring_refresh(p->keyring);
}

static void disable_pool(struct pool *p)
{
        p->disabled = true;
}

static void enable_pool(struct pool *p)
{
        p->disabled = false;
}

/* ---- PAUSE and WAIT_CLOSE ---- */

static enum order_verdict look_at(const struct order *o, const struct sessions_environment *v,
                                  struct error *e)
{
        if (o->kind == COMMAND_WAIT_CLOSE)
                return pool_closing(v->pool) ? ORDER_WAIT : ORDER_DONE;
        if (v->pool->paused)
                return pool_settled(v->pool) ? ORDER_DONE : ORDER_WAIT;
        error_set(e, "57014", "environment \"%s\" was resumed before it was quiet", v->name);
        return ORDER_FAILED;
}

static enum order_verdict look(const struct order *o, struct error *e)
{
        const struct sessions_environment *v;
        enum order_verdict all = ORDER_DONE;
        if (!exists(o, e))
                return ORDER_FAILED;
        list_each(v, &o->world->sessions->environments, struct sessions_environment, link) {
                enum order_verdict verdict = is_meant(o, v) ? look_at(o, v, e) : ORDER_DONE;
                if (verdict == ORDER_FAILED)
                        return verdict;
                if (verdict == ORDER_WAIT)
                        all = verdict;
        }
        return all;
}

static void look_again(struct deadline *d)
{
        struct order *o = container_of(d, struct order, look);
        struct error e = {0};
        enum order_verdict v = look(o, &e);
        if (v == ORDER_WAIT)
                loop_set(o->world->loop, &o->look, loop_now(o->world->loop) + LOOK_MS);
        else
                o->done(o, v == ORDER_FAILED ? &e : NULL);
}

static enum order_verdict watch(struct order *o, struct error *e)
{
        enum order_verdict v = look(o, e);
        if (v == ORDER_WAIT)
                loop_set(o->world->loop, &o->look, loop_now(o->world->loop) + LOOK_MS);
        return v;
}

/* ---- RESUME ---- */

static enum order_verdict resume_meant(const struct order *o, struct error *e)
{
        const struct sessions_environment *v;
        bool paused = false;
        list_each(v, &o->world->sessions->environments, struct sessions_environment, link)
                paused |= is_meant(o, v) && v->pool->paused;
        if (!paused) {
                if (o->argument[0])
                        error_set(e, "55000", "environment \"%s\" is not paused", o->argument);
                else
                        error_set(e, "55000", "no environment is paused");
                return ORDER_FAILED;
        }
        each_meant(o, resume_pool);
        return ORDER_DONE;
}

/* ---- KILL and KILL_CLIENT ---- */

/* The clients first: what they had of servers is cleaned or closed then, like the rest. */
static void kill_meant(const struct order *o)
{
        struct sessions_environment *v;
        list_each(v, &o->world->sessions->environments, struct sessions_environment, link) {
                struct error e = {0};
                if (!is_meant(o, v))
                        continue;
                error_set(&e, "57P01", "environment \"%s\" was killed by an administrator", v->name);
                error_hint(&e, "It is paused until RESUME; connect again.");
                sessions_kill(o->world->sessions, v, &e);
                pool_kill(v->pool);
        }
}

static enum order_verdict kill_client(const struct order *o, struct error *e)
{
        struct session *s = sessions_client(o->world->sessions, strtoull(o->argument, NULL, 10));
        struct error reason = {0};
        if (!s) {
                error_set(e, "42704", "there is no client %s", o->argument);
                error_hint(e, "SHOW CLIENTS has the numbers, in its column id.");
                return ORDER_FAILED;
        }
        error_set(&reason, "57P01", "terminating connection due to administrator command");
        error_hint(&reason, "KILL_CLIENT was said on the console.");
        session_end(s, &reason);
        return ORDER_DONE;
}

/* ---- all of them ---- */

void order_init(struct order *o, const struct console_world *world,
                void (*done)(struct order *o, const struct error *e_or_null))
{
        *o = (struct order){.world = world, .done = done};
        deadline_init(&o->look, look_again);
}

static enum order_verdict start_for_environments(struct order *o, struct error *e)
{
        if (!exists(o, e))
                return ORDER_FAILED;
        switch (o->kind) {
        case COMMAND_PAUSE:
                each_meant(o, pause_pool);
                return watch(o, e);
        case COMMAND_WAIT_CLOSE:
                return watch(o, e);
        case COMMAND_RESUME:
                return resume_meant(o, e);
        case COMMAND_REFRESH:
                each_meant(o, refresh_pool);
                return ORDER_DONE;
        case COMMAND_RECONNECT:
                each_meant(o, pool_reconnect);
                return ORDER_DONE;
        case COMMAND_DISABLE:
                each_meant(o, disable_pool);
                return ORDER_DONE;
        case COMMAND_ENABLE:
                each_meant(o, enable_pool);
                return ORDER_DONE;
        default:
                expect(o->kind == COMMAND_KILL);
                kill_meant(o);
                return ORDER_DONE;
        }
}

enum order_verdict order_start(struct order *o, const struct command *c, struct error *e)
{
        o->kind = c->kind;
        memcpy(o->argument, c->argument, sizeof o->argument);
        switch (c->kind) {
        case COMMAND_RELOAD:
        case COMMAND_SET:
                return change_config(o, c, e);
        case COMMAND_KILL_CLIENT:
                return kill_client(o, e);
        default:
                return start_for_environments(o, e);
        }
}

void order_forget(struct order *o)
{
        loop_clear(o->world->loop, &o->look);
        if (o->errand)
                o->errand->order = NULL;
        o->errand = NULL;
}
