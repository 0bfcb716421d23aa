#include "ops/account.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include "base/own.h"

enum { ROOM_AT_FIRST = 1024, ROOM_AT_MOST = 1 << 20 };

/* ---- lookups ---- */

/* The id that the digits say; -1 is "no change" to the kernel, never somebody. */
static bool number_of(const char *name, unsigned *id)
{
        char *end;

        if (!isdigit((unsigned char) *name))
                return false;
        errno = 0;

        unsigned long long n = strtoull(name, &end, 10);

        *id = (unsigned) n;
        return errno == 0 && !*end && n < UINT32_MAX;
}

bool account_user(const char *name, uid_t *uid, int *why)
{
        OWN(free) char *text = NULL;
        struct passwd user, *found = NULL;

        *why = 0;
        for (size_t size = ROOM_AT_FIRST; size <= ROOM_AT_MOST; size *= 2) {
                text = own_grow(text, size);
                *why = getpwnam_r(name, &user, text, size, &found);
                if (*why != ERANGE)
                        break;
        }
        /* A user whose name is made of digits goes before the id. */
        if (found)
                *uid = user.pw_uid;
        return found || number_of(name, uid);
}

bool account_group(const char *name, gid_t *gid, int *why)
{
        OWN(free) char *text = NULL;
        struct group group, *found = NULL;

        *why = 0;
        for (size_t size = ROOM_AT_FIRST; size <= ROOM_AT_MOST; size *= 2) {
                text = own_grow(text, size);
                *why = getgrnam_r(name, &group, text, size, &found);
                if (*why != ERANGE)
                        break;
        }
        if (found)
                *gid = group.gr_gid;
        return found || number_of(name, gid);
}

/* ---- lists ---- */

struct search {
        const char *path, *kind; /* "access.users", "user" */
        const struct value_item *item;
        struct error *e;
};

/* "No such entry" in the words that the C library's manual lists for it. */
static bool absent(int why)
{
        return why == 0 || why == ENOENT || why == ESRCH || why == EBADF || why == EPERM;
}

static bool unknown(const struct search *s, int why)
{
        OWN(free) char *quoted = tree_quote(s->item->text);

        if (!absent(why)) {
                tree_error(s->e, s->item->mark, "%s: found %s, which cannot be looked up: %s",
                           s->path, quoted, strerror(why));
                return error_hint(s->e, "Give the id in digits to do without the lookup.");
        }
        tree_error(s->e, s->item->mark,
                   "%s: found %s, expected the name of a %s of this system, or an "
                   "id in digits",
                   s->path, quoted, s->kind);
        return error_hint(s->e, "Create the %s, or correct the name.", s->kind);
}

static bool add_users(const struct search *where, const struct value *v,
                      const struct access_self *self, struct access_list *out)
{
        struct search s = *where;

        for (size_t i = 0; i < v->count; i++) {
                uid_t uid = 0;
                int why;

                s.item = &v->items[i];
                if (!account_user(s.item->text, &uid, &why))
                        return unknown(&s, why);
                /* Everybody the kernel has no id for is shown as that one: it never matches. */
                if (access_is_somebody(self, uid))
                        access_list_add_user(out, uid);
        }
        return true;
}

static bool add_groups(const struct search *where, const struct value *v,
                       const struct access_self *self, struct access_list *out)
{
        struct search s = *where;

        for (size_t i = 0; i < v->count; i++) {
                gid_t gid = 0;
                int why;

                s.item = &v->items[i];
                if (!account_group(s.item->text, &gid, &why))
                        return unknown(&s, why);
                if (access_is_some_group(self, gid))
                        access_list_add_group(out, gid);
        }
        return true;
}

bool account_list(const struct sheet *s, const char *block, const struct access_self *self,
                  struct access_list *out, struct error *e)
{
        OWN(free) char *users = own_format("%s.users", block);
        OWN(free) char *groups = own_format("%s.groups", block);
        struct search user = {.path = users, .kind = "user", .e = e};
        struct search group = {.path = groups, .kind = "group", .e = e};

        return add_users(&user, sheet_value(s, users), self, out) &&
               add_groups(&group, sheet_value(s, groups), self, out);
}
