#include "secret/sigv4.h"

#include <ctype.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>
#include "base/expect.h"

enum { PARAMETERS_MAX = 32, SCOPE_MAX = 256 };

/* A piece of the query: "name" or "name=value" within the request's text. */
struct parameter {
        const char *name, *value;
        size_t name_size, value_size;
};

static void add_hex(struct bytes *b, const uint8_t *digest)
{
        for (int i = 0; i < SIGV4_DIGEST; i++)
                bytes_format(b, "%02x", digest[i]);
}

static void add_hash(struct bytes *b, const void *data, size_t size)
{
        uint8_t digest[SIGV4_DIGEST];

        expect(SHA256(data ? data : "", data ? size : 0, digest));
        add_hex(b, digest);
}

void sigv4_hmac(const void *key, size_t key_size, const void *data, size_t size,
                uint8_t out[SIGV4_DIGEST])
{
        unsigned n = 0;

        expect(HMAC(EVP_sha256(), key, (int) key_size, data, size, out, &n) && n == SIGV4_DIGEST);
}

/* RFC 3986's unreserved characters stay. What is encoded already is kept in a query; in a path it
 * is encoded once more, as all services but S3 want it. */
static void add_encoded(struct bytes *b, const char *s, size_t n, const char *keep)
{
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char) s[i];

                if (isalnum(c) || (c && strchr("-._~", c)) || (c && strchr(keep, c)))
                        bytes_append(b, &c, 1);
                else
                        bytes_format(b, "%%%02X", c);
        }
}

/* ---- Path ---- */

static bool plain_path(const char *path)
{
        if (path[0] != '/' || strstr(path, "//"))
                return false;
        for (const char *at = path; (at = strstr(at, "/.")); at++) {
                const char *end = at + strcspn(at + 1, "/") + 1;

                if (end - at == 2 || (end - at == 3 && at[2] == '.'))
                        return false;
        }
        return true;
}

/* ---- Query ---- */

static int compare_text(const char *a, size_t n, const char *b, size_t m)
{
        int order = memcmp(a, b, n < m ? n : m);

        return order ? order : (n > m) - (n < m);
}

static int compare_parameters(const void *a, const void *b)
{
        const struct parameter *x = a, *y = b;
        int order = compare_text(x->name, x->name_size, y->name, y->name_size);

        return order ? order : compare_text(x->value, x->value_size, y->value, y->value_size);
}

static bool add_query(struct bytes *b, const char *query)
{
        struct parameter parameters[PARAMETERS_MAX];
        size_t count = 0;

        while (*query) {
                size_t n = strcspn(query, "&");
                const char *equals = memchr(query, '=', n);
                size_t name = equals ? (size_t) (equals - query) : n;

                if (count == PARAMETERS_MAX)
                        return false;
                if (n > 0)
                        parameters[count++] =
                                (struct parameter){query, equals ? equals + 1 : query + n, name,
                                                   equals ? n - name - 1 : 0};
                query += n + (query[n] == '&');
        }
        qsort(parameters, count, sizeof *parameters, compare_parameters);
        for (size_t i = 0; i < count; i++) {
                if (i > 0)
                        bytes_text(b, "&");
                add_encoded(b, parameters[i].name, parameters[i].name_size, "%");
                bytes_text(b, "=");
                add_encoded(b, parameters[i].value, parameters[i].value_size, "%");
        }
        return true;
}

/* ---- Headers ---- */

/* By name, those of one name in the order they came (so no qsort, which isn't stable). */
static void sort_headers(struct sigv4_header *h, size_t n)
{
        for (size_t i = 1; i < n; i++) {
                struct sigv4_header moving = h[i];
                size_t j = i;

                for (; j > 0 && strcasecmp(h[j - 1].name, moving.name) > 0; j--)
                        h[j] = h[j - 1];
                h[j] = moving;
        }
}

static void add_lower(struct bytes *b, const char *s)
{
        for (; *s; s++)
                bytes_append(b, &(char){(char) tolower((unsigned char) *s)}, 1);
}

/* Trimmed, and each run of blanks as one. */
static void add_value(struct bytes *b, const char *s)
{
        bool first = true;

        for (;;) {
                s += strspn(s, " \t");

                size_t n = strcspn(s, " \t");

                if (n == 0)
                        return;
                if (!first)
                        bytes_text(b, " ");
                bytes_append(b, s, n);
                first = false;
                s += n;
        }
}

static void add_headers(struct bytes *b, const struct sigv4_header *h, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && strcasecmp(h[i - 1].name, h[i].name) == 0) {
                        bytes_text(b, ",");
                } else {
                        bytes_text(b, i ? "\n" : "");
                        add_lower(b, h[i].name);
                        bytes_text(b, ":");
                }
                add_value(b, h[i].value);
        }
        bytes_text(b, "\n");
}

static void add_names(struct bytes *b, const struct sigv4_header *h, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && strcasecmp(h[i - 1].name, h[i].name) == 0)
                        continue;
                bytes_text(b, i ? ";" : "");
                add_lower(b, h[i].name);
        }
}

/* ---- The three steps ---- */

static bool add_canonical_request(struct bytes *b, const struct sigv4_request *r,
                                  const struct sigv4_header *headers, size_t count)
{
        if (!plain_path(r->path))
                return false;
        bytes_format(b, "%s\n", r->method);
        add_encoded(b, r->path, strlen(r->path), "/");
        bytes_text(b, "\n");
        if (!add_query(b, r->query ? r->query : ""))
                return false;
        bytes_text(b, "\n");
        add_headers(b, headers, count);
        bytes_text(b, "\n");
        add_names(b, headers, count);
        bytes_text(b, "\n");
        add_hash(b, r->body, r->body_size);
        return true;
}

static void add_string_to_sign(struct bytes *b, const struct sigv4_signature *s, const char *scope)
{
        bytes_format(b, "AWS4-HMAC-SHA256\n%s\n%s\n", s->date, scope);
        add_hash(b, bytes_data(&s->canonical_request), bytes_length(&s->canonical_request));
}

static void derive_key(const struct sigv4_request *r, const char *day, uint8_t key[SIGV4_DIGEST])
{
        struct bytes first;

        bytes_init(&first, 0);
        bytes_text(&first, "AWS4");
        bytes_append(&first, sealed_open(r->secret_access_key),
                     sealed_length(r->secret_access_key));
        sigv4_hmac(bytes_data(&first), bytes_length(&first), day, 8, key);
        bytes_wipe(&first);
        sigv4_hmac(key, SIGV4_DIGEST, r->region, strlen(r->region), key);
        sigv4_hmac(key, SIGV4_DIGEST, r->service, strlen(r->service), key);
        sigv4_hmac(key, SIGV4_DIGEST, "aws4_request", strlen("aws4_request"), key);
}

static void add_authorization(struct sigv4_signature *s, const struct sigv4_request *r,
                              const struct sigv4_header *headers, size_t count, const char *scope)
{
        struct bytes *b = &s->authorization;
        uint8_t key[SIGV4_DIGEST], signature[SIGV4_DIGEST];

        derive_key(r, s->date, key);
        sigv4_hmac(key, sizeof key, bytes_data(&s->string_to_sign),
                   bytes_length(&s->string_to_sign), signature);
        sealed_wipe(key, sizeof key);
        bytes_format(b, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", r->access_key_id,
                     scope);
        add_names(b, headers, count);
        bytes_text(b, ", Signature=");
        add_hex(b, signature);
        *bytes_room(b, 1) = 0;
}

bool sigv4_sign(const struct sigv4_request *r, struct sigv4_signature *out)
{
        struct sigv4_header headers[SIGV4_HEADERS_MAX];
        char scope[SCOPE_MAX];
        struct tm utc;

        bytes_init(&out->authorization, 0);
        bytes_init(&out->canonical_request, 0);
        bytes_init(&out->string_to_sign, 0);
        out->date[0] = 0;
        if (r->header_count >= SIGV4_HEADERS_MAX || !gmtime_r(&r->when, &utc) ||
            strftime(out->date, sizeof out->date, "%Y%m%dT%H%M%SZ", &utc) != 16)
                return false;
        if (snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", out->date, r->region,
                     r->service) >= (int) sizeof scope)
                return false;
        for (size_t i = 0; i < r->header_count; i++)
                headers[i] = r->headers[i];
        headers[r->header_count] = (struct sigv4_header){"x-amz-date", out->date};
        sort_headers(headers, r->header_count + 1);
        if (!add_canonical_request(&out->canonical_request, r, headers, r->header_count + 1))
                return false;
        add_string_to_sign(&out->string_to_sign, out, scope);
        add_authorization(out, r, headers, r->header_count + 1, scope);
        return true;
}

void sigv4_free(struct sigv4_signature *s)
{
        bytes_wipe(&s->authorization);
        /* A session token stands in it. */
        bytes_wipe(&s->canonical_request);
        bytes_wipe(&s->string_to_sign);
}
