#include "backend/connect_parameters.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backend/connect.h"
#include "base/own.h"

#define NOWHERE     "/nonexistent/pgbroker" /* in place of the files libpq looks for at home */
#define MAX_SECONDS 32767                   /* that the kernel takes for keep-alives */

struct number {
        char text[24];
};

/* Empty for 0: libpq leaves the option alone then, where the kernel would refuse a 0. */
static struct number number(uint64_t n)
{
        struct number of = {""};

        if (n)
                snprintf(of.text, sizeof of.text, "%llu", (unsigned long long) n);
        return of;
}

static struct number whole_seconds(uint64_t ms)
{
        uint64_t seconds = (ms + 999) / 1000;

        return number(seconds < MAX_SECONDS ? seconds : MAX_SECONDS);
}

void connect_session_copy(struct connect_session *to, const struct connect_session *from)
{
        *to = (struct connect_session){own_string(from->application_name), own_string(from->options),
                                       own_string(from->replication)};
}

void connect_session_free(struct connect_session *s)
{
        free((void *) s->application_name);
        free((void *) s->options);
        free((void *) s->replication);
        *s = (struct connect_session){0};
}

static const char *text(const char *s)
{
        return s ? s : "";
}

/* Every keyword that has a file or the environment behind it gets a value; see also
 * connect_neutralise_environment(). Never one string: passwords hold quotes and blanks. */
void *connect_begin(const struct connect_parameters *p)
{
        struct number port = number(p->port), count = number(p->tcp->keepcnt),
                      idle = whole_seconds(p->tcp->keepidle),
                      interval = whole_seconds(p->tcp->keepintvl),
                      user_timeout = number(p->tcp->user_timeout);
        const char *const parameters[][2] = {
                {"host", p->host},
                {"hostaddr", p->hostaddr},
                {"port", port.text},
                {"user", p->user},
                {"password", sealed_open(p->password)},
                {"dbname", p->database},
                {"application_name", text(p->session->application_name)},
                {"options", text(p->session->options)},
                {"replication", p->session->replication},       /* libpq leaves out what is NULL */
                {"sslmode", p->sslmode},
                {"sslrootcert", p->root_cert[0] ? p->root_cert : NOWHERE},
                {"channel_binding", p->channel_binding},
                {"ssl_min_protocol_version", "TLSv1.2"},
                {"sslcert", NOWHERE},
                {"sslkey", NOWHERE},
                {"sslcrl", NOWHERE},
                {"passfile", NOWHERE},
                {"gssencmode", "disable"},
                {"target_session_attrs", "any"},
                {"keepalives", p->tcp->keepalive ? "1" : "0"},
                {"keepalives_count", count.text},
                {"keepalives_idle", idle.text},
                {"keepalives_interval", interval.text},
                {"tcp_user_timeout", user_timeout.text},
        };
        enum { COUNT = sizeof parameters / sizeof parameters[0] };
        const char *keywords[COUNT + 1], *values[COUNT + 1];

        for (size_t i = 0; i < COUNT; i++) {
                keywords[i] = parameters[i][0];
                values[i] = parameters[i][1];
        }
        keywords[COUNT] = values[COUNT] = NULL;
        return PQconnectStartParams(keywords, values, 0);
}

void connect_neutralise_environment(void)
{
        for (size_t i = 0; environ && environ[i];) {
                OWN(free) char *name = own_text(environ[i], strcspn(environ[i], "="));

                /* The next one takes its place. */
                if (strncmp(name, "PG", 2) != 0 || unsetenv(name) != 0)
                        i++;
        }
}
