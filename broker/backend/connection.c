#include "backend/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/own.h"
#include "base/sealed.h"
#include "io/tls.h"

#define TAMPERING_HINT "Something between broker and server may be tampering with the connection."

/* Until someone retargets it. */
static size_t received(void *arg, const uint8_t *p, size_t n)
{
        (void) arg;
        (void) p;
        (void) n;
        return 0;
}

static void filled(void *arg)
{
        (void) arg;
}

static void ended(void *arg, const struct error *e)
{
        (void) arg;
        (void) e;
}

static const struct stream_events nobody = {received, filled, filled, ended, NULL};

/* libpq doesn't read any more, and what it says without reading is of no interest. */
static void noticed(void *arg, const PGresult *result)
{
        (void) arg;
        (void) result;
}

/* Whatever libpq was told: is it what was demanded? */
static bool check_tls(PGconn *pg, bool demanded, char *tls, size_t size, struct error *e)
{
        void *ssl = PQsslInUse(pg) ? PQsslStruct(pg, "OpenSSL") : NULL;

        if (demanded && !ssl) {
                error_set(e, "08001",
                          "the connection is not encrypted, though ssl_mode demands it");
                return error_hint(e, TAMPERING_HINT);
        }
        if (!demanded && PQsslInUse(pg)) {
                error_set(e, "08001", "the connection is encrypted, though it should not be");
                return error_hint(e, TAMPERING_HINT);
        }
        if (!ssl)
                return true;
        /* On libpq's own descriptor, which PQfinish closes after its last use of the SSL. */
        if (!tls_adopt(ssl, PQsocket(pg), e))
                return false;
        if (tls_describe(ssl, tls, size))
                return true;
        error_set(e, "08001", "the connection is not TLSv1.2 or newer");
        return error_hint(e, "The server must speak TLSv1.2 or newer.");
}

static void note_greeting(struct connection *c, const struct greeting *g)
{
        const char *name, *value;

        c->reported = settings_new();
        for (size_t at = 0; (name = greeting_next(g, &at));)
                if ((value = PQparameterStatus(c->pg, name)))
                        settings_put(&c->reported, name, value);
        c->pid = g->pid;
        c->key = g->key;
        c->has_key = g->has_key;
}

/* What PQpass() gives is libpq's own copy, or a constant "". */
void connection_forget_password(void *pg)
{
        char *password = PQpass(pg);

        if (password && password[0])
                sealed_wipe(password, strlen(password));
}

struct connection *connection_adopt(struct loop *l, void *pg, const struct greeting *g,
                                    const char *sslmode, bool *tls_to_blame, struct error *e)
{
        char tls[sizeof((struct connection *) 0)->tls] = "";

        PQsetnonblocking(pg, 1);
        *tls_to_blame = !check_tls(pg, strcmp(sslmode, "disable") != 0, tls, sizeof tls, e);
        if (*tls_to_blame)
                return NULL;

        /* Of its own, as PQfinish closes libpq's. */
        int fd = fcntl(PQsocket(pg), F_DUPFD_CLOEXEC, 0);

        if (fd < 0) {
                error_set(e, "53000", "%s", strerror(errno));
                error_hint(e, "Raise the limit of open files (LimitNOFILE) of the broker.");
                return NULL;
        }

        struct connection *c = own_new(struct connection);

        c->pg = pg;
        memcpy(c->tls, tls, sizeof tls);
        snprintf(c->sslmode, sizeof c->sslmode, "%s", sslmode);
        PQsetNoticeReceiver(pg, noticed, NULL);
        connection_forget_password(pg);
        note_greeting(c, g);
        c->stream = stream_new(l, fd, tls[0] ? PQsslStruct(pg, "OpenSSL") : NULL, &nobody, NULL);
        return c;
}

void connection_close(struct connection *c)
{
        static const uint8_t terminate[] = {'X', 0, 0, 0, 4};

        if (!c)
                return;
        stream_send(c->stream, terminate, sizeof terminate);
        stream_free(c->stream);
        /* libpq would send its own good-bye and, on a full socket, wait. */
        shutdown(PQsocket(c->pg), SHUT_RDWR);
        PQfinish(c->pg);
        settings_unref(c->reported);
        free(c->host);
        free(c);
}
