#include "backend/connect.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backend/greeting.h"
#include "backend/probe.h"
#include "io/resolve.h"
#include "io/watch.h"
#include "io/work.h"

#define REACH_HINT                                                                                 \
        "Check host and port of the secret, and the firewalls between here and there, or raise "   \
        "server_connect_timeout."
#define SLOW_HINT  "Check the load of the server, or raise server_connect_timeout."
#define NAMES_HINT "Check that the name servers in /etc/resolv.conf can be reached."

/* One login at one address. A thread of the pool takes a step at a time; while it does (`busy`),
 * nothing here is touched by the loop. */
struct attempt {
        struct connect *owner;
        const char *sslmode, *hostaddr; /* hostaddr NULL: a unix socket */
        PGconn *pg;
        PostgresPollingStatusType next; /* what the last step said */
        struct refusal farewell;        /* FATAL or ERROR that libpq took for a notice */
        FILE *trace;
        char trace_buffer[512];
        struct greeting greeting;
        bool busy;
};

/* Held by the caller, until done() or connect_cancel(), and by every step on a thread, which reads
 * the strings. */
struct connect {
        unsigned holders;
        struct loop *loop;
        connect_done *done;
        void *arg; /* done NULL: was called, or is not wanted any more */

        char *host, *user, *database, *root_cert;
        struct connect_session session;
        struct sealed *password;
        enum ssl_mode ssl_mode;
        unsigned port, timeout_ms;
        struct enforce_options tls;
        struct tcp_options tcp;
        enum target_session_attrs target;
        void (*unfit)(void *arg, const struct connection *c);
        struct enforce_decision decision;

        struct resolve *resolve;
        struct resolve_addresses addresses;
        size_t at;                /* the address being tried */
        uint64_t began, end;      /* this address; all of it */
        struct deadline limit;    /* of this address, or of all of it */
        struct deferred start;    /* a socket needs no resolving */
        struct attempt *attempt;  /* NULL: none, or one that was given up on */
        enum refusal_stage stage; /* how far it had come before the step it is at */
        struct watch *watch;
        struct connection *connection; /* while it is probed */
        struct probe *probe;
        struct probe_question question;
        struct refusal why;
};

static void attempt_step(struct attempt *a);

/* ---- life ---- */

static void attempt_free(struct attempt *a)
{
        if (!a)
                return;
        if (a->trace) {
                PQuntrace(a->pg);
                fclose(a->trace);
        }
        sealed_wipe(a->trace_buffer, sizeof a->trace_buffer);
        greeting_free(&a->greeting);
        connection_forget_password(a->pg);
        PQfinish(a->pg);
        free(a);
}

static void connect_release(struct connect *c)
{
        if (--c->holders > 0)
                return;
        sealed_free(c->password);
        free(c->host);
        free(c->user);
        free(c->database);
        connect_session_free(&c->session);
        free(c->root_cert);
        free(c);
}

/* Turns away from the attempt; if a thread is at it, it is freed when the thread comes back. */
static void give_up_attempt(struct connect *c)
{
        struct attempt *a = TAKE(c->attempt);

        watch_free(TAKE(c->watch));
        if (a && !a->busy)
                attempt_free(a);
}

/* Stops all that could still call; `connection` stays. */
static void stop(struct connect *c)
{
        loop_clear(c->loop, &c->limit);
        deferred_clear(&c->start);
        probe_free(TAKE(c->probe));
        resolve_cancel(TAKE(c->resolve));
        give_up_attempt(c);
}

static void settle(struct connect *c, struct connection *connection)
{
        connect_done *done = TAKE(c->done);

        stop(c);
        connection_close(TAKE(c->connection));
        done(c->arg, connection, c->why.failure, connection ? NULL : &c->why.error);
        connect_release(c);
}

void connect_cancel(struct connect *c)
{
        if (!c || !c->done)
                return;
        c->done = NULL;
        stop(c);
        connection_close(TAKE(c->connection));
        connect_release(c);
}

/* ---- steps on a thread ---- */

/* What comes together with the end of the login is taken by libpq, the server's last words too. */
static void noticed(void *arg, const PGresult *result)
{
        struct attempt *a = arg;
        const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

        if (!severity)
                severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
        /* FATAL, ERROR, PANIC; none of the milder ones begins so. */
        if (severity && severity[0] && strchr("FEP", severity[0]))
                refusal_answer(sqlstate ? sqlstate : "08006", message ? message : "", &a->farewell);
}

static ssize_t traced(void *greeting, const char *p, size_t n)
{
        greeting_read(greeting, p, n);
        return (ssize_t) n;
}

static void attempt_trace(struct attempt *a)
{
        a->trace = fopencookie(&a->greeting, "w", (cookie_io_functions_t){.write = traced});
        if (!a->trace)
                return;
        setvbuf(a->trace, a->trace_buffer, _IOFBF, sizeof a->trace_buffer);
        PQtrace(a->pg, a->trace);
        PQsetTraceFlags(a->pg, PQTRACE_SUPPRESS_TIMESTAMPS);
}

static void attempt_begin(struct attempt *a)
{
        const struct connect *c = a->owner;
        const struct connect_parameters p = {.host = c->host,
                                             .hostaddr = a->hostaddr,
                                             .port = c->port,
                                             .user = c->user,
                                             .password = c->password,
                                             .database = c->database,
                                             .session = &c->session,
                                             .sslmode = a->sslmode,
                                             .root_cert = c->root_cert,
                                             .channel_binding = c->decision.channel_binding,
                                             .tcp = &c->tcp};

        a->pg = connect_begin(&p);
        PQsetErrorVerbosity(a->pg, PQERRORS_VERBOSE);
        PQsetNoticeReceiver(a->pg, noticed, a);
        attempt_trace(a);
        a->next = PQstatus(a->pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
}

static void attempt_run(void *arg)
{
        struct attempt *a = arg;

        if (a->pg)
                a->next = PQconnectPoll(a->pg);
        else
                attempt_begin(a);
}

/* ---- one address ---- */

/* Says in psql's words where it failed. */
static bool refuse(struct connect *c, const struct refusal *why)
{
        struct error *e = &c->why.error;

        c->why = *why;
        if (c->host[0] == '/')
                return error_context(e, "connection to server on socket \"%s/.s.PGSQL.%u\" failed",
                                     c->host, c->port);
        return error_context(e, "connection to server at \"%s\" (%s), port %u failed", c->host,
                             c->addresses.text[c->at], c->port);
}

static void attempt_start(struct connect *c, const char *sslmode)
{
        struct attempt *a = own_new(struct attempt);
        uint64_t now = loop_now(c->loop), left = c->addresses.count - c->at;

        a->owner = c;
        a->sslmode = sslmode;
        a->hostaddr = c->host[0] == '/' ? NULL : c->addresses.text[c->at];
        greeting_init(&a->greeting);
        c->attempt = a;
        c->began = now;
        c->stage = REFUSAL_REACHING;
        /* An address that doesn't answer must leave time for the others. */
        if (c->timeout_ms && left > 1)
                loop_set(c->loop, &c->limit, now + (c->end > now ? (c->end - now) / left : 0));
        attempt_step(a);
}

/* This address has failed, for the reason in c->why: the next one, or the end. */
static void address_failed(struct connect *c)
{
        give_up_attempt(c);
        if (!c->why.elsewhere || c->at + 1 >= c->addresses.count) {
                settle(c, NULL);
                return;
        }
        if (c->timeout_ms)
                loop_set(c->loop, &c->limit, c->end);
        c->at++;
        attempt_start(c, c->decision.sslmode);
}

static void login_failed(struct connect *c)
{
        struct attempt *a = c->attempt;
        bool starting = strcmp(c->why.error.sqlstate, "57P03") == 0;
        struct refusal why;

        refusal_read(PQerrorMessage(a->pg), c->stage, &why);
        if (why.no_tls && c->decision.plain_allowed && strcmp(a->sslmode, "disable") != 0) {
                give_up_attempt(c);
                attempt_start(c, "disable");
                return;
        }
        /* "It is starting" says more than "nobody listens there". */
        if (!starting || why.failure != CONNECT_NETWORK)
                refuse(c, &why);
        c->why.elsewhere = why.elsewhere;
        address_failed(c);
}

/* ---- taking over ---- */

static bool take_over(struct connect *c, struct attempt *a)
{
        struct refusal why = a->farewell;
        bool tls_to_blame;

        if (error_is_set(&why.error)) {
                error_context(&why.error, "the server ended the session after login");
                return refuse(c, &why);
        }
        PQuntrace(a->pg); /* flushes */
        c->connection = connection_adopt(c->loop, a->pg, &a->greeting, a->sslmode, &tls_to_blame,
                                         &why.error);
        if (!c->connection) {
                why.failure = tls_to_blame ? CONNECT_TLS : CONNECT_NETWORK;
                return refuse(c, &why);
        }
        a->pg = NULL;
        c->connection->host = own_string(c->host);
        c->connection->port = c->port;
        snprintf(c->connection->address, sizeof c->connection->address, "%s",
                 a->hostaddr ? a->hostaddr : c->host);
        return true;
}

static enum target_verdict judge(const struct connect *c)
{
        const struct settings *reported = c->connection->reported;

        return target_judge(c->target, settings_get(reported, "in_hot_standby"),
                            settings_get(reported, "default_transaction_read_only"));
}

/* Another address of the name may have a server that fits. */
static void is_unfit(struct connect *c)
{
        struct refusal why = {.failure = CONNECT_ROLE, .elsewhere = true};

        target_complain(c->target, &why.error);
        refuse(c, &why);
        if (c->unfit)
                c->unfit(c->arg, c->connection);
        probe_free(TAKE(c->probe));
        connection_close(TAKE(c->connection));
        address_failed(c);
}

static void probed(void *arg, const struct refusal *why)
{
        struct connect *c = arg;
        enum target_verdict verdict = why ? TARGET_FITS : judge(c);

        if (verdict == TARGET_UNSAID)
                verdict = target_answer(c->target, c->question.answer);
        if (verdict == TARGET_UNFIT) {
                is_unfit(c);
                return;
        }
        if (why)
                refuse(c, why);
        settle(c, why ? NULL : TAKE(c->connection));
}

static void logged_in(struct connect *c)
{
        bool taken = take_over(c, c->attempt);

        give_up_attempt(c);
        if (!taken) {
                settle(c, NULL);
                return;
        }
        c->question.sql = judge(c) == TARGET_UNSAID ? target_question(c->target) : NULL;
        c->probe = probe_start(c->loop, c->connection->stream, &c->connection->reported,
                               &c->question, probed, c);
}

/* ---- the walk ---- */

static void socket_ready(void *arg, unsigned events)
{
        struct connect *c = arg;

        (void) events;
        /* libpq may close the socket in the next step, and open another. */
        watch_free(TAKE(c->watch));
        attempt_step(c->attempt);
}

static enum refusal_stage stage_of(ConnStatusType status)
{
        switch (status) {
        case CONNECTION_SSL_STARTUP:
                return REFUSAL_HANDSHAKE;
        case CONNECTION_AWAITING_RESPONSE:
        case CONNECTION_AUTH_OK:
                return REFUSAL_LOGIN;
        default:
                return REFUSAL_REACHING;
        }
}

static void attempt_wait(struct connect *c)
{
        struct attempt *a = c->attempt;

        c->stage = stage_of(PQstatus(a->pg));
        /* Somebody is there: this address may have all the time that is left. */
        if (c->timeout_ms && PQstatus(a->pg) != CONNECTION_STARTED)
                loop_set(c->loop, &c->limit, c->end);
        c->watch = watch_new(c->loop, PQsocket(a->pg), socket_ready, c);
        watch_for(c->watch, a->next == PGRES_POLLING_READING ? WATCH_READABLE : WATCH_WRITABLE);
}

static void attempt_back(void *arg)
{
        struct attempt *a = arg;
        struct connect *c = a->owner;

        a->busy = false;
        if (c->attempt != a) {
                attempt_free(a);
                connect_release(c);
                return;
        }
        c->holders--; /* the caller still holds it */
        if (a->next == PGRES_POLLING_OK)
                logged_in(c);
        else if (a->next == PGRES_POLLING_FAILED)
                login_failed(c);
        else
                attempt_wait(c);
}

static void attempt_step(struct attempt *a)
{
        a->busy = true;
        a->owner->holders++;
        work_submit(a->owner->loop, attempt_run, attempt_back, a);
}

static void too_late(struct deadline *d)
{
        struct connect *c = container_of(d, struct connect, limit);
        const char *missing = c->probe                        ? "answer to a Sync after login"
                              : c->stage == REFUSAL_HANDSHAKE ? "end of the TLS handshake"
                              : c->stage == REFUSAL_LOGIN     ? "end of the login"
                                                              : "answer";
        uint64_t now = loop_now(c->loop);
        struct refusal why = {.failure = CONNECT_TIMEOUT};

        if (c->resolve) {
                error_set(&why.error, "08001", "host \"%s\" was not looked up within %u ms",
                          c->host, c->timeout_ms);
                error_hint(&why.error, NAMES_HINT);
                c->why = why;
        } else {
                error_set(&why.error, "08001", "no %s within %u ms", missing,
                          (unsigned) (now - c->began));
                error_hint(&why.error, c->stage == REFUSAL_REACHING ? REACH_HINT : SLOW_HINT);
                refuse(c, &why);
        }
        c->why.elsewhere = !c->connection && now < c->end;
        address_failed(c);
}

/* The addresses are known. */
static void begin(struct connect *c)
{
        bool loopback = c->addresses.loopback && enforce_loopback_host(c->host);

        c->why.failure = CONNECT_TLS;
        if (enforce_decide(c->ssl_mode, &c->tls, c->host, loopback, &c->decision, &c->why.error))
                attempt_start(c, c->decision.sslmode);
        else
                settle(c, NULL);
}

static void begin_on_socket(struct deferred *d)
{
        begin(container_of(d, struct connect, start));
}

static void resolved(void *arg, const struct resolve_addresses *addresses, const struct error *e)
{
        struct connect *c = arg;

        c->resolve = NULL;
        if (!addresses) {
                c->why = (struct refusal){.failure = CONNECT_NETWORK, .error = *e};
                settle(c, NULL);
                return;
        }
        c->addresses = *addresses;
        begin(c);
}

struct connect *connect_start(struct loop *l, const struct connect_options *options,
                              connect_done *done, void *arg)
{
        const struct document *from = options->document;
        struct connect *c = own_new(struct connect);

        *c = (struct connect){.holders = 1, .loop = l, .done = done, .arg = arg, .tcp = options->tcp,
                              .target = options->target, .unfit = options->unfit};
        c->host = own_string(options->host->name);
        c->port = options->host->port;
        c->user = own_string(from->username);
        c->password = sealed_new(sealed_open(from->password), sealed_length(from->password));
        c->database = own_string(from->database);
        c->ssl_mode = from->ssl_mode;
        connect_session_copy(&c->session, &options->session);
        c->root_cert = own_string(options->tls.root_cert ? options->tls.root_cert : "");
        c->tls = options->tls;
        c->tls.root_cert = c->root_cert;
        c->timeout_ms = options->timeout_ms;
        c->end = loop_now(l) + options->timeout_ms;
        deadline_init(&c->limit, too_late);
        deferred_init(&c->start, begin_on_socket);
        if (options->timeout_ms)
                loop_set(l, &c->limit, c->end);
        if (c->host[0] == '/') {
                c->addresses.count = 1;
                loop_defer(l, &c->start);
        } else {
                c->resolve = resolve_start(l, c->host, 0, resolved, c);
        }
        return c;
}
