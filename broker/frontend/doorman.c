#include "frontend/doorman.h"

#include <unistd.h>
#include "base/own.h"
#include "io/stream.h"
#include "wire/compose.h"

#define LEAVING_MAX 256                 /* more at once are closed without a word */
#define LEAVING_MS  5000
#define SEEN_OUT_MS 30000               /* for who reads slowly */
#define LOOK_MS     20

struct leaving {
        struct list link;
        struct doorman *doorman;
        struct stream *stream;
        struct error error;
        uint64_t until;                 /* loop ms; 0: turned away */
        struct deadline deadline;
        struct deferred burial;
};

static void bury(struct deferred *b)
{
        free(container_of(b, struct leaving, burial));
}

static void let_go(struct leaving *v)
{
        struct doorman *d = v->doorman;
        loop_clear(d->loop, &v->deadline);
        stream_free(v->stream);
        list_remove(&v->link);
        if (v->until)
                d->seen_out--;
        else
                d->count--;
        loop_defer(d->loop, &v->burial);
}

static size_t received(void *arg, const uint8_t *p, size_t n)
{
        struct leaving *v = arg;
        struct bytes b;
        (void) p;
        bytes_init(&b, 0);
        compose_error(&b, "FATAL", &v->error);
        stream_send_copy(v->stream, bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
        let_go(v);
        return n;
}

static void nothing(void *arg)
{
        (void) arg;
}

static void ended(void *arg, const struct error *e)
{
        (void) e;
        let_go(arg);
}

static void expired(struct deadline *d)
{
        let_go(container_of(d, struct leaving, deadline));
}

static const struct stream_events events = {received, nothing, nothing, ended, NULL};

/* ---- whose session is over ---- */

static size_t unheard(void *arg, const uint8_t *p, size_t n)
{
        (void) arg;
        (void) p;
        return n;
}

static const struct stream_events seeing_out = {unheard, nothing, nothing, ended, NULL};

static void look(struct deadline *d)
{
        struct leaving *v = container_of(d, struct leaving, deadline);
        uint64_t now = loop_now(v->doorman->loop);
        if (stream_waiting(v->stream) && now < v->until)
                loop_set(v->doorman->loop, &v->deadline, now + LOOK_MS);
        else
                let_go(v);
}

void doorman_see_out(struct doorman *d, struct stream *s)
{
        if (d->seen_out >= LEAVING_MAX || !stream_waiting(s)) {
                stream_free(s);
                return;
        }
        struct leaving *v = own_new(struct leaving);
        v->doorman = d;
        v->stream = s;
        v->until = loop_now(d->loop) + SEEN_OUT_MS;
        deadline_init(&v->deadline, look);
        deferred_init(&v->burial, bury);
        stream_retarget(s, &seeing_out, v);
        stream_resume(s);
        loop_set(d->loop, &v->deadline, loop_now(d->loop));   /* after this turn's flush */
        list_push_back(&d->leaving, &v->link);
        d->seen_out++;
}

/* ---- life ---- */

void doorman_init(struct doorman *d, struct loop *l)
{
        d->loop = l;
        d->count = d->seen_out = 0;
        list_init(&d->leaving);
}

void doorman_free(struct doorman *d)
{
        struct leaving *v;
        list_each(v, &d->leaving, struct leaving, link) {
                let_go(v);
                deferred_clear(&v->burial);
                free(v);
        }
}

void doorman_refuse(struct doorman *d, int fd, const struct error *e)
{
        if (d->count >= LEAVING_MAX) {
                close(fd);
                return;
        }
        struct leaving *v = own_new(struct leaving);
        v->doorman = d;
        v->error = *e;
        deadline_init(&v->deadline, expired);
        deferred_init(&v->burial, bury);
        v->stream = stream_new(d->loop, fd, NULL, &events, v);
        loop_set(d->loop, &v->deadline, loop_now(d->loop) + LEAVING_MS);
        list_push_back(&d->leaving, &v->link);
        d->count++;
}
