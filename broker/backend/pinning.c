#include "backend/pinning.h"

#include <stdio.h>

void pinning_init(struct pinning *p)
{
        list_init(&p->held);
        p->count = 0;
        wait_line_init(&p->waiting);
}

unsigned pinning_most(const struct pool_options *o)
{
        if (o->pool_mode == POOL_SESSION)
                return UINT32_MAX;
        if (o->pool_size == 1)
                return 1;
        unsigned most = o->max_pinned ? o->max_pinned : o->pool_size * 3 / 4;
        return most < o->pool_size ? most : o->pool_size - 1;
}

void pinning_hold(struct pinning *p, struct pool_pin *pin, uint64_t now)
{
        if (pin->held)
                return;
        pin->held = true;
        pin->told = false;
        pin->since = now;
        list_push_back(&p->held, &pin->link);
        p->count++;
}

bool pinning_take(struct pinning *p, const struct pool_options *o, struct pool_pin *pin, uint64_t now)
{
        if (pin->held)
                return true;
        if (p->count >= pinning_most(o))
                return false;
        pinning_hold(p, pin, now);
        return true;
}

void pinning_drop(struct pinning *p, struct pool_pin *pin)
{
        if (!pin->held)
                return;
        pin->held = false;
        list_remove(&pin->link);
        p->count--;
}

bool pinning_reclaim(struct pinning *p, const struct wait_line *for_server)
{
        struct pool_pin *pin;
        list_each(pin, &p->held, struct pool_pin, link) {
                if (pin->wait->line != for_server)
                        continue;
                pinning_drop(p, pin);
                return true;
        }
        return false;
}

const char *pinning_holders(const struct pinning *p, uint64_t now, char *text, size_t size)
{
        struct pool_pin *pin;
        size_t at = 0;
        unsigned named = 0;
        text[0] = '\0';
        list_each(pin, &p->held, struct pool_pin, link) {
                if (named++ == 3 || at >= size)
                        break;
                /* Who has leave and waits for a server has not sent yet what he needs it for. */
                const char *reason = pins_hold(pin->pins) ? pins_reason(pin->pins) : "waits for a server,";
                int n = snprintf(text + at, size - at, "%spid %d (uid %u) %s for %llu s",
                                 at ? ", " : "", (int) pin->pid, (unsigned) pin->uid, reason,
                                 (unsigned long long) (now - pin->since) / 1000);
                at += n > 0 ? (size_t) n : 0;
        }
        return text;
}
