/* What an administrator orders of a pool. */
#include "backend/pool_parts.h"

void pool_pause(struct pool *p, bool on)
{
        p->paused = on;
        pool_sweep_idle(p, loop_now(p->loop));
        pool_look(p);
}

bool pool_settled(const struct pool *p)
{
        return server_total(&p->servers) == 0;
}

void pool_reconnect(struct pool *p)
{
        struct server *s;
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link)
                        s->close_needed = true;
        }
        pool_sweep_idle(p, loop_now(p->loop));
        pool_look(p);
}

bool pool_closing(const struct pool *p)
{
        const struct server *s;
        for (unsigned i = 0; i < SERVER_STATE_COUNT; i++) {
                list_each(s, &p->servers.in[i], struct server, link) {
                        if (s->close_needed)
                                return true;
                }
        }
        return false;
}

/* Those that are being made close when they are: the keyring waits to hear how their login went. */
void pool_kill(struct pool *p)
{
        static const enum server_state unused[] = {SERVER_IDLE, SERVER_CLEANING, SERVER_TESTING,
                                                   SERVER_PREPARING, SERVER_CANCELED};
        struct server *s;
        p->paused = true;
        for (unsigned i = 0; i < sizeof unused / sizeof *unused; i++) {
                list_each(s, &p->servers.in[unused[i]], struct server, link)
                        pool_close(s, "killed by an administrator");
        }
        pool_look(p);
}

void pool_drain(struct pool *p)
{
        p->draining = true;
        pool_sweep_idle(p, loop_now(p->loop));
        pool_look(p);
}
