/* Readiness of a file descriptor that someone else owns, and changes of a file. */
#ifndef PGB_IO_WATCH_H
#define PGB_IO_WATCH_H

#include "io/loop.h"

#define WATCH_READABLE 1
#define WATCH_WRITABLE 2
#define WATCH_ERROR    4        /* only reported, together with what was asked for: poll failed, and
                                   reading or writing tells why. Ask again to go on. */

struct watch;

/* `ready` is called as long as what is asked for holds (level-triggered). Starts with nothing
 * asked for. One watch a descriptor. */
struct watch *watch_new(struct loop *l, int fd, void (*ready)(void *arg, unsigned events), void *arg);
void watch_for(struct watch *w, unsigned events);
/* Stops at once: no call after this; the descriptor may be closed directly afterwards. NULL is fine. */
void watch_free(struct watch *w);

/* Calls changed() (coalesced, some 100 ms later) when the file at `path` is written, replaced or
 * removed, gets another owner or mode, or when its symbolic links lead to another file. The
 * folder is watched, so that a rename onto it is seen; a look every 30 s catches what no event
 * tells. NULL and `e` if the folder can't be watched; the file itself may be missing. */
struct error;
struct watch_file;
struct watch_file *watch_file_new(struct loop *l, const char *path, void (*changed)(void *arg),
                                  void *arg, struct error *e);
void watch_file_free(struct watch_file *w);

#endif
