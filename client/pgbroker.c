#include "pgbroker.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---- */

static void fail(struct pgbroker_error *e, enum pgbroker_failure failure, const char *hint,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void fail(struct pgbroker_error *e, enum pgbroker_failure failure, const char *hint,
                 const char *format, ...)
{
        va_list arguments;

        e->failure = failure;
        snprintf(e->hint, sizeof e->hint, "%s", hint);
        va_start(arguments, format);
        vsnprintf(e->message, sizeof e->message, format, arguments);
        va_end(arguments);
}

static void out_of_memory(struct pgbroker_error *e)
{
        fail(e, PGBROKER_OTHER, "", "out of memory");
}

/* ---- where the broker is ---- */

static const char *directory_of(const struct pgbroker_options *o)
{
        const char *variable = getenv("PGBROKER_DIRECTORY");

        if (o->directory && *o->directory)
                return o->directory;
        return variable && *variable ? variable : PGBROKER_DEFAULT_DIRECTORY;
}

static unsigned port_of(const struct pgbroker_options *o)
{
        return o->port ? o->port : PGBROKER_DEFAULT_PORT;
}

static const struct pgbroker_options *or_defaults(const struct pgbroker_options *o)
{
        static const struct pgbroker_options defaults;

        return o ? o : &defaults;
}

int pgbroker_socket_path(const struct pgbroker_options *options, char *path, size_t size)
{
        const struct pgbroker_options *o = or_defaults(options);

        return snprintf(path, size, "%s/.s.PGSQL.%u", directory_of(o), port_of(o));
}

static bool check_place(const struct pgbroker_options *o, struct pgbroker_error *e)
{
        struct sockaddr_un address;
        int length = pgbroker_socket_path(o, address.sun_path, sizeof address.sun_path);

        if (*directory_of(o) != '/')
                fail(e, PGBROKER_BAD_ARGUMENT, "Give the path from / on.",
                     "the socket's directory \"%s\" is not an absolute path", directory_of(o));
        else if (port_of(o) > 65535)
                fail(e, PGBROKER_BAD_ARGUMENT, "Ports go from 1 to 65535.", "there is no port %u",
                     port_of(o));
        else if (length < 0 || (size_t) length >= sizeof address.sun_path)
                fail(e, PGBROKER_BAD_ARGUMENT, "Let socket.directory be a shorter path.",
                     "the path of the socket in \"%.200s\" is longer than %zu bytes, the most a "
                     "unix socket may have",
                     directory_of(o), sizeof address.sun_path - 1);
        else
                return true;
        return false;
}

/* ---- the connection string ---- */

/* libpq knows no user for a uid without a name. The broker takes any text. */
static bool has_user_name(void)
{
        const char *variable = getenv("PGUSER");
        struct passwd entry, *found = NULL;
        char buffer[4096];

        if (variable && *variable)
                return true;
        return getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0 || found;
}

static void put_value(FILE *to, const char *keyword, const char *value)
{
        fprintf(to, "%s='", keyword);
        for (const char *p = value; *p; p++) {
                if (*p == '\'' || *p == '\\')
                        fputc('\\', to);
                fputc(*p, to);
        }
        fputs("' ", to);
}

static bool put_all(FILE *to, const char *environment, const struct pgbroker_options *o)
{
        put_value(to, "host", directory_of(o));
        fprintf(to, "port=%u ", port_of(o));
        put_value(to, "dbname", environment);
        if (!has_user_name())
                fprintf(to, "user=uid-%lu ", (unsigned long) geteuid());
        if (o->application_name && *o->application_name)
                put_value(to, "application_name", o->application_name);
        /* The socket has no TLS, needs none, and asks for no password: whatever PGSSLMODE,
         * PGGSSENCMODE, PGCHANNELBINDING, PGHOSTADDR ... say is meant for another server. */
        fputs("hostaddr='' requirepeer='' sslmode=disable gssencmode=disable "
              "channel_binding=disable target_session_attrs=any",
              to);

        bool whole = !ferror(to);
        return fclose(to) == 0 && whole;
}

static char *compose(const char *environment, const struct pgbroker_options *o,
                     struct pgbroker_error *e)
{
        char *text = NULL;
        size_t size;

        if (!environment || !*environment) {
                fail(e, PGBROKER_BAD_ARGUMENT, "Name one, e.g. \"prod\".",
                     "no environment is named");
                return NULL;
        }
        if (!check_place(o, e))
                return NULL;

        FILE *to = open_memstream(&text, &size);

        if (to && put_all(to, environment, o))
                return text;
        free(text);
        out_of_memory(e);
        return NULL;
}

char *pgbroker_conninfo(const char *environment, const struct pgbroker_options *options,
                        struct pgbroker_error *e)
{
        struct pgbroker_error ignored;

        e = e ? e : &ignored;
        *e = (struct pgbroker_error){0};
        return compose(environment, or_defaults(options), e);
}

/* ---- what went wrong ---- */

struct remedy {
        const char *sqlstate;
        enum pgbroker_failure failure;
        const char *hint; /* if the broker sent none */
};

static const struct remedy remedies[] = {
        {"28000", PGBROKER_NOT_ALLOWED,
         "Ask the broker's administrator to add this user, or a group of it, to the environment's "
         "`access` (the console's: `admin`) and to RELOAD."},
        {"3D000", PGBROKER_NO_ENVIRONMENT,
         "Connect to an environment (or alias) of the broker's configuration; \"pgbrokerctl show "
         "databases\" lists them."},
        {"53300", PGBROKER_TOO_MANY,
         "Close connections that are not needed, or raise max_client_conn."},
        {"53400", PGBROKER_TOO_MANY, "\"pgbrokerctl status\" shows who holds the servers."},
        {"57P03", PGBROKER_NOT_NOW,
         "Try again in a moment; \"pgbrokerctl status\" shows what the broker waits for."},
        {"57P01", PGBROKER_NOT_NOW, "Try again in a moment."},
        {"08001", PGBROKER_NO_SERVER,
         "\"pgbrokerctl status\" shows the credentials and the last error."},
};

static bool is_sqlstate(const char *p)
{
        for (int i = 0; i < 5; i++)
                if (!isdigit((unsigned char) p[i]) && !isupper((unsigned char) p[i]))
                        return false;
        return strncmp(p + 5, ": ", 2) == 0;
}

static void copy_line(char *to, size_t size, const char *from)
{
        snprintf(to, size, "%.*s", (int) strcspn(from, "\n"), from);
}

/* libpq's words in the verbose form: "...: FATAL:  28000: message\nHINT:  hint\n...". */
static bool explain_answer(const char *text, struct pgbroker_error *e)
{
        const char *at = text, *hint = strstr(text, "\nHINT:  ");

        while ((at = strstr(at, ":  ")) && !is_sqlstate(at + 3))
                at += 3;
        if (!at)
                return false;
        snprintf(e->sqlstate, sizeof e->sqlstate, "%.5s", at + 3);
        e->failure = PGBROKER_OTHER;
        for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
                if (strcmp(remedies[i].sqlstate, e->sqlstate) != 0)
                        continue;
                e->failure = remedies[i].failure;
                snprintf(e->hint, sizeof e->hint, "%s", remedies[i].hint);
        }
        copy_line(e->message, sizeof e->message, at + 3 + 7);
        if (hint)
                copy_line(e->hint, sizeof e->hint, hint + strlen("\nHINT:  "));
        return true;
}

/* What connecting to the socket says: 0, or an errno. Never waits. */
static int try_socket(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why = 0;

        if (fd < 0)
                return errno;
        snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        if (connect(fd, (const struct sockaddr *) &address, sizeof address) < 0)
                why = errno;
        close(fd);
        return why;
}

static void explain_socket(const struct pgbroker_options *o, const char *text,
                           struct pgbroker_error *e)
{
        static const char start[] = "Start pgbrokerd, or name its socket.directory in "
                                    "PGBROKER_DIRECTORY (pgbrokerctl: -h and -p).";
        char path[sizeof((struct sockaddr_un *) NULL)->sun_path];

        pgbroker_socket_path(o, path, sizeof path);
        switch (try_socket(path)) {
        case ENOENT:
        case ENOTDIR:
                fail(e, PGBROKER_NO_BROKER, start, "no broker there: the socket %s does not exist",
                     path);
                break;
        case ECONNREFUSED:
        case ENOTSOCK:
        case EPROTOTYPE:
                fail(e, PGBROKER_NO_BROKER, start, "no broker there: nobody listens on %s", path);
                break;
        case EACCES:
        case EPERM:
                fail(e, PGBROKER_NO_PERMISSION,
                     "The broker's socket.mode and socket.group, or the mode of a folder "
                     "above, keep this user out: ask its administrator.",
                     "not allowed to open the socket %s (uid %lu)", path,
                     (unsigned long) geteuid());
                break;
        case EAGAIN:
                fail(e, PGBROKER_NOT_NOW, "Try again in a moment.",
                     "the broker on %s does not take connections at the moment", path);
                break;
        default:
                fail(e, PGBROKER_OTHER, "", "%s", text);
                for (char *p = e->message; *p; p++)
                        *p = *p == '\n' || *p == '\t' ? ' ' : *p;
                for (size_t n = strlen(e->message); n && e->message[n - 1] == ' '; n--)
                        e->message[n - 1] = '\0';
                break;
        }
}

/* ---- connecting ---- */

static long long now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Waits for the socket; false when time is over. */
static bool wait_for(const PGconn *conn, short events, long long until)
{
        for (;;) {
                struct pollfd fd = {.fd = PQsocket(conn), .events = events};
                long long left = until - now_ms();

                if (until && left <= 0)
                        return false;

                int ready = poll(&fd, 1, until ? (int) left : -1);

                if (ready > 0 || (ready < 0 && errno != EINTR))
                        return true;
        }
}

static void connect_now(PGconn *conn, const struct pgbroker_options *o, struct pgbroker_error *e)
{
        long long until = o->timeout_ms > 0 ? now_ms() + o->timeout_ms : 0;
        PostgresPollingStatusType step = PGRES_POLLING_WRITING;

        while (PQstatus(conn) != CONNECTION_BAD && step != PGRES_POLLING_OK) {
                if (!wait_for(conn, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, until)) {
                        fail(e, PGBROKER_TIMEOUT,
                             "\"pgbrokerctl status\" shows what the broker waits for.",
                             "the broker has not let us in within %d ms", o->timeout_ms);
                        return;
                }
                step = PQconnectPoll(conn);
        }
        if (step != PGRES_POLLING_OK && !explain_answer(PQerrorMessage(conn), e))
                explain_socket(o, PQerrorMessage(conn), e);
}

PGconn *pgbroker_connect(const char *environment, const struct pgbroker_options *options,
                         struct pgbroker_error *e)
{
        const struct pgbroker_options *o = or_defaults(options);
        struct pgbroker_error ignored;

        e = e ? e : &ignored;
        *e = (struct pgbroker_error){0};

        char *conninfo = compose(environment, o, e);

        if (!conninfo)
                return NULL;

        PGconn *conn = PQconnectStart(conninfo);

        free(conninfo);
        if (!conn) {
                out_of_memory(e);
                return NULL;
        }
        /* This puts the SQLSTATE into the message: libpq has no other way to tell it here. */
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
        connect_now(conn, o, e);
        if (e->failure == PGBROKER_NONE) {
                PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
                return conn;
        }
        PQfinish(conn);
        return NULL;
}
