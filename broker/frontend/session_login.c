#include "frontend/session_parts.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "backend/pool_notifier.h"
#include "base/expect.h"
#include "base/own.h"
#include "frontend/session_replication.h"
#include "io/listen.h"

#define VIRTUAL_PID 4194304u            /* Linux gives no process a higher one */

static void send_welcome(struct session *s)
{
        struct relay *r = &s->relay;
        struct bytes b;
        bytes_init(&b, 0);
        if (session_keeps(s) && r->server->connection->has_key)
                s->relay.pid = r->server->connection->pid;
        if (session_keeps(s) && !s->replication)
                pool_notifier_lent(r->server, s->relay.pid, loop_us());
        greet_negotiate(s->greet, &b);
        s->cancel_key_size = s->greet->minor >= 2 ? SESSION_KEY : 4;
        greet_welcome(r->track.wanted, r->track.known, s->relay.pid, s->cancel_key,
                      s->cancel_key_size, &b);
        stream_send_copy(r->client, bytes_data(&b), bytes_length(&b));
        bytes_free(&b);
        s->keeper->welcomed(s->keeper->arg, s);
}

void session_welcome(struct session *s)
{
        send_welcome(s);
        greet_free(s->greet);
        free(TAKE(s->greet));
        s->relay.muted = false;
        s->heard_at = loop_now(s->loop);
        stream_retarget(s->relay.client, s->replication ? &session_replication_events : &session_client_events, s);
        s->home->pool->stats.total.client_login_count++;
        log_info(s->log, "client connected", log_str("environment", s->home->pool->environment),
                  log_int("client", (int64_t) s->id), log_int("pid", s->pid), log_int("uid", s->uid),
                  log_str("user", s->user));
        if (s->relay.server && !session_keeps(s))
                session_give_back(s);
        session_become(s, s->relay.server ? SESSION_ACTIVE : SESSION_IDLE);
        stream_again(s->relay.client);
        session_settle(s);
}

static void refuse(struct session *s)
{
        struct server *server = s->relay.server;
        struct error e = {0};
        if (server->track.restore_reason)
                e = *server->track.restore_reason;
        else
                error_set(&e, "22023", "the session parameters were refused by the server");
        track_recover(&server->track);
        session_give_back(s);
        session_end(s, &e);
}

void session_tried(struct session *s)
{
        if (s->relay.server->track.restore_failed) {
                refuse(s);
                return;
        }
        struct track_client *c = &s->relay.track;
        c->trying = false;
        home_learn(s->home, s->greet->settings, &(struct welcome){c->wanted, c->startup});
        session_welcome(s);
}

void session_track(struct session *s, const struct welcome *w)
{
        struct pool *p = s->home->pool;
        track_client_free(&s->relay.track);
        track_client_init(&s->relay.track, w->told, w->said, s->replication ? w->told : p->known, p->texts,
                          session_options(s)->max_prepared_statements);
        session_pin_start(s);
}

/* A set of parameters that no client had before is tried on a server: what is wrong with it the
 * client hears now, as it would from PostgreSQL, and how the server spells the values. */
void session_try(struct session *s, struct server *server)
{
        struct settings *asked = s->greet->settings, *all = home_overlay(server->connection->reported, asked);
        session_track(s, &(struct welcome){all, asked});
        settings_unref(all);
        s->relay.track.trying = true;
        session_become(s, SESSION_TRYING);
        s->greet->tried_at = loop_now(s->loop);
        session_borrow(s, server);
        if (track_quiet(&server->track))
                session_tried(s);
        else
                session_settle(s);
}

void session_log_in(struct session *s)
{
        struct home *h = s->home;
        struct welcome w;
        if (session_needs_dedicated(s)) {
                session_dedicate(s);
                return;
        }
        if (home_welcome(h, s->greet->settings, &w) && !session_mode(s)) {
                session_track(s, &w);
                session_welcome(s);
                return;
        }
        struct server *server = pool_take(h->pool, &s->wait);
        if (server)
                session_try(s, server);
        else
                session_settle(s);
}

/* ---- greeting ---- */

static bool enter(struct session *s, struct error *e)
{
        struct pool *pool;
        s->home = s->keeper->home(s->keeper->arg, s, s->greet->database, e);
        if (!s->home)
                return false;
        pool = s->home->pool;
        s->relay.stats = &pool->stats;
        s->relay.errors = &pool->errors;
        if (!pool_enter(pool, &s->wait, s->uid, e))
                return false;
        session_become(s, SESSION_LOGIN);
        session_set_patience(s, 0);
        session_log_in(s);
        return true;
}

static void greeted(struct session *s)
{
        struct error e = {0};
        bool taken = false;
        s->user = own_string(s->greet->user);
        if (!s->keeper->console(s->keeper->arg, s, &taken, &e)) {
                session_end(s, &e);
        } else if (taken) {
                s->relay.client = NULL;
                session_end(s, NULL);
        } else if (!enter(s, &e)) {
                session_end(s, &e);
        }
}

static size_t greeting_received(void *arg, const uint8_t *p, size_t n)
{
        struct session *s = arg;
        struct error e = {0};
        struct bytes answer;
        size_t used;
        bytes_init(&answer, 0);
        enum greet_verdict v = greet_read(s->greet, p, n, &used, &answer, &e);
        stream_send_copy(s->relay.client, bytes_data(&answer), bytes_length(&answer));
        bytes_free(&answer);
        switch (v) {
        case GREET_SHORT:
        case GREET_AGAIN:
                break;
        case GREET_SESSION:
                greeted(s);
                break;
        case GREET_CANCEL:
                s->keeper->cancel(s->keeper->arg, s);
                session_end(s, NULL);
                break;
        case GREET_SUCCESSOR:
                s->keeper->successor(s->keeper->arg, s);
                session_end(s, NULL);
                break;
        case GREET_BAD:
                session_end(s, &e);
                break;
        }
        return used;
}

static const struct stream_events greeting_events = {greeting_received, session_flow_changed,
                                                     session_flow_changed, session_client_ended, NULL};

/* ---- life ---- */

static void make_key(struct session *s)
{
        /* The first byte is kept free: the number of a loop, when there are several. */
        expect(getrandom(s->cancel_key, sizeof s->cancel_key, 0) == (ssize_t) sizeof s->cancel_key);
        s->cancel_key[0] = 0;
        s->relay.pid = VIRTUAL_PID + (uint32_t) (s->id % (INT32_MAX - VIRTUAL_PID)) + 1;
}

static void remember_peer(struct session *s, const struct listen_peer *peer)
{
        s->pid = peer->pid;
        s->uid = peer->uid;
        s->gid = peer->gid;
        s->greet->group_count = peer->group_count;
        if (peer->group_count) {
                s->greet->groups = own_alloc(peer->group_count * sizeof *peer->groups);
                memcpy(s->greet->groups, peer->groups, peer->group_count * sizeof *peer->groups);
        }
}

struct session *session_new(struct loop *l, struct log *log, const struct session_keeper *keeper,
                            int fd, const struct listen_peer *peer, uint64_t id, uint64_t login_timeout)
{
        struct session *s = own_new(struct session);
        s->loop = l;
        s->log = log;
        s->keeper = keeper;
        s->id = id;
        s->greet = own_new(struct greet);
        greet_init(s->greet);
        s->connect_time = s->request_time = time(NULL);
        list_init(&s->link);
        list_init(&s->by_pid);
        list_init(&s->cancels);
        list_init(&s->wait.link);
        list_init(&s->wait.in_line);
        s->wait.events = &session_wait_events;
        remember_peer(s, peer);
        s->relay.muted = true;
        make_key(s);
        deferred_init(&s->burial, session_bury);
        deadline_init(&s->patience, session_patience_over);
        s->relay.client = stream_new(l, fd, NULL, &greeting_events, s);
        session_set_patience(s, login_timeout);
        return s;
}
