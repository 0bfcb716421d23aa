#include "backend/refusal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/expect.h"

#define PASSWORD_HINT                                                                              \
        "Compare username and password of the secret with the role on the server; if they are "    \
        "right, another secret version is in force there."
#define NOT_POSTGRESQL_HINT "Check that host and port are those of a PostgreSQL server."
#define BINDING_HINT                                                                               \
        "The server must offer scram-sha-256 over TLS for channel_binding require; otherwise set " \
        "tls.channel_binding of the environment to prefer."
#define ROOT_CERT_HINT                                                                             \
        "tls.root_cert of the environment must name a readable file with the authority that "      \
        "signed "                                                                                  \
        "the server's certificate."
#define METHOD_HINT "Let pg_hba.conf of the server ask this user for scram-sha-256."

#define UNSAID "no reason was given"

const char *connect_failure_name(enum connect_failure f)
{
        static const char *const names[] = {
#define X(name, text) text,
                CONNECT_FAILURES(X)
#undef X
        };

        expect((size_t) f < sizeof names / sizeof names[0]);
        return names[f];
}

/* ---- the server's own errors ---- */

struct remedy {
        const char *sqlstate, *hint;
};

static const struct remedy remedies[] = {
        {"28P01", PASSWORD_HINT},
        {"28000",
         "Check pg_hba.conf of the server for this host, user and database, with or without "
         "TLS, and that the role may log in."},
        {"3D000", "Check database of the secret, or of endpoint in the environment."},
        {"42501", "Grant the role CONNECT on the database."},
        {"53300",
         "Raise max_connections of the server or the connection limit of role or database, "
         "or lower pool_size."},
        {"57P01", "The server is being shut down; the broker tries again."},
        {"57P02", "The server is restarting after a crash; the broker tries again."},
        {"57P03", "The server is starting, stopping or recovering; the broker tries again."},
};

static void set_server_error(struct refusal *out, const char *sqlstate)
{
        out->failure = strcmp(sqlstate, "28P01") == 0   ? CONNECT_REFUSED
                       : strcmp(sqlstate, "28000") == 0 ? CONNECT_DENIED
                                                        : CONNECT_SERVER;
        out->elsewhere = strcmp(sqlstate, "57P03") == 0;
        for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
                if (strcmp(sqlstate, remedies[i].sqlstate) == 0)
                        error_hint(&out->error, "%s", remedies[i].hint);
}

void refusal_answer(const char *sqlstate, const char *message, struct refusal *out)
{
        *out = (struct refusal){0};
        error_set(&out->error, sqlstate, "%s", message[0] ? message : UNSAID);
        set_server_error(out, sqlstate);
}

/* ---- libpq's own errors ---- */

struct phrase {
        const char *text; /* how it begins; with a '*' in front: what is somewhere in it */
        enum connect_failure failure;
        const char *hint;
};

/* The first one that fits counts. */
static const struct phrase phrases[] = {
        {"server does not support SSL", CONNECT_TLS,
         "Turn on ssl at the server, or, to do without TLS, lower the secret's ssl_mode and "
         "tls.min_ssl_mode of the environment."},
        {"fe_sendauth: no password supplied", CONNECT_REFUSED, PASSWORD_HINT},
        {"incorrect server signature", CONNECT_REFUSED,
         "The server does not know the password it asked for: check that host and port are those "
         "of "
         "the right server."},
        {"could not verify server signature", CONNECT_REFUSED, PASSWORD_HINT},
        {"error received from server in SCRAM exchange", CONNECT_REFUSED, PASSWORD_HINT},
        {"*channel binding", CONNECT_TLS, BINDING_HINT},
        {"server offered SCRAM-SHA-256-PLUS", CONNECT_TLS,
         "Something between broker and server may be removing the encryption."},
        {"server certificate for", CONNECT_TLS,
         "Let the secret's host be a name in the server's certificate, or use verify-ca."},
        {"*root certificate file", CONNECT_TLS, ROOT_CERT_HINT},
        {"*certificate verify failed", CONNECT_TLS, ROOT_CERT_HINT},
        {"*alert certificate required", CONNECT_TLS,
         "The server wants a client certificate, and the broker has none: remove clientcert and "
         "cert "
         "from pg_hba.conf for this host."},
        {"*unsupported protocol", CONNECT_TLS, "The server must speak TLSv1.2 or newer."},
        {"*protocol version", CONNECT_TLS, "The server must speak TLSv1.2 or newer."},
        {"SSL error", CONNECT_TLS, "Check the TLS settings of the server."},
        {"received unencrypted data after SSL response", CONNECT_TLS,
         "Something between broker and server may be tampering with the connection."},
        {"received invalid response to SSL negotiation", CONNECT_NETWORK, NOT_POSTGRESQL_HINT},
        {"expected authentication request", CONNECT_NETWORK, NOT_POSTGRESQL_HINT},
        {"server sent an error response during SSL exchange", CONNECT_NETWORK,
         "The server could not start a session; its log tells why."},
        {"authentication method", CONNECT_SERVER, METHOD_HINT},
        {"*SASL authentication mechanisms are supported", CONNECT_SERVER, METHOD_HINT},
        {"*authentication not supported", CONNECT_SERVER, METHOD_HINT},
        {"server closed the connection unexpectedly", CONNECT_NETWORK,
         "The server, or a proxy in front of it, gave up on the session: see its log."},
        {"could not receive data from server", CONNECT_NETWORK, NULL},
        {"could not send", CONNECT_NETWORK, NULL},
        {"*Connection refused", CONNECT_NETWORK,
         "Check that PostgreSQL runs and listens on that address and port."},
        {"*No such file or directory", CONNECT_NETWORK,
         "Check that PostgreSQL runs and has its socket in that folder."},
};

static bool fits(const struct phrase *p, const char *said)
{
        return p->text[0] == '*' ? strstr(said, p->text + 1) != NULL
                                 : strncmp(said, p->text, strlen(p->text)) == 0;
}

static void set_local_error(struct refusal *out, const char *said, enum refusal_stage stage)
{
        out->failure = stage == REFUSAL_HANDSHAKE ? CONNECT_TLS : CONNECT_NETWORK;
        for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
                if (!fits(&phrases[i], said))
                        continue;
                out->failure = phrases[i].failure;
                if (phrases[i].hint)
                        error_hint(&out->error, "%s", phrases[i].hint);
                break;
        }
        if (out->failure == CONNECT_REFUSED)
                strcpy(out->error.sqlstate, "28P01");
        out->no_tls = stage == REFUSAL_HANDSHAKE && fits(&phrases[0], said);
        out->elsewhere = out->failure == CONNECT_NETWORK;
}

/* ---- the message ---- */

/* "FATAL:  28P01: text", severity in any language. `said` moves to the text. Without a state, as
 * some servers send it: "FATAL:  text", and `sqlstate` is "". */
static bool server_said(const char **said, char sqlstate[6])
{
        size_t severity = strcspn(*said, ": \t\n");
        const char *p = *said + severity;

        sqlstate[0] = 0;
        if (severity == 0 || strncmp(p, ":  ", 3) != 0)
                return false;
        p += 3;
        *said = p;

        size_t n = strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (n == 5 && (p[n] == ':' || p[n] == '\n' || !p[n])) {
                snprintf(sqlstate, 6, "%.5s", p);
                p += n + (p[n] == ':');
                *said = p + strspn(p, " ");
        }
        return true;
}

/* One line of it, without LOCATION. Of libpq's own texts the first line is enough: the others are
 * advice for someone who calls psql. */
static void flatten(const char *said, bool whole, char *line, size_t size)
{
        const char *end = whole ? strstr(said, "\nLOCATION:") : strchr(said, '\n');
        size_t used = 0;

        if (!end)
                end = said + strlen(said);
        for (const char *p = said; p < end && used < size - 1; p++) {
                bool blank = isspace((unsigned char) *p);

                if (!blank || (used && line[used - 1] != ' '))
                        line[used++] = blank ? ' ' : *p;
        }
        while (used && line[used - 1] == ' ')
                used--;
        line[used] = 0;
}

void refusal_read(const char *message, enum refusal_stage stage, struct refusal *out)
{
        static const char failed[] = "failed: ";
        /* Only the first one: later ones may be the server's, or in a name that it repeats. */
        const char *said = strstr(message, failed);
        char sqlstate[6], line[sizeof out->error.text];

        said = said ? said + sizeof failed - 1 : message;

        bool server = server_said(&said, sqlstate);

        *out = (struct refusal){0};
        flatten(said, server, line, sizeof line);
        error_set(&out->error, sqlstate[0] ? sqlstate : "08001", "%s", line[0] ? line : UNSAID);
        if (sqlstate[0])
                set_server_error(out, sqlstate);
        else if (server)
                out->failure = CONNECT_SERVER;
        else
                set_local_error(out, line, stage);
}

bool refusal_passes(const char *sqlstate)
{
        return strncmp(sqlstate, "57P0", 4) == 0;
}
