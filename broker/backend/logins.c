#include "backend/logins.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "backend/backoff.h"
#include "base/expect.h"
#include "base/own.h"

static void retry_expired(struct deadline *d)
{
        struct logins *g = container_of(d, struct logins, retry);
        g->changed(g->arg);
}

/* ---- the gate ---- */

void logins_gate_init(struct logins_gate *g)
{
        g->active = 0;
        list_init(&g->waiting);
}

static bool gate_open(struct logins *g)
{
        if (g->gate->active < LOGINS_IN_ALL)
                return true;
        if (list_empty(&g->at_gate))
                list_push_back(&g->gate->waiting, &g->at_gate);
        return false;
}

static void gate_leave(struct logins_gate *gate, unsigned count)
{
        struct logins *next;
        gate->active -= count;
        /* All look again, in their order: the first may have no need any more. */
        while ((next = list_first(&gate->waiting, struct logins, at_gate))) {
                list_remove(&next->at_gate);
                next->changed(next->arg);
        }
}

/* ---- life ---- */

void logins_init(struct logins *g)
{
        deadline_init(&g->retry, retry_expired);
        list_init(&g->at_gate);
        if (getrandom(&g->dice, sizeof g->dice, GRND_NONBLOCK) != sizeof g->dice)
                g->dice = (uint64_t) time(NULL);
}

void logins_stop(struct logins *g)
{
        loop_clear(g->loop, &g->retry);
        list_remove(&g->at_gate);
        gate_leave(g->gate, g->servers->count[SERVER_LOGIN]);
}

static void log_login(struct logins *g, const struct server *s, const char *how)
{
        log_info(g->log, how, log_str("environment", g->environment), log_int("server", (int64_t) s->id),
                 log_int("server_pid", s->connection->pid), log_str("version", s->credential->version_id),
                 log_str("host", s->connection->host), log_int("port", s->connection->port), log_str("tls", s->connection->tls),
                 log_str("user", s->credential->document->username),
                 log_int("took_ms", (int64_t) (loop_us() - s->began_us) / 1000));
}

/* server_lifetime, less up to a tenth by chance, so that servers opened together leave apart. */
static uint64_t expiry(const struct logins *g, uint64_t now, uint64_t salt)
{
        uint64_t life = g->options->server_lifetime;
        if (life == 0)
                return DEADLINE_NEVER;
        uint64_t mixed = (salt + now) * 0x9e3779b97f4a7c15u;
        return now + life - (mixed >> 32) % (life / 10 + 1);
}

static void arrived(struct logins *g, struct server *s, struct connection *c)
{
        uint64_t now = loop_now(g->loop);
        s->connection = c;
        track_server_init(&s->track, settings_ref(c->reported));
        s->connected = now;
        s->connect_time = s->request_time = time(NULL);
        s->expires = expiry(g, now, s->id);
        histogram_add(g->latency, loop_us() - s->began_us);
        g->failing_since = 0;
        g->failures = 0;
        g->worked = true;
        g->kind = LOGINS_TEMPORARY;
        log_login(g, s, s->probe ? "credential proven by a login" : "server connected");
        server_become(s, SERVER_IDLE, now);
}

static enum rotation_login verdict_of(enum connect_failure f)
{
        switch (f) {
        case CONNECT_REFUSED:
                return ROTATION_REFUSED;
        case CONNECT_DENIED:
                return ROTATION_DENIED;
        default:
                return ROTATION_FAILED;
        }
}

/* ---- a failure ---- */

/* Is waiting of any use? */
static enum logins_kind kind_of(enum connect_failure f, const char *sqlstate)
{
        static const char *const lasting[] = {"3D000", "28000", "F0000"};
        for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
                if (strcmp(sqlstate, lasting[i]) == 0)
                        return LOGINS_HOPELESS;
        /* Starting, stopping or recovering; all connections taken. */
        if (strncmp(sqlstate, "57P0", 4) == 0 || strcmp(sqlstate, "53300") == 0)
                return LOGINS_TEMPORARY;
        return f == CONNECT_NETWORK || f == CONNECT_TIMEOUT || f == CONNECT_ROLE ? LOGINS_UNREACHABLE
                                                                                  : LOGINS_DOUBTFUL;
}

/* An outage with clients that wait is many failures that are all the same. */
static void log_failure(struct logins *g, const struct server *s, enum connect_failure f,
                        const struct error *e)
{
        if (!backoff_worth_saying(g->failures) && strcmp(e->text, g->failure.text) == 0)
                return;
        log_warn(g->log, "server login failed", log_str("environment", g->environment),
                 log_str("class", connect_failure_name(f)),
                 log_str("version", s->credential->version_id), log_int("failures", g->failures),
                 log_reason(e));
}

static void failed(struct logins *g, const struct server *s, enum connect_failure f,
                   const struct error *e)
{
        uint64_t now = loop_now(g->loop);
        bool refused = f == CONNECT_REFUSED || f == CONNECT_DENIED;
        errors_note(g->errors, "login", e->sqlstate, e->text, time(NULL));
        if (!refused && g->failures++ == 0)
                g->failing_since = now;
        log_failure(g, s, f, e);
        if (refused)
                return;                 /* the keyring's business */
        g->failure = *e;
        g->failed_at = now;
        g->dice = g->dice * 6364136223846793005u + 1442695040888963407u;
        g->kind = kind_of(f, e->sqlstate);
}

/* May the next one be opened? If not yet, it is looked again when it may. */
static bool rested(struct logins *g, bool urgent)
{
        if (!g->failures)
                return true;
        uint64_t at = g->failed_at + backoff_pause(g->failures, g->options->server_login_retry, urgent,
                                                   (uint32_t) (g->dice >> 32));
        if (loop_now(g->loop) >= at)
                return true;
        loop_set(g->loop, &g->retry, at);
        return false;
}

/* Where one server alone can write it is most likely where it was; the others take turns. */
static unsigned choose_first(struct logins *g)
{
        if (target_writes(g->options->target))
                return g->fitted;
        return g->options->load_balance_hosts == BALANCE_ROUND_ROBIN ? g->turn++ : 0;
}

static void unfit(void *arg, const struct connection *c)
{
        struct server *s = arg;
        struct logins *g = s->pool;
        g->unfit(g->arg, c);
}

/* What the client has said in its startup packet has a part in this: nobody else's logins are held to fail.
 * But a password is the keyring's, whoever it was refused to. */
static void dedicated_failed(struct logins *g, struct server *s, enum connect_failure f,
                             const struct error *e)
{
        errors_note(g->errors, "login", e->sqlstate, e->text, time(NULL));
        if (f == CONNECT_REFUSED)
                keyring_login(g->keyring, s->credential, ROTATION_REFUSED, e);
        g->not_opened(g->arg, s, f, e);
        server_free(s);
        g->changed(g->arg);
}

static void done(void *arg, struct connection *c, unsigned host, enum connect_failure f,
                 const struct error *e)
{
        struct server *s = arg;
        struct logins *g = s->pool;
        s->dial = NULL;
        if (s->dedicated)
                g->dedicated--;
        else
                gate_leave(g->gate, 1);
        if (!c && s->dedicated) {
                dedicated_failed(g, s, f, e);
                return;
        }
        g->fitted = c ? host : host + 1;
        if (!c) {
                failed(g, s, f, e);
                keyring_login(g->keyring, s->credential, verdict_of(f), e);
                server_free(s);
                g->changed(g->arg);
                return;
        }
        arrived(g, s, c);
        keyring_login(g->keyring, s->credential, ROTATION_OK, NULL);
        g->opened(g->arg, s);
}

static struct server *start(struct logins *g, struct credential *c, const struct connect_session *session)
{
        struct server *s = server_new(g->servers, c, loop_now(g->loop));
        s->began_us = loop_us();
        s->pool = g;
        s->root_cert = own_string(g->tls->root_cert);
        struct dial_options o = {
                .connect = {.document = c->document,
                            .tls = *g->tls,
                            .timeout_ms = (unsigned) g->options->server_connect_timeout,
                            .session = *session,
                            .tcp = g->options->tcp,
                            .target = g->options->target,
                            .unfit = unfit},
                .first = choose_first(g)};
        /* The client's own default_transaction_read_only says nothing of the host. */
        if (session->options) {
                o.connect.target = target_of_host(o.connect.target);
                o.connect.unfit = NULL;
        }
        s->dial = dial_start(g->loop, &o, done, s);
        return s;
}

static struct server *start_shared(struct logins *g, struct credential *c)
{
        static const struct connect_session shared = {.application_name = "pgbroker"};
        g->gate->active++;
        return start(g, c, &shared);
}

bool logins_open(struct logins *g, bool urgent)
{
        if (g->servers->count[SERVER_LOGIN] >= LOGINS_AT_ONCE || !keyring_may_login(g->keyring))
                return false;
        /* While logins fail one at a time is enough to see whether they still do. */
        if ((g->failures && g->servers->count[SERVER_LOGIN] > g->dedicated) || !rested(g, urgent))
                return false;
        if (!gate_open(g))
                return false;
        start_shared(g, keyring_active(g->keyring));
        return true;
}

bool logins_may_dedicate(struct logins *g)
{
        return g->dedicated < LOGINS_DEDICATED && g->servers->count[SERVER_LOGIN] < LOGINS_AT_ONCE &&
               keyring_may_login(g->keyring) && rested(g, true);
}

struct server *logins_dedicate(struct logins *g, const struct connect_session *session)
{
        struct server *s = start(g, keyring_active(g->keyring), session);
        g->dedicated++;
        s->dedicated = true;
        s->replication = session->replication ? startup_replication(session->replication) : REPLICATION_NONE;
        return s;
}

void logins_give_up(struct logins *g, struct server *s)
{
        expect(s->dedicated && s->state == SERVER_LOGIN);
        g->dedicated--;
        server_free(s);
        g->changed(g->arg);
}

void logins_probe(struct logins *g, struct credential *c)
{
        start_shared(g, c)->probe = true;
}

bool logins_failing(const struct logins *g, struct error *e)
{
        if (!g->failures)
                return false;
        error_set(e, "08001", "server unreachable: %s", g->failure.text);
        error_hint(e, "%s", g->failure.hint[0] ? g->failure.hint
                                               : "Check the database server; the broker goes on trying.");
        return true;
}

bool logins_given_up(const struct logins *g, struct error *e)
{
        uint64_t failing = loop_now(g->loop) - g->failing_since;
        if (!g->failures || g->kind == LOGINS_TEMPORARY || (g->kind == LOGINS_UNREACHABLE && g->worked))
                return false;
        if (g->kind != LOGINS_HOPELESS && failing < g->options->server_login_retry)
                return false;
        return logins_failing(g, e);
}
