#include "frontend/sessions_cancel.h"

#include "base/own.h"
#include "frontend/session_cancel.h"

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
        list_push_back(place(arg, s->cancel_pid), &s->by_pid);
}

void sessions_cancel_forget(struct session *s)
{
        list_remove(&s->by_pid);
}

/* Takes as long for a key that is right in its first bytes as for one that is not. */
static bool same_key(const struct session *s, const struct greet *g)
{
        unsigned differs = g->cancel_key_size != sizeof s->cancel_key;
        for (size_t i = 0; i < sizeof s->cancel_key; i++)
                differs |= (unsigned) (s->cancel_key[i] ^ g->cancel_key[i]);
        return !differs;
}

/* In session mode servers of different environments may have the same process id. */
static struct session *find(const struct sessions *ss, const struct session *from)
{
        struct session *s;
        list_each(s, place(ss, from->greet->cancel_pid), struct session, by_pid) {
                if (s->cancel_pid == from->greet->cancel_pid && same_key(s, from->greet) &&
                    s->uid == from->uid)
                        return s;
        }
        return NULL;
}

void sessions_cancel(void *arg, struct session *s)
{
        struct sessions *ss = arg;
        struct session *meant = find(ss, s);
        if (!meant) {
                log_info(ss->log, "cancel request for no session of this user",
                         log_int("pid", s->pid), log_int("uid", s->uid));
                return;
        }
        log_debug(ss->log, "cancel request", log_int("client", (int64_t) meant->id),
                  log_int("pid", s->pid), log_int("uid", s->uid));
        session_cancel(meant, TAKE(s->relay.client));
}
