#include "ops/place.h"

#include <unistd.h>
#include "base/own.h"

#define REPLACE_PATIENCE_MS 30000 /* for the first logins of one that replaces another */

static bool listen_at(struct place *p, const struct listen_given *given, struct error *e)
{
        const struct config *c = p->world.config(p->world.arg);
        struct listen_options o = {.directory = c->socket.directory, .port = c->socket.port,
                                   .mode = c->socket.mode, .group = c->socket.group, .backlog = 4096,
                                   .trouble = sessions_trouble, .given = given};
        p->listener = listen_unix(p->world.loop, &o, sessions_accept, p->world.sessions, e);
        return p->listener != NULL;
}

static void open_place(struct place *p)
{
        const struct config *c = p->world.config(p->world.arg);
        listen_open(p->listener);
        log_info(p->world.log, "listening", log_str("directory", c->socket.directory),
                 log_int("port", c->socket.port), log_int("pid", getpid()),
                 log_str("program", "pgbrokerd " PGBROKER_VERSION));
        life_ready(p->world.life);
}

bool place_start(struct place *p, int inherited, struct error *e)
{
        struct listen_given given = {inherited, -1};
        if (!listen_at(p, inherited >= 0 ? &given : NULL, e))
                return false;
        open_place(p);
        return true;
}

/* ---- taking another's ---- */

static bool offered(void *arg, const struct listen_given *given, struct error *e)
{
        return listen_at(arg, given, e);
}

static void taken(void *arg)
{
        struct place *p = arg;
        replace_free(TAKE(p->replace));
        open_place(p);
}

static void nobody_there(void *arg)
{
        struct place *p = arg;
        struct error e = {0};
        replace_free(TAKE(p->replace));
        log_write(p->world.log, LOG_INFO, "there is no broker to replace", NULL);
        if (!place_start(p, -1, &e))
                p->world.failed(p->world.arg, &e);
}

static void not_taken(void *arg, const struct error *e)
{
        struct place *p = arg;
        p->world.failed(p->world.arg, e);
}

void place_take(struct place *p)
{
        static const struct replace_events events = {offered, taken, nobody_there, not_taken};
        const struct config *c = p->world.config(p->world.arg);
        struct replace_options o = {c->socket.directory, c->socket.port, REPLACE_PATIENCE_MS};
        p->replace = replace_start(p->world.loop, p->world.log, p->world.sessions, &p->elders, &o, &events, p);
}

/* ---- giving it to another ---- */

static bool lend(void *arg, struct listen_given *out, enum handover_refusal *why)
{
        struct place *p = arg;
        const struct sessions_environment *v;
        *why = p->successor ? HANDOVER_BUSY : HANDOVER_ENDING;
        if (p->successor || !p->listener)
                return false;
        *why = HANDOVER_ORDERED;
        list_each(v, &p->world.sessions->environments, struct sessions_environment, link) {
                if (v->pool->paused || v->pool->disabled)
                        return false;
        }
        listen_lend(p->listener, out);
        return true;
}

static void stay(void *arg)
{
        struct place *p = arg;
        log_write(p->world.log, LOG_WARN, "not replaced after all", NULL);
        successor_free(TAKE(p->successor));
        listen_open(p->listener);
}

static void had_their_time(struct deadline *d)
{
        struct place *p = container_of(d, struct place, linger);
        p->world.drain(p->world.arg);
}

static void replaced(void *arg, pid_t pid)
{
        struct place *p = arg;
        uint64_t bound = p->world.config(p->world.arg)->socket.linger_timeout;
        log_info(p->world.log, "replaced", log_int("by", pid), log_int("clients", p->world.sessions->count));
        listen_give_away(TAKE(p->listener));
        elders_hand_on(&p->elders, successor_fd(p->successor));
        life_passed_on(p->world.life, pid);
        p->lingering = true;
        if (bound)
                loop_set(p->world.loop, &p->linger, loop_now(p->world.loop) + bound);
        p->world.replaced(p->world.arg);
}

static void end_with_successor(void *arg, bool at_once)
{
        struct place *p = arg;
        (at_once ? p->world.end : p->world.drain)(p->world.arg);
}

static void successor_gone(void *arg)
{
        struct place *p = arg;
        successor_free(TAKE(p->successor));
}

static void successor_arrived(void *arg, int fd, pid_t pid, uid_t uid)
{
        static const struct successor_events events = {lend, stay, replaced, end_with_successor,
                                                       successor_gone};
        struct place *p = arg;
        struct successor *s = successor_new(p->world.loop, p->world.log, p->world.sessions, fd, pid, uid,
                                            &events, p);
        if (s)
                p->successor = s;
}

static void cancel_elsewhere(void *arg, int fd, uint32_t pid, const uint8_t *key, size_t size)
{
        struct place *p = arg;
        elders_cancel(&p->elders, fd, pid, key, size);
}

/* ---- life ---- */

void place_init(struct place *p, const struct place_world *w)
{
        *p = (struct place){.world = *w};
        elders_init(&p->elders, w->loop, w->log);
        deadline_init(&p->linger, had_their_time);
        w->sessions->successor = successor_arrived;
        w->sessions->cancel_elsewhere = cancel_elsewhere;
        w->sessions->successor_arg = w->sessions->cancel_arg = p;
}

/* Who is about to take the place loses it before the socket goes. */
void place_leave(struct place *p)
{
        if (!p->lingering)
                successor_free(TAKE(p->successor));
        if (p->replace && p->listener)
                listen_give_away(TAKE(p->listener));
        listen_free(TAKE(p->listener));
}

void place_end_elders(struct place *p, bool at_once)
{
        elders_end(&p->elders, at_once);
}

void place_free(struct place *p)
{
        loop_clear(p->world.loop, &p->linger);
        place_leave(p);
        replace_free(p->replace);
        successor_free(p->successor);
        elders_free(&p->elders);
}
