#include "frontend/sessions.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/own.h"
#include "frontend/sessions_cancel.h"

/* A cancel request must come through when all places are taken: so many may say what they want. */
#define CANCEL_ROOM 256

static bool is_console(const char *database)
{
        return strcmp(database, "pgbroker") == 0 || strcmp(database, "pgbouncer") == 0;
}

static struct listen_peer peer_of(const struct session *s)
{
        return (struct listen_peer){s->pid, s->uid, s->gid, s->greet->groups, s->greet->group_count};
}

static bool refuse_draining(const struct sessions *ss, struct error *e)
{
        if (!ss->draining)
                return false;
        error_set(e, "57P01", "the broker is shutting down");
        error_hint(e, "Connect again in a moment.");
        return true;
}

/* The environments that the peer may use. */
static const char *names_for(const struct sessions *ss, const struct listen_peer *peer, char *text,
                             size_t size)
{
        const struct sessions_environment *v;
        size_t at = 0;
        text[0] = '\0';
        list_each(v, &ss->environments, struct sessions_environment, link) {
                if (at >= size || !access_allows(&v->access, &ss->self, peer))
                        continue;
                int n = snprintf(text + at, size - at, "%s%s", at ? ", " : "", v->name);
                at += n > 0 ? (size_t) n : 0;
        }
        return text;
}

static void too_many(const struct sessions *ss, struct error *e)
{
        error_set(e, "53300", "too many clients (socket.max_client_conn %u)", ss->max_client_conn);
        error_hint(e, "Close idle clients or raise socket.max_client_conn.");
}

/* PostgreSQL's tools for physical replication send this name, whatever they are told: the server ignores it. */
static bool asks_for_no_database(const struct greet *g)
{
        return g->replication && startup_replication(g->replication) == REPLICATION_PHYSICAL &&
               strcmp(g->database, "replication") == 0;
}

static struct home *find_home(void *arg, struct session *s, const char *database, struct error *e)
{
        struct sessions *ss = arg;
        struct sessions_environment *v = sessions_find(ss, database);
        struct listen_peer peer = peer_of(s);
        if (!v && asks_for_no_database(s->greet) && ss->environments.next == ss->environments.prev)
                v = list_first(&ss->environments, struct sessions_environment, link);
        if (refuse_draining(ss, e))
                return NULL;
        if (!v) {
                char names[160];
                error_set(e, "3D000", "environment \"%s\" does not exist", database);
                error_hint(e, "The database name is the name of an environment; yours are: %s.%s",
                           names_for(ss, &peer, names, sizeof names),
                           asks_for_no_database(s->greet) ? " Give the one that is to be replicated the "
                                                            "alias \"replication\"." : "");
                return NULL;
        }
        if (!access_allows(&v->access, &ss->self, &peer)) {
                error_set(e, "28000", "uid %u (pid %d) may not use environment \"%s\"",
                          (unsigned) s->uid, (int) s->pid, v->name);
                error_hint(e, "Add the user or one of its groups to environments.%s.access.", v->name);
                return NULL;
        }
        if (v->pool->disabled) {
                error_set(e, "57P03", "environment \"%s\" is disabled: it takes no new clients", v->name);
                error_hint(e, "An administrator has said DISABLE; ENABLE %s ends that.", v->name);
                return NULL;
        }
        if (ss->inside >= ss->max_client_conn) {
                ss->refused++;
                too_many(ss, e);
                return NULL;
        }
        ss->inside++;
        return v->home;
}

static bool console(void *arg, struct session *s, bool *taken, struct error *e)
{
        struct sessions *ss = arg;
        struct listen_peer peer = peer_of(s);
        *taken = false;
        if (!is_console(s->greet->database))
                return true;
        if (!access_allows(&ss->admin, &ss->self, &peer)) {
                error_set(e, "28000", "uid %u (pid %d) may not use the console", (unsigned) s->uid,
                          (int) s->pid);
                return error_hint(e, "Add the user or one of its groups to admin.");
        }
        *taken = true;
        ss->console(ss->console_arg, s->relay.client, &peer, s->greet);
        return true;
}

static void failed(void *arg, const struct session *s, const struct error *e)
{
        struct sessions *ss = arg;
        errors_note(s->home ? &s->home->pool->errors : &ss->errors, "client", e->sqlstate, e->text,
                    time(NULL));
}

static void successor(void *arg, struct session *s)
{
        struct sessions *ss = arg;
        int fd = fcntl(stream_fd(s->relay.client), F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
                ss->successor(ss->successor_arg, fd, s->pid, s->uid);
}

static void ended(void *arg, struct session *s)
{
        struct sessions *ss = arg;
        sessions_cancel_forget(s);
        ss->count--;
        ss->inside -= s->home != NULL;
}

static void see_out(void *arg, struct stream *client)
{
        struct sessions *ss = arg;
        doorman_see_out(&ss->doorman, client);
}

struct sessions *sessions_new(struct loop *l, struct log *log)
{
        struct sessions *ss = own_new(struct sessions);
        ss->loop = l;
        ss->log = log;
        ss->keeper = (struct session_keeper){ss, find_home, console, sessions_cancel_know,
                                             sessions_cancel, successor, failed, ended, see_out};
        ss->self = access_self();
        doorman_init(&ss->doorman, l);
        sessions_cancel_init(ss);
        ss->max_client_conn = 10000;
        list_init(&ss->all);
        list_init(&ss->environments);
        return ss;
}

/* Refused before it takes a slot. */
static void turn_away(struct sessions *ss, int fd, const struct listen_peer *peer, const struct error *e)
{
        ss->refused++;
        errors_note(&ss->errors, "client", e->sqlstate, e->text, time(NULL));
        log_info(ss->log, "client refused", log_int("pid", peer->pid), log_int("uid", peer->uid),
                 log_reason(e));
        doorman_refuse(&ss->doorman, fd, e);
}

static bool known(const struct sessions *ss, const struct listen_peer *peer)
{
        const struct sessions_environment *v;
        if (access_allows(&ss->admin, &ss->self, peer))
                return true;
        list_each(v, &ss->environments, struct sessions_environment, link) {
                if (access_allows(&v->access, &ss->self, peer))
                        return true;
        }
        return false;
}

void sessions_accept(void *arg, int fd, const struct listen_peer *peer)
{
        struct sessions *ss = arg;
        struct error e = {0};
        if (!known(ss, peer)) {
                error_set(&e, "28000", "uid %u (pid %d) may not use this broker", (unsigned) peer->uid,
                          (int) peer->pid);
                error_hint(&e, "Add the user or one of its groups to an environment's access.");
                turn_away(ss, fd, peer, &e);
                return;
        }
        if (ss->count >= ss->max_client_conn + CANCEL_ROOM) {
                too_many(ss, &e);
                turn_away(ss, fd, peer, &e);
                return;
        }
        struct session *s = session_new(ss->loop, ss->log, &ss->keeper, fd, peer, ++ss->ids,
                                        ss->login_timeout);
        ss->count++;
        list_push_back(&ss->all, &s->link);
}

void sessions_trouble(void *arg, int why)
{
        struct sessions *ss = arg;
        if (!why)
                log_info(ss->log, "clients are accepted again", log_int("clients", ss->count));
        else
                log_error(ss->log, "clients can't be accepted and wait", log_str("reason", strerror(why)),
                          log_int("clients", ss->count),
                          log_str("hint", "raise the limit of open files (LimitNOFILE=)"));
}

static bool named(const struct sessions_environment *v, const char *name)
{
        if (strcmp(v->name, name) == 0)
                return true;
        for (char **alias = v->aliases; *alias; alias++) {
                if (strcmp(*alias, name) == 0)
                        return true;
        }
        return false;
}

struct sessions_environment *sessions_find(const struct sessions *ss, const char *name)
{
        struct sessions_environment *v;
        list_each(v, &ss->environments, struct sessions_environment, link) {
                if (named(v, name))
                        return v;
        }
        return NULL;
}

static void copy_access(struct access_list *to, const struct access_list *from)
{
        access_list_free(to);
        for (size_t i = 0; i < from->user_count; i++)
                access_list_add_user(to, from->users[i]);
        for (size_t i = 0; i < from->group_count; i++)
                access_list_add_group(to, from->groups[i]);
}

static void free_aliases(char **aliases)
{
        for (char **a = aliases; a && *a; a++)
                free(*a);
        free(aliases);
}

struct sessions_environment *sessions_put(struct sessions *ss, const char *name,
                                          const char *const *aliases, size_t alias_count,
                                          struct pool *pool, const struct access_list *access)
{
        struct sessions_environment *v = sessions_find(ss, name);
        if (!v || strcmp(v->name, name) != 0) {
                v = own_new(struct sessions_environment);
                v->name = own_string(name);
                v->pool = pool;
                v->home = home_new(pool);
                list_push_back(&ss->environments, &v->link);
        }
        char **copy = own_alloc((alias_count + 1) * sizeof *copy);
        for (size_t i = 0; i < alias_count; i++)
                copy[i] = own_string(aliases[i]);
        free_aliases(v->aliases);
        v->aliases = copy;
        copy_access(&v->access, access);
        return v;
}

static void free_environment(struct sessions_environment *v)
{
        list_remove(&v->link);
        home_free(v->home);
        access_list_free(&v->access);
        free_aliases(v->aliases);
        free(v->name);
        free(v);
}

void sessions_retire(struct sessions *ss, struct sessions_environment *v)
{
        struct session *s;
        struct error e = {0};
        list_remove(&v->link);
        error_set(&e, "57P01", "environment \"%s\" has been removed from the configuration", v->name);
        list_each(s, &ss->all, struct session, link) {
                if (s->home == v->home)
                        session_drain(s, &e);
        }
}

void sessions_kill(struct sessions *ss, struct sessions_environment *v, const struct error *e)
{
        struct session *s;
        list_each(s, &ss->all, struct session, link) {
                if (s->home == v->home)
                        session_end(s, e);
        }
}

struct session *sessions_client(const struct sessions *ss, uint64_t id)
{
        struct session *s;
        list_each(s, &ss->all, struct session, link) {
                if (s->home && (s->id == id || (s->id & INT32_MAX) == id))
                        return s;
        }
        return NULL;
}

void sessions_remove(struct sessions *ss, struct sessions_environment *v)
{
        struct error e = {0};
        error_set(&e, "57P01", "the broker is shutting down");
        sessions_kill(ss, v, &e);
        free_environment(v);
}

void sessions_set_admin(struct sessions *ss, const struct access_list *admin)
{
        copy_access(&ss->admin, admin);
}

void sessions_drain(struct sessions *ss)
{
        struct session *s;
        struct error e = {0};
        ss->draining = true;
        error_set(&e, "57P01", "the broker is shutting down");
        error_hint(&e, "Connect again in a moment.");
        list_each(s, &ss->all, struct session, link)
                session_drain(s, &e);
}

void sessions_free(struct sessions *ss)
{
        struct session *s;
        struct error e = {0};
        if (!ss)
                return;
        error_set(&e, "57P01", "the broker is shutting down");
        list_each(s, &ss->all, struct session, link)
                session_end(s, &e);
        while (!list_empty(&ss->environments))
                free_environment(list_first(&ss->environments, struct sessions_environment, link));
        doorman_free(&ss->doorman);
        sessions_cancel_free(ss);
        access_list_free(&ss->admin);
        free(ss);
}
