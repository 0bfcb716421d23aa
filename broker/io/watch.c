#include "io/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uv.h>
#include "base/error.h"
#include "base/expect.h"
#include "base/own.h"

/* ---- readiness of a descriptor ---- */

/* Outlives watch_free() until libuv has closed the handle. */
struct watch {
        uv_poll_t poll;
        struct loop *loop;
        void (*ready)(void *arg, unsigned events);
        void *arg;
        unsigned asked;
        bool known;                     /* to libuv; a descriptor that epoll refuses is not */
        struct deferred refused;
};

static void poll_refused(struct deferred *d)
{
        struct watch *w = container_of(d, struct watch, refused);

        w->ready(w->arg, WATCH_ERROR | w->asked);
}

struct watch *watch_new(struct loop *l, int fd, void (*ready)(void *arg, unsigned events),
                        void *arg)
{
        struct watch *w = own_new(struct watch);

        *w = (struct watch){.loop = l, .ready = ready, .arg = arg};
        deferred_init(&w->refused, poll_refused);
        w->known = uv_poll_init(loop_uv(l), &w->poll, fd) == 0;
        w->poll.data = w;
        return w;
}

static void polled(uv_poll_t *poll, int status, int events)
{
        struct watch *w = poll->data;
        unsigned ready = 0;

        if (events & UV_READABLE)
                ready |= WATCH_READABLE;
        if (events & UV_WRITABLE)
                ready |= WATCH_WRITABLE;
        if (status < 0) {
                /* libuv has stopped polling by itself, so that the next watch_for() has to start
                 * it. Whoever looks only for what he asked for then meets the error. */
                ready |= WATCH_ERROR | w->asked;
                w->asked = 0;
        }
        w->ready(w->arg, ready);
}

void watch_for(struct watch *w, unsigned events)
{
        int uv = (events & WATCH_READABLE ? UV_READABLE : 0) |
                 (events & WATCH_WRITABLE ? UV_WRITABLE : 0);

        if (events == w->asked)
                return;
        w->asked = events;
        if (!uv && w->known)
                uv_poll_stop(&w->poll);
        if (!uv)
                deferred_clear(&w->refused);
        else if (!w->known || uv_poll_start(&w->poll, uv, polled) != 0)
                loop_defer(w->loop, &w->refused);
}

static void poll_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void watch_free(struct watch *w)
{
        if (!w)
                return;
        deferred_clear(&w->refused);
        if (w->known)
                uv_close((uv_handle_t *) &w->poll, poll_closed);
        else
                free(w);
}

/* ---- changes of a file ---- */

/* Folders are watched, events are taken as a reason to look at the file, and only a look that
 * finds another file than the last one did is a change. Two folders: that of the name, and that
 * of the file which the name leads to by symbolic links (Kubernetes mounts a secret as
 * key -> ..data/key, ..data -> ..2026_01_01, and replaces ..data). A slow look now and then
 * covers what inotify doesn't tell: links in between, network file systems, a full queue. */
enum { SETTLE_MS = 100, MISSING_MS = 1000, SLOW_MS = 30000, FOLDERS = 2 };

struct identity {
        int error;                      /* of stat(); all else is then 0 */
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec written, altered;       /* altered: owner and mode, too */
};

/* A new folder often gets the inode number of the removed one, so its birth counts as well. */
struct folder {
        char *path;                     /* NULL: there is none, or none to watch */
        dev_t device;
        ino_t inode;
        struct statx_timestamp born;
};

/* What a thread of the pool finds out, since a file system can hang. */
struct look {
        uv_work_t work;
        struct watch_file *owner;       /* NULL: freed meanwhile */
        char *path;
        struct identity file;
        struct folder folders[FOLDERS];
};

struct watch_file {
        struct loop *loop;
        char *path;
        void (*changed)(void *arg);
        void *arg;
        struct identity file;
        struct folder folders[FOLDERS];
        uv_fs_event_t events[FOLDERS];
        int handles;                    /* not closed yet */
        struct look *looking;
        struct deadline next;
};

static struct identity identify(const char *path)
{
        struct stat s;

        if (stat(path, &s) != 0)
                return (struct identity){.error = errno};
        return (struct identity){0, s.st_dev, s.st_ino, s.st_size, s.st_mtim, s.st_ctim};
}

static bool same_moment(struct timespec a, struct timespec b)
{
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
        return a->error == b->error && a->device == b->device && a->inode == b->inode &&
               a->size == b->size && same_moment(a->written, b->written) &&
               same_moment(a->altered, b->altered);
}

/* The folder that `path` lies in, if it exists; errno tells why not. */
static struct folder folder_of(const char *path)
{
        const char *slash = strrchr(path, '/');
        char *name = !slash          ? own_string(".")
                     : slash == path ? own_string("/")
                                     : own_text(path, (size_t) (slash - path));
        struct statx s;

        if (statx(AT_FDCWD, name, 0, STATX_INO | STATX_BTIME, &s) == 0)
                return (struct folder){name, makedev(s.stx_dev_major, s.stx_dev_minor), s.stx_ino,
                                       s.stx_btime};

        int why = errno;

        free(name);
        errno = why;
        return (struct folder){0};
}

static bool same_folder(const struct folder *a, const struct folder *b)
{
        return a->device == b->device && a->inode == b->inode &&
               a->born.tv_sec == b->born.tv_sec && a->born.tv_nsec == b->born.tv_nsec;
}

static void folder_drop(struct folder *f)
{
        free(f->path);
        *f = (struct folder){0};
}

static void look_at(struct look *k)
{
        OWN(free) char *real = realpath(k->path, NULL);

        k->file = identify(k->path);
        k->folders[0] = folder_of(k->path);
        if (real)
                k->folders[1] = folder_of(real);
        if (same_folder(&k->folders[0], &k->folders[1]))
                folder_drop(&k->folders[1]);
}

static void look_free(struct look *k)
{
        for (int i = 0; i < FOLDERS; i++)
                folder_drop(&k->folders[i]);
        free(k->path);
        free(k);
}

static void look_within(struct watch_file *w, uint64_t ms)
{
        uint64_t at = loop_now(w->loop) + ms;

        if (!loop_is_set(&w->next) || w->next.at > at)
                loop_set(w->loop, &w->next, at);
}

/* Whatever happened and to whichever name: the look decides. */
static void folder_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
        (void) name;
        (void) events;
        (void) status;
        look_within(handle->data, SETTLE_MS);
}

/* Watches `f` (taken from there) instead of what was watched in that place. */
static int folder_watch(struct watch_file *w, int place, struct folder *f)
{
        int status = 0;

        uv_fs_event_stop(&w->events[place]);
        folder_drop(&w->folders[place]);
        if (!f->path)
                return 0;
        status = uv_fs_event_start(&w->events[place], folder_event, f->path, 0);
        if (status == 0)
                w->folders[place] = *f;
        else
                free(f->path);
        *f = (struct folder){0};
        return status;
}

/* Follows folders that are other ones by now; true if one was taken up. */
static bool folders_follow(struct watch_file *w, struct look *k)
{
        bool taken = false;

        for (int i = 0; i < FOLDERS; i++) {
                bool any = k->folders[i].path != NULL;

                if (!same_folder(&w->folders[i], &k->folders[i]))
                        taken |= folder_watch(w, i, &k->folders[i]) == 0 && any;
        }
        return taken;
}

static void look_done(uv_work_t *work, int status)
{
        struct look *k = work->data;
        struct watch_file *w = k->owner;

        (void) status;
        if (!w) {
                look_free(k);
                return;
        }
        w->looking = NULL;

        bool differs = !same_identity(&w->file, &k->file);

        w->file = k->file;
        /* What changed between that look and the watch on a new folder was seen by neither. */
        if (folders_follow(w, k))
                look_within(w, SETTLE_MS);
        look_within(w, w->folders[0].path ? SLOW_MS : MISSING_MS);
        look_free(k);
        if (differs)
                w->changed(w->arg);
}

static void look_work(uv_work_t *work)
{
        look_at(work->data);
}

static void look_due(struct deadline *d)
{
        struct watch_file *w = container_of(d, struct watch_file, next);

        if (w->looking) {
                look_within(w, SETTLE_MS);
                return;
        }

        struct look *k = own_new(struct look);

        k->path = own_string(w->path);
        k->owner = w;
        k->work.data = k;
        w->looking = k;
        expect(uv_queue_work(loop_uv(w->loop), &k->work, look_work, look_done) == 0);
}

static bool refuse(struct error *e, const char *path, int why, const char *hint)
{
        error_set(e, "58030", "file \"%s\" cannot be watched: %s", path, strerror(why));
        return error_hint(e, "%s", hint);
}

/* The folder first and the file after it: a change between the two is then an event. */
static bool file_watch(struct watch_file *w, struct error *e)
{
        struct look k = {.path = w->path};
        struct folder f = folder_of(w->path);

        if (!f.path)
                return refuse(e, w->path, errno,
                              "The broker's user must be able to enter its folder.");

        int status = folder_watch(w, 0, &f);

        if (status != 0)
                return refuse(e, w->path, -status,
                              status == UV_ENOSPC || status == UV_EMFILE
                                      ? "Raise fs.inotify.max_user_watches and max_user_instances "
                                        "by sysctl."
                                      : "The broker's user must be able to read its folder.");
        look_at(&k);
        w->file = k.file;
        look_within(w, folders_follow(w, &k) ? SETTLE_MS : SLOW_MS);
        for (int i = 0; i < FOLDERS; i++)
                folder_drop(&k.folders[i]);
        return true;
}

struct watch_file *watch_file_new(struct loop *l, const char *path, void (*changed)(void *arg),
                                  void *arg, struct error *e)
{
        struct watch_file *w = own_new(struct watch_file);

        *w = (struct watch_file){
                .loop = l, .path = own_string(path), .changed = changed, .arg = arg};
        deadline_init(&w->next, look_due);
        for (int i = 0; i < FOLDERS; i++) {
                expect(uv_fs_event_init(loop_uv(l), &w->events[i]) == 0);
                w->events[i].data = w;
                w->handles++;
        }
        if (file_watch(w, e))
                return w;
        watch_file_free(w);
        return NULL;
}

static void folder_closed(uv_handle_t *handle)
{
        struct watch_file *w = handle->data;

        if (--w->handles > 0)
                return;
        free(w->path);
        free(w);
}

void watch_file_free(struct watch_file *w)
{
        if (!w)
                return;
        loop_clear(w->loop, &w->next);
        if (w->looking)
                w->looking->owner = NULL;
        for (int i = 0; i < FOLDERS; i++) {
                uv_close((uv_handle_t *) &w->events[i], folder_closed);
                folder_drop(&w->folders[i]);
        }
}
