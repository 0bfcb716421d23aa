#include "ops/console.h"

#include "ops/console_visit.h"
#include "wire/compose.h"

#define VISITS 64 /* connections at once */

struct console {
        struct console_world world;
        struct list visits;
        unsigned count;
        struct deferred leave; /* a SHUTDOWN was ordered: call the world's */
        enum console_shutdown how;
};

/* Later: the answer is on its way by then, and whoever was being called has returned. */
static void leave(struct deferred *d)
{
        struct console *c = container_of(d, struct console, leave);
        c->world.shutdown(c->world.arg, c->how);
}

static void shut_down(void *arg, enum console_shutdown how)
{
        struct console *c = arg;
        c->how = how;
        loop_defer(c->world.loop, &c->leave);
}

static void ended(void *arg)
{
        struct console *c = arg;
        c->count--;
}

static const struct visit_keeper keeper = {shut_down, ended};

struct console *console_new(const struct console_world *w)
{
        struct console *c = own_new(struct console);
        c->world = *w;
        list_init(&c->visits);
        deferred_init(&c->leave, leave);
        return c;
}

/* Ended connections free themselves later in the turn and look at nothing of the console by then.
 */
void console_send_away(struct console *c, const struct error *e)
{
        struct visit *v;
        list_each(v, &c->visits, struct visit, link)
                visit_end(v, e);
}

void console_free(struct console *c)
{
        struct error e = {0};
        if (!c)
                return;
        error_set(&e, "57P01", "the broker is shutting down");
        console_send_away(c, &e);
        deferred_clear(&c->leave);
        free(c);
}

static void turn_away(struct stream *stream, const struct error *e)
{
        struct bytes b;
        bytes_init(&b, 0);
        compose_error(&b, "FATAL", e);
        stream_send_copy(stream, bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
        stream_free(stream);
}

void console_serve(struct console *c, struct stream *stream, const struct listen_peer *peer,
                   const struct greet *greet)
{
        struct error e = {0};
        if (c->count >= VISITS) {
                error_set(&e, "53300", "too many connections to the console (%d)", VISITS);
                error_hint(&e, "Close some of them.");
                turn_away(stream, &e);
                return;
        }
        struct visit *v = visit_new(&c->world, &keeper, c, stream, peer, greet);
        c->count++;
        list_push_back(&c->visits, &v->link);
}
