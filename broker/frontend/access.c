#include "frontend/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/own.h"

enum { OVERFLOW_ID = 65534 };

/* ---- ids ---- */

static unsigned read_id(const char *path)
{
        unsigned long id = OVERFLOW_ID;
        char text[32], *end = text;
        FILE *f = fopen(path, "re");

        if (!f)
                return OVERFLOW_ID;
        if (fgets(text, sizeof text, f))
                id = strtoul(text, &end, 10);
        fclose(f);
        return end == text ? OVERFLOW_ID : (unsigned) id;
}

struct access_self access_self(void)
{
        return (struct access_self){
                .own_uid = geteuid(),
                .overflow_uid = read_id("/proc/sys/kernel/overflowuid"),
                .overflow_gid = read_id("/proc/sys/kernel/overflowgid"),
        };
}

bool access_is_somebody(const struct access_self *self, uid_t uid)
{
        return uid != OVERFLOW_ID && uid != self->overflow_uid;
}

bool access_is_some_group(const struct access_self *self, gid_t gid)
{
        return gid != OVERFLOW_ID && gid != self->overflow_gid;
}

/* ---- lists ---- */

void access_list_add_user(struct access_list *list, uid_t uid)
{
        list->users = own_grow(list->users, (list->user_count + 1) * sizeof *list->users);
        list->users[list->user_count++] = uid;
}

void access_list_add_group(struct access_list *list, gid_t gid)
{
        list->groups = own_grow(list->groups, (list->group_count + 1) * sizeof *list->groups);
        list->groups[list->group_count++] = gid;
}

void access_list_free(struct access_list *list)
{
        free(list->users);
        free(list->groups);
        *list = (struct access_list){0};
}

/* ---- rules ---- */

static bool has_user(const struct access_list *list, uid_t uid)
{
        for (size_t i = 0; i < list->user_count; i++)
                if (list->users[i] == uid)
                        return true;
        return false;
}

static bool has_group(const struct access_list *list, const struct access_self *self, gid_t gid)
{
        if (!access_is_some_group(self, gid))
                return false;
        for (size_t i = 0; i < list->group_count; i++)
                if (list->groups[i] == gid)
                        return true;
        return false;
}

static bool is_listed(const struct access_list *list, const struct access_self *self,
                      const struct listen_peer *peer)
{
        if (!list || !access_is_somebody(self, peer->uid))
                return false;
        if (has_user(list, peer->uid) || has_group(list, self, peer->gid))
                return true;
        for (size_t i = 0; i < peer->group_count; i++)
                if (has_group(list, self, peer->groups[i]))
                        return true;
        return false;
}

bool access_allows(const struct access_list *list, const struct access_self *self,
                   const struct listen_peer *peer)
{
        return peer->uid == self->own_uid || is_listed(list, self, peer);
}

bool access_known(const struct access_list *const *lists, size_t count,
                  const struct access_self *self, const struct listen_peer *peer)
{
        if (peer->uid == self->own_uid)
                return true;
        for (size_t i = 0; i < count; i++)
                if (is_listed(lists[i], self, peer))
                        return true;
        return false;
}
