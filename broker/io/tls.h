/* TLS sessions that libpq made, taken over. */
#ifndef PGB_IO_TLS_H
#define PGB_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* Prepares an SSL* (as PQsslStruct gives it) for non-blocking use by a stream on `fd`: a socket BIO
 * of its own (libpq's hides write errors), partial writes, moving write buffers, read-ahead. */
bool tls_adopt(void *ssl, int fd, struct error *e);
/* Is this a live TLS >= 1.2 session; version and cipher for SHOW ("TLSv1.3/..."); NULL = not TLS. */
const char *tls_describe(void *ssl, char *text, size_t size);

#endif
