/* AWS Signature Version 4, header form. Source: AWS General Reference, "Signing AWS API requests".
 * Pure but for OpenSSL's HMAC; time is an argument. */
#ifndef PGB_SECRET_SIGV4_H
#define PGB_SECRET_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "base/bytes.h"
#include "base/sealed.h"

#define SIGV4_DIGEST      32
#define SIGV4_HEADERS_MAX 32

struct sigv4_header {
        const char *name, *value;       /* all of them are signed */
};

struct sigv4_request {
        const char *method, *path, *query;      /* as they go over the wire: "/..."; without '?' */
        const struct sigv4_header *headers;     /* with host and, if there is a token,
                                                   x-amz-security-token; x-amz-date is added here */
        size_t header_count;                    /* below SIGV4_HEADERS_MAX */
        const void *body;
        size_t body_size;
        const char *region, *service;
        const char *access_key_id;
        const struct sealed *secret_access_key;
        time_t when;
};

struct sigv4_signature {
        char date[17];                  /* 20150830T123600Z, for X-Amz-Date */
        struct bytes authorization;     /* the header's value; a NUL stands behind it */
        struct bytes canonical_request, string_to_sign; /* for tests and debugging */
};

/* False for a path with "." or ".." or "//" in it (servers differ in what they make of those), or
 * too many headers or parameters. sigv4_free() either way. */
bool sigv4_sign(const struct sigv4_request *r, struct sigv4_signature *out);
void sigv4_free(struct sigv4_signature *s);

/* HMAC-SHA256, for others who need one. */
void sigv4_hmac(const void *key, size_t key_size, const void *data, size_t size,
                uint8_t out[SIGV4_DIGEST]);

#endif
