#include "backend/pool_cancel.h"

#include "backend/cancel.h"
#include "backend/pool_parts.h"
#include "base/expect.h"
#include "base/own.h"

struct pool_cancel {
        struct list link;               /* of pool->cancels */
        struct pool *pool;
        struct server *server;          /* NULL: closed meanwhile */
        struct cancel *cancel;
        struct list askers;
};

static void forget(struct pool_cancel *f)
{
        if (f->server)
                f->server->canceling = NULL;
        f->server = NULL;
}

static void drop(struct pool_cancel *f)
{
        struct pool_asker *a;
        forget(f);
        list_remove(&f->link);
        f->pool->cancel_count--;
        while ((a = list_first(&f->askers, struct pool_asker, link))) {
                list_remove(&a->link);
                a->over(a);
        }
        free(f);
}

static void tell(const struct pool_cancel *f, enum cancel_outcome outcome, const struct error *e)
{
        const struct pool *p = f->pool;
        int64_t server = f->server ? (int64_t) f->server->id : 0;
        if (outcome == CANCEL_DELIVERED)
                log_debug(p->log, "cancel request delivered", log_str("environment", p->environment),
                          log_int("server", server));
        else
                log_warn(p->log, outcome == CANCEL_NOT_SENT ? "cancel request not delivered"
                                                            : "cancel request in doubt",
                         log_str("environment", p->environment), log_int("server", server),
                         log_reason(e));
}

static void finished(void *arg, enum cancel_outcome outcome, const struct error *e)
{
        struct pool_cancel *f = arg;
        struct server *s = f->server;
        f->cancel = NULL;
        tell(f, outcome, e);
        /* It may come into effect much later: nobody but its client may have the server then. */
        if (s && outcome == CANCEL_DOUBTFUL)
                s->close_needed = true;
        drop(f);
        if (s && s->state == SERVER_CANCELED)
                pool_take_back(s);
        else if (s && s->state == SERVER_LENT)
                s->cancel_over(s->borrower);
}

bool pool_cancel(struct server *s)
{
        struct pool *p = s->pool;
        expect(s->state == SERVER_LENT && !s->canceling);
        if (!s->connection->has_key || p->cancel_count >= 2 * p->config.options.pool_size) {
                log_warn(p->log, "cancel request dropped", log_str("environment", p->environment),
                         log_int("server", (int64_t) s->id),
                         log_str("reason", s->connection->has_key ? "too many are under way"
                                                                  : "the server gave no key"));
                return false;
        }
        struct pool_cancel *f = own_new(struct pool_cancel);
        f->pool = p;
        f->server = s;
        list_init(&f->askers);
        list_push_back(&p->cancels, &f->link);
        p->cancel_count++;
        s->canceling = f;
        struct cancel_options o = {.connection = s->connection,
                                   .host = s->connection->host,
                                   .root_cert = s->root_cert,
                                   .timeout_ms = (unsigned) pool_cancel_patience(&p->config.options)};
        f->cancel = cancel_start(p->loop, &o, finished, f);
        return true;
}

void pool_cancel_join(struct server *s, struct pool_asker *a)
{
        list_push_back(&s->canceling->askers, &a->link);
}

void pool_cancel_forget(struct server *s)
{
        if (s->canceling)
                forget(s->canceling);
}

void pool_cancel_end_all(struct pool *p)
{
        struct pool_cancel *f;
        while ((f = list_first(&p->cancels, struct pool_cancel, link))) {
                cancel_abandon(TAKE(f->cancel));
                drop(f);
        }
}
