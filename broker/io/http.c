#include "io/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "base/expect.h"
#include "base/list.h"
#include "base/own.h"
#include "base/sealed.h"
#include "io/multi.h"
#include "io/resolve.h"

enum { CONNECT_MS = 2000, TOTAL_MS = 5000, ANSWER_LIMIT = 1024 * 1024, DISTRUST_MS = 600000 };

struct http {
        struct loop *loop;
        struct multi *multi;
        struct list exchanges;
        uint64_t distrust_until;        /* a certificate was refused: read the CA file anew */
};

struct http_exchange {
        struct list link;               /* in http->exchanges until done() */
        struct http *http;
        void (*done)(void *arg, const struct http_answer *answer, const struct error *e);
        void *arg;                      /* done NULL: was called */
        struct deferred answer;
        struct resolve *resolving;
        CURL *easy;                     /* NULL: over */
        bool running;                   /* libcurl has it */
        struct curl_slist *headers, *addresses;
        char *host, *target;            /* target: scheme://host:port, for messages */
        unsigned port;
        void *body;
        size_t body_size;
        unsigned connect_ms, total_ms;
        uint64_t began;
        struct bytes received;
        bool too_long;
        char why[CURL_ERROR_SIZE];
        int status;
        char content_type[128], request_id[128], error_type[128];
        long long date;
        struct error error;
};

/* ---- memory ---- */

static void wiping_free_all(struct curl_slist *list)
{
        for (struct curl_slist *i = list; i; i = i->next)
                sealed_wipe(i->data, strlen(i->data));
        curl_slist_free_all(list);
}

static void add_line(struct curl_slist **list, const char *line)
{
        struct curl_slist *longer = curl_slist_append(*list, line);

        expect(longer);
        *list = longer;
}

/* What is not needed once libcurl has ended. */
static void end_transfer(struct http_exchange *x)
{
        resolve_cancel(x->resolving);
        x->resolving = NULL;
        if (x->running)
                multi_remove(x->http->multi, x->easy);
        x->running = false;
        curl_easy_cleanup(x->easy);
        x->easy = NULL;
        wiping_free_all(x->headers);
        wiping_free_all(x->addresses);
        x->headers = x->addresses = NULL;
        if (x->body)
                sealed_wipe(x->body, x->body_size);
        free(x->body);
        x->body = NULL;
}

static void exchange_free(struct http_exchange *x)
{
        end_transfer(x);
        deferred_clear(&x->answer);
        list_remove(&x->link);
        bytes_wipe(&x->received);
        free(x->host);
        free(x->target);
        free(x);
}

void http_cancel(struct http_exchange *x)
{
        if (x && x->done)
                exchange_free(x);
}

/* ---- the answer ---- */

/* Nothing of `http` is touched after done(): it may have been freed in there. */
static void tell(struct deferred *d)
{
        struct http_exchange *x = container_of(d, struct http_exchange, answer);
        bool failed = error_is_set(&x->error);
        void (*done)(void *arg, const struct http_answer *answer, const struct error *e) = x->done;
        struct http_answer a = {.status = failed ? 0 : x->status,
                                .body = "",
                                .content_type = x->content_type,
                                .request_id = x->request_id,
                                .error_type = x->error_type,
                                .date = x->date};

        if (!failed) {
                a.body_size = bytes_length(&x->received);
                bytes_append(&x->received, "", 1);
                a.body = (const char *) bytes_data(&x->received);
        }
        list_remove(&x->link);
        x->done = NULL;
        done(x->arg, &a, failed ? &x->error : NULL);
        exchange_free(x);
}

static void answer_later(struct http_exchange *x)
{
        end_transfer(x);
        loop_defer(x->http->loop, &x->answer);
}

static void copy_header(struct http_exchange *x, const char *name, char *into, size_t size)
{
        struct curl_header *found;

        if (curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK)
                snprintf(into, size, "%s", found->value);
}

static void keep_answer(struct http_exchange *x)
{
        long status = 0;
        char date[64] = "";
        time_t when;

        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        x->status = (int) status;
        copy_header(x, "Content-Type", x->content_type, sizeof x->content_type);
        copy_header(x, "x-amzn-RequestId", x->request_id, sizeof x->request_id);
        copy_header(x, "x-amzn-ErrorType", x->error_type, sizeof x->error_type);
        copy_header(x, "Date", date, sizeof date);
        when = curl_getdate(date, NULL);
        x->date = when > 0 ? when : 0;
}

static const char *remedy(CURLcode code)
{
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return "Check the host, and the name servers of this machine.";
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_PROXY:
                return "Check HTTPS_PROXY, http_proxy, ALL_PROXY and NO_PROXY in the broker's "
                       "environment.";
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:
                return "Check that it runs and can be reached from here: routes, security groups, "
                       "VPC endpoint, proxy.";
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CONNECT_ERROR:
                return "Check the server's certificate, and AWS_CA_BUNDLE if a private authority "
                       "signed it.";
        case CURLE_FILESIZE_EXCEEDED:
                return "Check that the address is right: no proper answer is that long.";
        default:
                return "Check the server and what lies before it: the connection was cut or "
                       "answered strangely.";
        }
}

/* libcurl's own text, unless it quotes a proxy of the environment with user and password. */
static const char *cause(const struct http_exchange *x, CURLcode code)
{
        return x->why[0] && !strchr(x->why, '@') ? x->why : curl_easy_strerror(code);
}

static void finished(void *transfer, int curl_code)
{
        struct http_exchange *x = transfer;
        CURLcode code = x->too_long ? CURLE_FILESIZE_EXCEEDED : (CURLcode) curl_code;

        if (code == CURLE_OK) {
                keep_answer(x);
                answer_later(x);
                return;
        }
        if (code == CURLE_FILESIZE_EXCEEDED)
                error_set(&x->error, "08001", "the answer of %s is longer than %zu bytes",
                          x->target, x->received.limit - 1);
        else
                error_set(&x->error, "08001", "request to %s failed: %s", x->target,
                          cause(x, code));
        error_hint(&x->error, "%s", remedy(code));
        if (code == CURLE_PEER_FAILED_VERIFICATION)
                x->http->distrust_until = loop_now(x->http->loop) + DISTRUST_MS;
        answer_later(x);
}

struct http *http_new(struct loop *l)
{
        struct http *h = own_new(struct http);

        *h = (struct http){.loop = l, .multi = multi_new(l, finished)};
        list_init(&h->exchanges);
        return h;
}

void http_free(struct http *h)
{
        struct http_exchange *x;

        if (!h)
                return;
        list_each(x, &h->exchanges, struct http_exchange, link)
                exchange_free(x);
        multi_free(h->multi);
        free(h);
}

/* ---- a request ---- */

static size_t body_came(char *p, size_t size, size_t n, void *arg)
{
        struct http_exchange *x = arg;

        /* One byte of the limit is for the NUL. */
        if (bytes_length(&x->received) + size * n >= x->received.limit) {
                x->too_long = true;
                return 0;
        }
        bytes_append(&x->received, p, size * n);
        return size * n;
}

#define OPTION(x, name, value) expect(curl_easy_setopt((x)->easy, (name), (value)) == CURLE_OK)

static void set_manners(struct http_exchange *x)
{
        OPTION(x, CURLOPT_NOSIGNAL, 1L);
        OPTION(x, CURLOPT_QUICK_EXIT, 1L);
        OPTION(x, CURLOPT_NOPROGRESS, 1L);
        OPTION(x, CURLOPT_FOLLOWLOCATION, 0L);
        OPTION(x, CURLOPT_PROTOCOLS_STR, "http,https");
        OPTION(x, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        OPTION(x, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
        OPTION(x, CURLOPT_PATH_AS_IS, 1L);
        OPTION(x, CURLOPT_USERAGENT, "pgbroker/" PGBROKER_VERSION);
        OPTION(x, CURLOPT_ERRORBUFFER, x->why);
        OPTION(x, CURLOPT_PRIVATE, x);
        OPTION(x, CURLOPT_WRITEFUNCTION, body_came);
        OPTION(x, CURLOPT_WRITEDATA, x);
        OPTION(x, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) x->received.limit - 1);
}

static void set_trust(struct http_exchange *x, const char *ca_file)
{
        const char *bundle = ca_file ? ca_file : getenv("AWS_CA_BUNDLE");

        OPTION(x, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        OPTION(x, CURLOPT_SSL_VERIFYPEER, 1L);
        OPTION(x, CURLOPT_SSL_VERIFYHOST, 2L);
        if (bundle && *bundle)
                OPTION(x, CURLOPT_CAINFO, bundle);
        /* libcurl keeps the parsed file for a day (parsing costs 20 ms), whatever becomes of it.
         * After a refused certificate it is read for every connection, for a while. */
        if (loop_now(x->http->loop) < x->http->distrust_until)
                OPTION(x, CURLOPT_CA_CACHE_TIMEOUT, 1L);
}

/* Of a line, which would let a value become a header of its own. */
static bool has_break(const char *s)
{
        return strpbrk(s, "\r\n") != NULL;
}

static bool set_headers(struct http_exchange *x, const struct http_request *r)
{
        bool type = false;

        for (size_t i = 0; i < r->header_count; i++) {
                const char *name = r->headers[i].name, *value = r->headers[i].value;

                if (!*name || has_break(name) || strchr(name, ':') || has_break(value)) {
                        error_set(&x->error, "08001",
                                  "request to %s cannot be made: bad header \"%.32s\"", x->target,
                                  name);
                        return error_hint(&x->error, "Check the token or name that it carries: it "
                                                     "must be one line.");
                }
                /* libcurl sends an empty header only if it is written so. */
                char *line = *value ? own_format("%s: %s", name, value) : own_format("%s;", name);

                add_line(&x->headers, line);
                sealed_wipe(line, strlen(line));
                free(line);
                type |= strcasecmp(name, "Content-Type") == 0;
        }
        add_line(&x->headers, "Expect:");
        if (!type)
                add_line(&x->headers, "Content-Type:");
        OPTION(x, CURLOPT_HTTPHEADER, x->headers);
        return true;
}

static void set_body(struct http_exchange *x, const struct http_request *r)
{
        if (!r->body_size && strcmp(r->method, "GET") == 0)
                return;
        x->body = own_text(r->body, r->body_size);
        x->body_size = r->body_size;
        OPTION(x, CURLOPT_POST, 1L);
        OPTION(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) x->body_size);
        OPTION(x, CURLOPT_POSTFIELDS, x->body);
        if (strcmp(r->method, "POST") != 0)
                OPTION(x, CURLOPT_CUSTOMREQUEST, r->method);
}

/* A name that may be printed ends up in `target`; user and password in a URL are refused, since
 * they would end up in messages. */
static bool set_url(struct http_exchange *x, const char *url)
{
        CURLU *parts = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
        bool good;

        expect(parts);
        good = !has_break(url) && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
               curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
               (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
               curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host &&
               curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
        if (good) {
                x->host = own_string(host);
                x->port = (unsigned) strtoul(port, NULL, 10);
                x->target = own_format("%s://%s:%s", scheme, host, port);
                OPTION(x, CURLOPT_URL, url);
        } else {
                error_set(&x->error, "08001", "a request cannot be made: its address is not of the "
                                              "form http[s]://host[:port][/path]");
                error_hint(&x->error, "Check the endpoint URLs of configuration and environment.");
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_free(user);
        curl_url_cleanup(parts);
        return good;
}

/* The rules of libcurl: HTTP_PROXY in capitals is not one (a CGI server sets it from a header). */
static bool proxied(const struct http_exchange *x)
{
        static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                            "http_proxy"};
        bool tls = strncmp(x->target, "https:", 6) == 0;

        for (size_t i = tls ? 0 : 2; i < (tls ? 4 : 5); i++) {
                const char *value = getenv(names[i]);

                if (value && *value)
                        return true;
        }
        return false;
}

static void run(struct http_exchange *x)
{
        uint64_t spent = loop_now(x->http->loop) - x->began;

        OPTION(x, CURLOPT_CONNECTTIMEOUT_MS,
               x->connect_ms > spent ? (long) (x->connect_ms - spent) : 1L);
        OPTION(x, CURLOPT_TIMEOUT_MS, x->total_ms > spent ? (long) (x->total_ms - spent) : 1L);
        OPTION(x, CURLOPT_RESOLVE, x->addresses);
        x->running = true;
        multi_add(x->http->multi, x->easy);
}

/* libcurl takes them instead of looking up; the certificate is still checked against the name. */
static void pin_addresses(struct http_exchange *x, const struct resolve_addresses *addresses)
{
        char line[1024 + RESOLVE_MAX * sizeof addresses->text[0]];
        size_t used = (size_t) snprintf(line, 1024, "+%s:%u:", x->host, x->port);
        const char *comma = "";

        expect(used < 1024);
        for (size_t i = 0; i < addresses->count; i++) {
                if (strchr(addresses->text[i], '%'))
                        continue;
                used += (size_t) snprintf(line + used, sizeof line - used, "%s%s", comma,
                                          addresses->text[i]);
                comma = ",";
        }
        if (*comma)
                add_line(&x->addresses, line);
}

static void resolved(void *arg, const struct resolve_addresses *addresses, const struct error *e)
{
        struct http_exchange *x = arg;

        x->resolving = NULL;
        if (addresses) {
                pin_addresses(x, addresses);
                run(x);
                return;
        }
        x->error = *e;
        error_context(&x->error, "request to %s failed", x->target);
        answer_later(x);
}

static void begin(struct http_exchange *x, const struct http_request *r)
{
        struct in_addr v4;
        bool numeric = *x->host == '[' || inet_pton(AF_INET, x->host, &v4) == 1;

        if (r->no_proxy)
                OPTION(x, CURLOPT_PROXY, "");
        if (numeric || (!r->no_proxy && proxied(x)))
                run(x);
        else
                x->resolving = resolve_start(x->http->loop, x->host, x->connect_ms, resolved, x);
}

struct http_exchange *http_start(struct http *h, const struct http_request *r,
                                 void (*done)(void *arg, const struct http_answer *answer,
                                              const struct error *e),
                                 void *arg)
{
        struct http_exchange *x = own_new(struct http_exchange);

        *x = (struct http_exchange){.http = h, .done = done, .arg = arg};
        x->connect_ms = r->connect_timeout_ms ? r->connect_timeout_ms : CONNECT_MS;
        x->total_ms = r->timeout_ms ? r->timeout_ms : TOTAL_MS;
        if (x->connect_ms > x->total_ms)
                x->connect_ms = x->total_ms;
        x->began = loop_now(h->loop);
        bytes_init(&x->received, (r->answer_limit ? r->answer_limit : ANSWER_LIMIT) + 1);
        deferred_init(&x->answer, tell);
        list_push_back(&h->exchanges, &x->link);
        x->easy = curl_easy_init();
        expect(x->easy);
        set_manners(x);
        set_trust(x, r->ca_file);
        if (set_url(x, r->url) && set_headers(x, r)) {
                set_body(x, r);
                begin(x, r);
        } else {
                loop_defer(h->loop, &x->answer);
        }
        return x;
}
