/* Who may come in: rules over user and group ids. Names were resolved when the configuration was
 * loaded; a peer is what the kernel says of it (uid, gid and groups at accept), nothing else. */
#ifndef PGB_FRONTEND_ACCESS_H
#define PGB_FRONTEND_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "io/listen.h"

struct access_list {
        uid_t *users;           /* owned by whoever made the list */
        size_t user_count;
        gid_t *groups;
        size_t group_count;
};

/* Ids that mean something of their own. Where users are mapped (containers) the kernel shows
 * everybody it cannot map as the overflow id: that is nobody in particular, so neither it nor
 * 65534 is ever found on a list, and a peer with that uid is not let in by its groups either. */
struct access_self {
        uid_t own_uid;          /* the broker's: always allowed */
        uid_t overflow_uid;
        gid_t overflow_gid;
};

/* False for ids that are nobody's in particular. */
bool access_is_somebody(const struct access_self *self, uid_t uid);
bool access_is_some_group(const struct access_self *self, gid_t gid);
/* The ones of this process: geteuid(), /proc/sys/kernel/overflowuid and overflowgid. */
struct access_self access_self(void);

/* A zeroed list is an empty one. access_list_free() leaves an empty one. */
void access_list_add_user(struct access_list *list, uid_t uid);
void access_list_add_group(struct access_list *list, gid_t gid);
void access_list_free(struct access_list *list);

/* May the peer use what `list` guards? The broker's own uid may; NULL is an empty list. */
bool access_allows(const struct access_list *list, const struct access_self *self,
                   const struct listen_peer *peer);
/* Is the peer on any of them? Who is not is refused before it takes a client slot. */
bool access_known(const struct access_list *const *lists, size_t count,
                  const struct access_self *self, const struct listen_peer *peer);

#endif
