#include "backend/pool_hosts.h"

#include <string.h>
#include "backend/pool_parts.h"
#include "base/own.h"

/* ---- roles ---- */

static bool same_place(const struct connection *a, const struct connection *b)
{
        return a->port == b->port && strcmp(a->address, b->address) == 0 && strcmp(a->host, b->host) == 0;
}

/* They leave as they come back, or before they are lent. */
void pool_hosts_unfit(struct pool *p, const struct connection *c)
{
        struct server *s;
        unsigned count = 0;
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link) {
                        if (!s->connection || s->close_needed || !same_place(s->connection, c))
                                continue;
                        s->close_needed = true;
                        count++;
                }
        }
        if (!count)
                return;
        log_warn(p->log, "servers retired: their host is of another role now",
                 log_str("environment", p->environment), log_str("host", c->host),
                 log_str("address", c->address), log_int("port", c->port), log_int("servers", count));
        pool_look(p);
}

/* What it was at login, but for the role that it has reported since: a client may have SET the rest. */
static enum target_verdict judge(const struct pool *p, const struct server *s)
{
        const struct settings *login = s->connection->reported;
        return target_judge(p->config.options.target, settings_get(s->track.reported, "in_hot_standby"),
                            settings_get(login, "default_transaction_read_only"));
}

void pool_hosts_judge(struct server *s)
{
        struct pool *p = s->pool;
        enum target_session_attrs target = p->config.options.target;
        if (target == TARGET_ANY)
                return;
        /* The client itself may have wanted to read only: a new login tells how the host is. */
        if (s->read_only && target_writes(target)) {
                s->close_needed = true;
                p->hosts.doubt = true;
        }
        if (judge(p, s) == TARGET_UNFIT)
                pool_hosts_unfit(p, s->connection);
}

/* ---- addresses ---- */

static bool found(const struct resolve_addresses *all, const char *address)
{
        for (size_t i = 0; i < all->count; i++)
                if (strcmp(all->text[i], address) == 0)
                        return true;
        return false;
}

static void leave_stale(struct pool *p, const struct resolve_addresses *all)
{
        struct server *s;
        unsigned count = 0;
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link) {
                        if (!s->connection || s->close_needed ||
                            strcmp(s->connection->host, p->hosts.name) != 0 ||
                            found(all, s->connection->address))
                                continue;
                        s->close_needed = true;
                        count++;
                }
        }
        if (count)
                log_info(p->log, "servers retired: their host has another address now",
                         log_str("environment", p->environment), log_str("host", p->hosts.name),
                         log_str("address", all->text[0]), log_int("servers", count));
}

static void look_up_next(struct pool *p);

/* A name that can't be looked up is no reason to give up what works. */
static void looked_up(void *arg, const struct resolve_addresses *all, const struct error *e)
{
        struct pool *p = arg;
        (void) e;
        p->hosts.lookup = NULL;
        if (all && all->count < RESOLVE_MAX)    /* else some may be missing */
                leave_stale(p, all);
        look_up_next(p);
}

static void look_up_next(struct pool *p)
{
        const struct credential *c = keyring_active(p->keyring);
        free(TAKE(p->hosts.name));
        while (c && p->hosts.next < c->document->hosts.count) {
                const char *name = c->document->hosts.at[p->hosts.next++].name;
                if (name[0] == '/')
                        continue;
                p->hosts.name = own_string(name);
                p->hosts.lookup = resolve_start(p->loop, name, 0, looked_up, p);
                return;
        }
        p->hosts.looked_up = loop_now(p->loop);
}

void pool_hosts_look_up(struct pool *p, uint64_t now)
{
        uint64_t ttl = p->config.options.dns_max_ttl;
        if (!ttl || p->hosts.lookup || now - p->hosts.looked_up < ttl ||
            server_total(&p->servers) == p->servers.count[SERVER_LOGIN])
                return;
        p->hosts.next = 0;
        look_up_next(p);
}

void pool_hosts_free(struct pool_hosts *h)
{
        resolve_cancel(TAKE(h->lookup));
        free(TAKE(h->name));
}
