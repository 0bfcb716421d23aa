#include "frontend/sessions_cancel.h"

#include <unistd.h>
#include "base/own.h"
#include "frontend/session_cancel.h"
#include "io/pass.h"

#define PLACES 1024             /* a session's is its process id modulo this */

static struct list *place(const struct sessions *ss, uint32_t pid)
{
        return &ss->by_pid[pid % PLACES];
}

void sessions_cancel_init(struct sessions *ss)
{
        ss->by_pid = own_alloc(PLACES * sizeof *ss->by_pid);
        for (uint32_t i = 0; i < PLACES; i++)
                list_init(place(ss, i));
}

void sessions_cancel_free(struct sessions *ss)
{
        free(ss->by_pid);
}

void sessions_cancel_know(void *arg, struct session *s)
{
        list_push_back(place(arg, s->relay.pid), &s->by_pid);
}

void sessions_cancel_forget(struct session *s)
{
        list_remove(&s->by_pid);
}

/* Takes as long for a key that is right in its first bytes as for one that is not. */
static bool same_key(const struct session *s, const uint8_t *key, size_t size)
{
        unsigned differs = 0;
        if (size != s->cancel_key_size)
                return false;
        for (size_t i = 0; i < size; i++)
                differs |= (unsigned) (s->cancel_key[i] ^ key[i]);
        return !differs;
}

/* In session mode servers of different environments may have the same process id. */
static struct session *find(const struct sessions *ss, uint32_t pid, const uint8_t *key, size_t size, uid_t uid)
{
        struct session *s;
        list_each(s, place(ss, pid), struct session, by_pid) {
                if (s->relay.pid == pid && same_key(s, key, size) && s->uid == uid)
                        return s;
        }
        return NULL;
}

void sessions_cancel(void *arg, struct session *s)
{
        struct sessions *ss = arg;
        const struct greet *g = s->greet;
        size_t size = g->cancel_key_size;
        struct session *meant = find(ss, g->cancel_pid, g->cancel_key, size, s->uid);
        if (!meant && size <= SESSION_KEY && ss->cancel_elsewhere)
                ss->cancel_elsewhere(ss->cancel_arg, stream_fd(s->relay.client), g->cancel_pid,
                                     g->cancel_key, size);
        if (!meant) {
                log_info(ss->log, "cancel request for no session of this user",
                         log_int("pid", s->pid), log_int("uid", s->uid));
                return;
        }
        log_debug(ss->log, "cancel request", log_int("client", (int64_t) meant->id),
                  log_int("pid", s->pid), log_int("uid", s->uid));
        session_cancel(meant, TAKE(s->relay.client));
}

/* ---- from another broker ---- */

static size_t received(void *arg, const uint8_t *p, size_t n)
{
        (void) arg;
        (void) p;
        return n;
}

static void flowed(void *arg)
{
        (void) arg;
}

static void left(void *arg, const struct error *e)
{
        (void) arg;
        (void) e;
}

void sessions_cancel_from(struct sessions *ss, int fd, uint32_t pid, const uint8_t *key, size_t size)
{
        /* Until session_cancel() has given it events of its own. */
        static const struct stream_events events = {received, flowed, flowed, left, NULL};
        pid_t from;
        uid_t uid;
        struct session *meant = pass_peer(fd, &from, &uid) ? find(ss, pid, key, size, uid) : NULL;
        if (!meant) {
                close(fd);
                return;
        }
        log_debug(ss->log, "cancel request by way of the broker that took this one's place",
                  log_int("client", (int64_t) meant->id), log_int("pid", from), log_int("uid", uid));
        session_cancel(meant, stream_new(ss->loop, fd, NULL, &events, NULL));
}
