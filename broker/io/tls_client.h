/* The client's side of a TLS handshake on a socket that is open already, with the meaning that libpq
 * gives to the words of sslmode. A step reads files and costs CPU: take it on a thread (io/work).
 * TLSv1.2 at least; no client certificate. */
#ifndef PGB_IO_TLS_CLIENT_H
#define PGB_IO_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

enum tls_verify {
        TLS_VERIFY_NONE,                /* "require" without a root certificate */
        TLS_VERIFY_CA,                  /* somebody in root_cert has signed the certificate ... */
        TLS_VERIFY_FULL                 /* ... and it bears the name or address `host` */
};

struct tls_client_options {
        int fd;                         /* non-blocking; stays the caller's */
        enum tls_verify verify;
        const char *root_cert;          /* a file of certificates; "" = none, fine for NONE only */
        const char *host;
};

enum tls_step { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };

struct tls_client;

/* Nothing is read or sent yet. The texts are copied. */
struct tls_client *tls_client_new(const struct tls_client_options *o);
/* Goes on until the socket has to be waited for. `e` is set when it has failed. */
enum tls_step tls_client_step(struct tls_client *t, struct error *e);
/* After TLS_DONE, for a few bytes on a fresh connection: what the socket won't take is an error. */
bool tls_client_write(struct tls_client *t, const void *p, size_t n, struct error *e);
void tls_client_free(struct tls_client *t);     /* NULL is fine */

#endif
