#include "backend/pool_dedicated.h"

#include "backend/backoff.h"
#include "backend/pool_parts.h"
#include "base/own.h"

/* What one client asks for: until it has it, or is told why not. */
struct asked {
        struct list link;
        struct pool_wait *wait;
        struct pool_pin *pin;           /* held while its server is made, and from then on */
        struct connect_session session;
        struct server *login;           /* under way for it */
        struct credential *refused;     /* that did not do */
        unsigned failures;
        struct error why;               /* the last */
        uint64_t not_before;            /* loop ms: the next try */
};

void pool_dedicated_init(struct dedicated *d)
{
        wait_line_init(&d->waiting);
        list_init(&d->asked);
}

static struct asked *asked_by(const struct pool *p, const struct pool_wait *w)
{
        struct asked *a;
        list_each(a, &p->dedicated.asked, struct asked, link) {
                if (a->wait == w)
                        return a;
        }
        return NULL;
}

static void login_began(struct pool *p, struct asked *a)
{
        pinning_hold(&p->pinning, a->pin, loop_now(p->loop));
        a->wait->quota->made++;
        a->login = logins_dedicate(&p->logins, &a->session);
}

static void login_ended(struct asked *a)
{
        a->wait->quota->made--;
        a->login = NULL;
}

static struct asked *asked_with(const struct pool *p, const struct server *login)
{
        struct asked *a;
        list_each(a, &p->dedicated.asked, struct asked, link) {
                if (a->login == login)
                        return a;
        }
        return NULL;
}

void pool_dedicate(struct pool *p, struct pool_wait *w, struct pool_pin *pin,
                   const struct connect_session *session)
{
        struct asked *a = own_new(struct asked);
        a->wait = w;
        a->pin = pin;
        connect_session_copy(&a->session, session);
        list_push_back(&p->dedicated.asked, &a->link);
        wait_join(&p->dedicated.waiting, &w->quota->for_dedicated, w, loop_now(p->loop), loop_us());
        pool_look(p);
}

void pool_dedicated_forget(struct pool *p, const struct pool_wait *w)
{
        struct asked *a = asked_by(p, w);
        if (!a)
                return;
        list_remove(&a->link);
        if (a->login) {
                struct server *s = a->login;
                login_ended(a);
                if (s->state == SERVER_LOGIN)
                        logins_give_up(&p->logins, s);
                else
                        pool_close(s, "its client left");
        }
        connect_session_free(&a->session);
        credential_unref(a->refused);
        free(a);
}

const char *pool_dedicated_why(const struct pool *p, const struct pool_wait *w)
{
        return w->line == &p->dedicated.waiting ? asked_by(p, w)->why.text : "";
}

bool pool_dedicated_begun(const struct pool *p, const struct pool_wait *w)
{
        return w->line == &p->dedicated.waiting && asked_by(p, w)->login;
}

/* ---- its server is made ---- */

static bool older(const struct pool_wait *other, const struct pool_wait *w)
{
        return other && other->since_us < w->since_us;
}

/* Whose server is made next: of the users' first ones that of who has the fewest; of these the one that came first. */
static struct asked *next(const struct pool *p)
{
        unsigned most = p->config.options.max_user_connections, fewest = most ? most : UINT32_MAX;
        uint64_t now = loop_now(p->loop);
        struct asked *a, *best = NULL;
        list_each(a, &p->dedicated.asked, struct asked, link) {
                const struct quota_user *user = a->wait->quota;
                if (a->login || now < a->not_before || user->servers + user->made >= fewest)
                        continue;
                fewest = user->servers + user->made;
                best = a;
        }
        return best;
}

/* There is, or idle servers go for it: unless somebody else has waited longer, for that or for leave. */
static bool make_room(struct pool *p, const struct pool_wait *w)
{
        unsigned most = p->config.options.pool_size;
        if (older(wait_next(&p->waiting), w) || older(wait_oldest(&p->pinning.waiting), w))
                return false;
        if (server_total(&p->servers) - p->servers.count[SERVER_IDLE] >= most)
                return false;
        while (server_total(&p->servers) >= most)
                pool_close(list_last(&p->servers.in[SERVER_IDLE], struct server, link), "it makes room for a dedicated one");
        return true;
}

void pool_dedicated_serve(struct pool *p)
{
        struct asked *a;
        if (p->paused || p->draining || list_empty(&p->dedicated.asked))
                return;
        while (logins_may_dedicate(&p->logins) && p->pinning.count < pinning_most(&p->config.options) &&
               (a = next(p)) && make_room(p, a->wait))
                login_began(p, a);
}

void pool_dedicated_opened(struct server *s)
{
        struct pool *p = s->pool;
        struct asked *a = asked_with(p, s);
        struct pool_wait *w = a->wait;
        if (pool_must_leave(p, s, loop_now(p->loop))) {
                pool_close(s, "retired");
                return;
        }
        login_ended(a);
        histogram_add(&p->latency.wait, loop_us() - w->since_us);
        pool_dedicated_forget(p, w);
        wait_give(w, pool_lend(p, s, w->quota));
}

void pool_dedicated_closed(const struct server *s)
{
        struct pool *p = s->pool;
        struct asked *a = asked_with(p, s);
        if (!a)
                return;
        login_ended(a);
        pinning_drop(&p->pinning, a->pin);
        pool_look(p);
}

/* Is it the server's last word? It may be starting; or the credentials may be about to change, which an ordinary
 * login finds out. */
static bool is_final(struct asked *a, const struct server *s, enum connect_failure f, const struct error *e)
{
        if (f != CONNECT_REFUSED && f != CONNECT_DENIED)
                return f == CONNECT_SERVER && !refusal_passes(e->sqlstate);
        if (a->refused == s->credential)
                return true;
        credential_unref(a->refused);
        a->refused = credential_ref(s->credential);
        return false;
}

void pool_dedicated_not_opened(struct pool *p, const struct server *s, enum connect_failure f,
                               const struct error *e)
{
        struct asked *a = asked_with(p, s);
        login_ended(a);
        bool final = is_final(a, s, f, e);
        if (final || backoff_worth_saying(a->failures + 1))
                log_warn(p->log, "dedicated server login failed", log_str("environment", p->environment),
                         log_str("class", connect_failure_name(f)),
                         log_str("version", s->credential->version_id), log_reason(e));
        if (final) {
                wait_fail(a->wait, e);
                return;
        }
        pinning_drop(&p->pinning, a->pin);
        a->why = *e;
        /* Is it so for others, too? Of a password the keyring knows. */
        if (f == CONNECT_DENIED || (f != CONNECT_REFUSED && !a->failures))
                p->hosts.doubt = true;
        a->not_before = loop_now(p->loop) + backoff_pause(++a->failures, BACKOFF_URGENT, true, 0);
}
