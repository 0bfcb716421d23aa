#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

PGconn *console_open(const struct pgbroker_options *options, struct pgbroker_error *e)
{
        return pgbroker_connect("pgbroker", options, e);
}

static long long now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* True when PQgetResult() would not wait, or the connection is lost. */
static bool answered(PGconn *conn, long long until)
{
        while (PQisBusy(conn)) {
                struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
                long long left = until - now_ms();

                if (until && left <= 0)
                        return false;

                int ready = poll(&fd, 1, until ? (int) left : -1);

                if ((ready < 0 && errno != EINTR) || (ready > 0 && !PQconsumeInput(conn)))
                        return true;
        }
        return true;
}

static void copy_line(char *to, size_t size, const char *from)
{
        snprintf(to, size, "%.*s", from ? (int) strcspn(from, "\n") : 0, from ? from : "");
}

static void explain(PGconn *conn, const PGresult *result, struct pgbroker_error *e)
{
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

        e->failure = PGBROKER_OTHER;
        copy_line(e->sqlstate, sizeof e->sqlstate, sqlstate);
        copy_line(e->message, sizeof e->message, message ? message : PQerrorMessage(conn));
        copy_line(e->hint, sizeof e->hint, PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
        if (!message)
                e->failure = PGBROKER_NO_BROKER;
}

static bool is_fine(const PGresult *result)
{
        ExecStatusType status = PQresultStatus(result);

        return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

PGresult *console_ask(PGconn *conn, const char *command, int timeout_ms, struct pgbroker_error *e)
{
        long long until = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
        PGresult *kept = NULL, *next;

        *e = (struct pgbroker_error){0};
        if (!PQsendQuery(conn, command)) {
                explain(conn, NULL, e);
                return NULL;
        }
        for (;;) {
                if (!answered(conn, until)) {
                        e->failure = PGBROKER_TIMEOUT;
                        snprintf(e->message, sizeof e->message,
                                 "the broker has not answered \"%s\" within %d ms", command,
                                 timeout_ms);
                        break;
                }
                next = PQgetResult(conn);
                if (!next)
                        break;
                if (kept && !is_fine(kept)) {
                        PQclear(next);
                        continue;
                }
                PQclear(kept);
                kept = next;
        }
        if (kept && is_fine(kept) && e->failure == PGBROKER_NONE)
                return kept;
        if (e->failure == PGBROKER_NONE)
                explain(conn, kept, e);
        PQclear(kept);
        return NULL;
}
