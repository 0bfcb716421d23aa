#include "backend/dial.h"

#include <stdio.h>
#include <string.h>
#include "base/own.h"

struct dial {
        struct loop *loop;
        dial_done *done;
        void *arg;
        struct connect_options options;
        void (*unfit)(void *arg, const struct connection *c);
        char *root_cert;
        const struct hosts *hosts;
        unsigned first, tried;
        bool any;                       /* prefer-standby: will do when no standby is there */
        uint64_t end;                   /* loop ms */
        struct connect *connect;
        enum connect_failure failure;
        struct error why;               /* of all that were tried, or of the one that settles it */
};

static void try_next(struct dial *d);

static void dial_free(struct dial *d)
{
        connect_cancel(d->connect);
        connect_session_free(&d->options.session);
        free(d->root_cert);
        free(d);
}

void dial_cancel(struct dial *d)
{
        if (d)
                dial_free(d);
}

static unsigned at(const struct dial *d)
{
        return (d->first + d->tried) % d->hosts->count;
}

static void settle(struct dial *d, struct connection *c)
{
        if (!c && d->hosts->count > 1 && d->tried == d->hosts->count)
                error_context(&d->why, "none of the %u hosts will do", d->hosts->count);
        d->done(d->arg, c, at(d), d->failure, c ? NULL : &d->why);
        dial_free(d);
}

/* Adds a reason to those of the hosts before, each with its share of the room. */
static void add_reason(struct dial *d, enum connect_failure failure, const struct error *e)
{
        size_t used = strlen(d->why.text), share = (sizeof d->why.text - 64) / d->hosts->count;

        if (d->tried == 0) {
                d->why = *e;
                d->failure = failure;
                if (d->hosts->count > 1 && strlen(e->text) > share)
                        d->why.text[share] = 0;
                return;
        }
        snprintf(d->why.text + used, sizeof d->why.text - used, "; %.*s", (int) share, e->text);
        if (strcmp(d->why.sqlstate, e->sqlstate) != 0)
                strcpy(d->why.sqlstate, "08001");
        if (failure != d->failure)
                d->failure = CONNECT_NETWORK;
}

static bool asks_for_standby_first(const struct dial *d)
{
        return d->any && d->options.target == TARGET_STANDBY;
}

static void unfit(void *arg, const struct connection *c)
{
        const struct dial *d = arg;

        if (d->unfit && !d->any)
                d->unfit(d->arg, c);
}

/* What the session asks for has a part in it: another host would say the same. */
static bool answers_the_session(const struct dial *d, enum connect_failure failure, const struct error *e)
{
        return d->options.session.options && failure == CONNECT_SERVER && !refusal_passes(e->sqlstate);
}

static void tried(void *arg, struct connection *c, enum connect_failure failure, const struct error *e)
{
        struct dial *d = arg;

        d->connect = NULL;
        if (c) {
                settle(d, c);
                return;
        }
        if (failure == CONNECT_REFUSED || failure == CONNECT_DENIED || answers_the_session(d, failure, e)) {
                d->failure = failure;
                d->why = *e;
                settle(d, NULL);
                return;
        }
        add_reason(d, failure, e);
        if (++d->tried == d->hosts->count && asks_for_standby_first(d)) {
                d->options.target = TARGET_ANY;
                d->tried = 0;
        }
        if (d->tried < d->hosts->count)
                try_next(d);
        else
                settle(d, NULL);
}

static void try_next(struct dial *d)
{
        struct connect_options o = d->options;
        uint64_t now = loop_now(d->loop), left = d->end > now ? d->end - now : 1;
        unsigned share = d->hosts->count - d->tried;

        if (asks_for_standby_first(d))
                share += d->hosts->count;

        o.host = &d->hosts->at[at(d)];
        if (o.timeout_ms)
                o.timeout_ms = (unsigned) (left > share ? left / share : 1);
        d->connect = connect_start(d->loop, &o, tried, d);
}

struct dial *dial_start(struct loop *l, const struct dial_options *options, dial_done *done, void *arg)
{
        struct dial *d = own_new(struct dial);
        const struct connect_options *o = &options->connect;

        *d = (struct dial){.loop = l, .done = done, .arg = arg, .options = *o, .first = options->first};
        d->hosts = &o->document->hosts;
        d->root_cert = own_string(o->tls.root_cert ? o->tls.root_cert : "");
        connect_session_copy(&d->options.session, &o->session);
        d->options.tls.root_cert = d->root_cert;
        d->unfit = o->unfit;
        d->options.unfit = unfit;
        d->end = loop_now(l) + o->timeout_ms;
        d->any = o->target == TARGET_PREFER_STANDBY;
        if (d->any)
                d->options.target = TARGET_STANDBY;
        try_next(d);
        return d;
}
