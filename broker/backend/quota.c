#include "backend/quota.h"

#include <stdio.h>
#include "base/expect.h"
#include "base/own.h"

struct key {
        char text[16];
};

static struct key key_of(uid_t uid)
{
        struct key k;
        snprintf(k.text, sizeof k.text, "%u", (unsigned) uid);
        return k;
}

void quota_init(struct quota *q, struct wait_line *line, const struct pool_options *options)
{
        q->users = map_new(free);
        q->line = line;
        q->options = options;
}

void quota_free(struct quota *q)
{
        map_free(q->users);
}

static void hold_if_full(struct quota *q, struct quota_user *u)
{
        unsigned most = q->options->max_user_connections;
        wait_hold(q->line, &u->for_server, most && u->servers >= most);
}

struct quota_user *quota_enter(struct quota *q, uid_t uid, struct error *e)
{
        struct key k = key_of(uid);
        struct quota_user *u = map_get(q->users, k.text);
        unsigned most = q->options->max_user_client_connections;
        if (u && most && u->clients >= most) {
                error_set(e, "53300", "too many clients of uid %u (max_user_client_connections %u)",
                          (unsigned) uid, most);
                error_hint(e, "Close idle clients of this user, or raise max_user_client_connections.");
                return NULL;
        }
        if (!u) {
                u = own_new(struct quota_user);
                u->uid = uid;
                wait_user_init(&u->for_server);
                wait_user_init(&u->for_pin);
                wait_user_init(&u->for_dedicated);
                map_put(q->users, k.text, u);
        }
        u->clients++;
        return u;
}

void quota_leave(struct quota *q, struct quota_user *u)
{
        if (!u || --u->clients > 0)
                return;
        expect(u->servers == 0 && u->made == 0 && u->for_server.count == 0 && u->for_pin.count == 0 &&
               u->for_dedicated.count == 0);
        map_remove(q->users, key_of(u->uid).text);
}

void quota_lend(struct quota *q, struct quota_user *u)
{
        u->servers++;
        hold_if_full(q, u);
}

void quota_return(struct quota *q, struct quota_user *u)
{
        expect(u->servers > 0);
        u->servers--;
        hold_if_full(q, u);
}

void quota_look(struct quota *q)
{
        size_t at = 0;
        const char *key;
        void *u;
        while (map_next(q->users, &at, &key, &u))
                hold_if_full(q, u);
}
