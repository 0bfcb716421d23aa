/* Why clients wait, in words. */
#include "backend/pool_parts.h"

#include <stdio.h>

/* "pid 12 (uid 1000) for 31 s, ..." of those that hold a server the longest; returns text. */
static const char *borrowers(const struct pool *p, char *text, size_t size)
{
        struct list *l;
        size_t at = 0;
        unsigned named = 0;
        text[0] = '\0';
        for (l = p->servers.in[SERVER_LENT].prev; l != &p->servers.in[SERVER_LENT]; l = l->prev) {
                const struct server *s = list_item(l, struct server, link);
                if (named++ == 3 || at >= size)
                        break;
                int n = snprintf(text + at, size - at, "%spid %d (uid %u) for %llu s", at ? ", " : "",
                                 (int) s->last_pid, (unsigned) s->last_uid,
                                 (unsigned long long) (loop_now(p->loop) - s->since) / 1000);
                at += n > 0 ? (size_t) n : 0;
        }
        return text;
}

static const char *why_no_pin(const struct pool *p, char *why, size_t size)
{
        char holders[300];
        const struct pool_options *o = &p->config.options;
        snprintf(why, size, "max_pinned: all %u of the %u servers that may be pinned are; held by %s",
                 pinning_most(o), o->pool_size,
                 pinning_holders(&p->pinning, loop_now(p->loop), holders, sizeof holders));
        return "leave to pin";
}

/* New logins are not possible for want of credentials that work. */
static const char *why_no_credentials(const struct pool *p, char *why, size_t size)
{
        struct keyring_status status = {0};
        keyring_status(p->keyring, &status);
        snprintf(why, size, "%s%s%s",
                 status.bridging ? "the server refuses the credentials, others are looked for"
                                 : "there are no credentials yet",
                 status.last_error && *status.last_error ? ": " : "",
                 status.last_error ? status.last_error : "");
        return "credentials";
}

static void why_no_server(const struct pool *p, const struct pool_wait *w, char *why, size_t size)
{
        char holders[300];
        struct error e = {0};
        const unsigned *count = p->servers.count;
        unsigned most = p->config.options.pool_size;
        const char *dedicated = pool_dedicated_why(p, w);
        if (p->paused)
                snprintf(why, size, "the environment is paused");
        else if (w->quota->for_server.held)
                snprintf(why, size, "max_user_connections: uid %u has its %u servers in use",
                         (unsigned) w->quota->uid, w->quota->servers);
        else if (logins_failing(&p->logins, &e))
                snprintf(why, size, "%s", e.text);
        else if (*dedicated)
                snprintf(why, size, "the last try to make it: %s", dedicated);
        else if (server_total(&p->servers) - count[SERVER_LOGIN] >= most)
                snprintf(why, size, "pool_size: %u of %u servers are in use, %u pinned; held by %s",
                         count[SERVER_LENT], most, p->pinning.count,
                         borrowers(p, holders, sizeof holders));
        else if (count[SERVER_LOGIN])
                snprintf(why, size, "%u server connections are being made", count[SERVER_LOGIN]);
        else
                snprintf(why, size, "its turn comes next");
}

bool pool_waits_for_pin(const struct pool *p, const struct pool_wait *w)
{
        bool none_left = p->pinning.count >= pinning_most(&p->config.options);
        return w->line == &p->pinning.waiting ||
               (w->line == &p->dedicated.waiting && none_left && !pool_dedicated_begun(p, w));
}

const char *pool_waits_for(const struct pool *p, const struct pool_wait *w, char *why, size_t size)
{
        if (pool_waits_for_pin(p, w))
                return why_no_pin(p, why, size);
        if (!p->paused && !keyring_may_login(p->keyring))
                return why_no_credentials(p, why, size);
        why_no_server(p, w, why, size);
        return "server";
}
