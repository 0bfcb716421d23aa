#include "backend/pool_notifier.h"

#include <string.h>
#include "backend/pool.h"

#define ON_ITS_WAY_US 250000            /* how long a notification may take */

void pool_notifier_lent(struct server *s, uint32_t client_pid, uint64_t now_us)
{
        if (s->client_pid != client_pid)
                s->other_left_us = s->client_pid ? s->client_left_us : 0;
        s->client_pid = client_pid;
        s->client_left_us = now_us;
}

void pool_notifier_left(struct server *s, uint64_t now_us)
{
        s->client_left_us = now_us;
}

/* Process ids of different hosts may be the same. */
static bool is_it(const struct server *s, const struct connection *heard_by, uint32_t pid)
{
        const struct connection *c = s->connection;
        return c && c->has_key && c->pid == pid && c->port == heard_by->port &&
               strcmp(c->address, heard_by->address) == 0;
}

static const struct server *find(const struct pool *p, const struct connection *heard_by, uint32_t pid)
{
        const struct server *s;
        for (int state = SERVER_IDLE; state < SERVER_CLOSED; state++) {
                list_each(s, &p->servers.in[state], struct server, link) {
                        if (is_it(s, heard_by, pid))
                                return s;
                }
        }
        return NULL;
}

uint32_t pool_notifier(const struct server *heard_by, uint32_t client_pid, uint32_t pid, uint64_t since_us)
{
        const struct connection *c = heard_by->connection;
        if (c->has_key && c->pid == pid)
                return client_pid;
        const struct server *s = find(heard_by->pool, c, pid);
        if (!s || !s->client_pid || s->other_left_us + ON_ITS_WAY_US > since_us)
                return pid;
        return s->client_pid;
}
