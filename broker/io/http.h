/* An HTTP/1.1 client on the loop: libcurl's multi interface, names resolved by io/resolve, so that
 * nothing in it can stop the loop. No redirects, no netrc, TLS >= 1.2 with peer and host checked.
 * Where the environment names a proxy (and no_proxy below is not set), libcurl resolves names
 * itself, the proxy's or (NO_PROXY) the host's, on a thread of its own that is left behind when
 * time is over: the name of the host may be one that only the proxy knows. */
#ifndef PGB_IO_HTTP_H
#define PGB_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "io/loop.h"

struct http;

struct http_header {
        const char *name, *value;
};

struct http_request {
        const char *method;             /* "GET", "POST", "PUT" */
        const char *url;                /* http or https */
        const struct http_header *headers;      /* sent as they are, Host included if given */
        size_t header_count;
        const void *body;
        size_t body_size;
        const char *ca_file;            /* NULL = AWS_CA_BUNDLE or the system's */
        unsigned connect_timeout_ms, timeout_ms;        /* look-up included; 0 = 2000, 5000 */
        size_t answer_limit;            /* a longer answer is an error; 0 = 1 MiB */
        bool no_proxy;                  /* ignore HTTPS_PROXY and its like */
};

struct http_answer {
        int status;                     /* 0: no answer, `e` says why (08001); else `e` is NULL */
        const char *body;               /* NUL-terminated; valid during the call, wiped after it */
        size_t body_size;
        const char *content_type, *request_id, *error_type;     /* Content-Type, x-amzn-RequestId,
                                                                   x-amzn-ErrorType, or "" */
        long long date;                 /* Date header, seconds since 1970; 0 = none */
};

struct http *http_new(struct loop *l);
void http_free(struct http *h);         /* cancels what runs */

/* Copies all it needs. done() is called later, exactly once; the exchange is gone when it returns.
 * What was sent and received is wiped, in libcurl's own buffers as well. */
struct http_exchange;
struct http_exchange *http_start(struct http *h, const struct http_request *request,
                                 void (*done)(void *arg, const struct http_answer *answer,
                                              const struct error *e),
                                 void *arg);
void http_cancel(struct http_exchange *x);      /* no call after this; NULL is fine */

#endif
