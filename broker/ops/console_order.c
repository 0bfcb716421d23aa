#include "ops/console_order.h"

#include "base/own.h"

#define LOOK_MS 20 /* how often PAUSE looks */

/* A RELOAD under way: it may outlive the connection that asked for it. */
struct errand {
        struct order *order; /* NULL: forgotten */
        struct error error;
        bool over, failed;
        bool inside; /* its start has not returned yet */
};

/* ---- RELOAD ---- */

static void reloaded(void *arg, const struct error *e)
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

static enum order_verdict reload(struct order *o, struct error *e)
{
        struct errand *r = o->errand = own_new(struct errand);
        r->order = o;
        r->inside = true;
        o->world->reload(o->world->arg, reloaded, r);
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
        return !o->environment[0] || sessions_find(o->world->sessions, o->environment) == v;
}

static bool exists(const struct order *o, struct error *e)
{
        if (!o->environment[0] || sessions_find(o->world->sessions, o->environment))
                return true;
        error_set(e, "3D000", "environment \"%s\" does not exist", o->environment);
        return error_hint(e, "SHOW DATABASES lists the environments.");
}

static void each_meant(const struct order *o, void (*call)(struct pool *p))
{
        struct sessions_environment *v;
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

/* ---- PAUSE ---- */

static enum order_verdict look(const struct order *o, struct error *e)
{
        const struct sessions_environment *v;
        bool settled = true;
        if (!exists(o, e))
                return ORDER_FAILED;
        list_each(v, &o->world->sessions->environments, struct sessions_environment, link) {
                if (!is_meant(o, v))
                        continue;
                if (!v->pool->paused) {
                        error_set(e, "57014", "environment \"%s\" was resumed before it was quiet",
                                  v->name);
                        return ORDER_FAILED;
                }
                settled &= pool_settled(v->pool);
        }
        return settled ? ORDER_DONE : ORDER_WAIT;
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

static enum order_verdict pause_meant(struct order *o, struct error *e)
{
        each_meant(o, pause_pool);
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
                if (o->environment[0])
                        error_set(e, "55000", "environment \"%s\" is not paused", o->environment);
                else
                        error_set(e, "55000", "no environment is paused");
                return ORDER_FAILED;
        }
        each_meant(o, resume_pool);
        return ORDER_DONE;
}

/* ---- all of them ---- */

void order_init(struct order *o, const struct console_world *world,
                void (*done)(struct order *o, const struct error *e_or_null))
{
        *o = (struct order){.world = world, .done = done};
        deadline_init(&o->look, look_again);
}

enum order_verdict order_start(struct order *o, const struct command *c, struct error *e)
{
        memcpy(o->environment, c->argument, sizeof o->environment);
        if (c->kind == COMMAND_RELOAD)
                return reload(o, e);
        if (!exists(o, e))
                return ORDER_FAILED;
        if (c->kind == COMMAND_PAUSE)
                return pause_meant(o, e);
        if (c->kind == COMMAND_RESUME)
                return resume_meant(o, e);
        each_meant(o, refresh_pool);
        return ORDER_DONE;
}

void order_forget(struct order *o)
{
        loop_clear(o->world->loop, &o->look);
        if (o->errand)
                o->errand->order = NULL;
        o->errand = NULL;
}
