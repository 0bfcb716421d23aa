#include "http_server.h"
#include "base/error.h"
#include "io/http.h"

OWN_DEFINE(struct http, http_free)

struct got {
        int calls;
        int status;
        char *body;
        size_t size;
        char type[64], id[64], error_type[64];
        long long date;
        struct error error;
        uint64_t at;                    /* microseconds */
        void (*then)(struct got *g);
        struct http *http;
        const char *url;
};

static void done(void *arg, const struct http_answer *a, const struct error *e)
{
        struct got *g = arg;

        g->calls++;
        g->at = loop_us();
        g->status = a->status;
        assert_true((e != NULL) == (a->status == 0));
        assert_int_equal(strlen(a->body), a->body_size);
        free(g->body);
        g->body = own_string(a->body);
        g->size = a->body_size;
        snprintf(g->type, sizeof g->type, "%s", a->content_type);
        snprintf(g->id, sizeof g->id, "%s", a->request_id);
        snprintf(g->error_type, sizeof g->error_type, "%s", a->error_type);
        g->date = a->date;
        if (e) {
                g->error = *e;
                assert_string_equal(e->sqlstate, "08001");
                assert_true(e->hint[0]);
        }
        if (g->then)
                g->then(g);
}

static void forget(struct got *g)
{
        free(g->body);
        *g = (struct got){0};
}

OWN_DEFINE(struct got, forget)
#define GOT OWN(forget) struct got *

static char *url_of(const struct server *s, const char *path)
{
        return own_format("http://127.0.0.1:%u%s", s->port, path);
}

/* Asks, waits for the answer and takes everything down. */
static void ask(const struct http_request *r, struct got *g)
{
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);

        assert_non_null(http_start(h, r, done, g));
        assert_int_equal(g->calls, 0);
        assert_true(turns_until(l, &g->calls, 1, 10000));
        turns_for(l, 5);
        assert_int_equal(g->calls, 1);
}

static void get(const struct server *s, const char *path, size_t limit, struct got *g)
{
        OWN(free) char *url = url_of(s, path);

        ask(&(struct http_request){.method = "GET", .url = url, .answer_limit = limit}, g);
}

static void an_answer_comes_with_its_headers(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};

        get(s, "/hello", 0, g);
        assert_string_equal(g->error.text, "");
        assert_int_equal(g->status, 200);
        assert_string_equal(g->body, "hello");
        assert_string_equal(g->type, "text/plain");
        assert_string_equal(g->id, "r-1");
        assert_string_equal(g->error_type, "");
        assert_int_equal(g->date, 1795353633);
}

static void an_error_status_is_an_answer(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};

        get(s, "/denied", 0, g);
        assert_int_equal(g->status, 400);
        assert_string_equal(g->body, "{}");
        assert_string_equal(g->error_type, "AccessDeniedException:http");
        assert_string_equal(g->id, "");
        assert_int_equal(g->date, 0);
}

static void a_redirect_is_not_followed(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};

        get(s, "/moved", 0, g);
        assert_int_equal(g->status, 302);
}

static void chunks_are_put_together(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};

        get(s, "/chunked", 0, g);
        assert_string_equal(g->body, "one, two");
}

static void a_post_is_sent_as_it_was_given(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};
        OWN(free) char *url = url_of(s, "/echo?b=1&a=%20/../x");
        char body[3000];
        char type[] = "application/x-amz-json-1.1";
        struct http_header headers[] = {
                {"Host", "secretsmanager.eu-west-1.amazonaws.com"},
                {"Content-Type", type},
                {"X-Empty", ""},
        };
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);

        memset(body, 'b', sizeof body);
        http_start(h,
                   &(struct http_request){.method = "POST",
                                          .url = url,
                                          .headers = headers,
                                          .header_count = 3,
                                          .body = body,
                                          .body_size = sizeof body},
                   done, g);
        memset(body, 'X', sizeof body);
        memset(type, 'X', sizeof type - 1);
        memset(url, 'X', strlen(url));
        assert_true(turns_until(l, &g->calls, 1, 10000));
        assert_non_null(strstr(g->body, "POST /echo?b=1&a=%20/../x HTTP/1.1\r\n"));
        assert_non_null(strstr(g->body, "\r\nHost: secretsmanager.eu-west-1.amazonaws.com\r\n"));
        assert_non_null(strstr(g->body, "\r\nContent-Type: application/x-amz-json-1.1\r\n"));
        assert_non_null(strstr(g->body, "\r\nContent-Length: 3000\r\n"));
        assert_non_null(strstr(g->body, "\r\nX-Empty:\r\n"));
        assert_non_null(strstr(g->body, "\r\nUser-Agent: pgbroker/"));
        assert_null(strstr(g->body, "Expect"));
        assert_null(strstr(g->body, "XX"));
        assert_int_equal(strspn(strstr(g->body, "\r\n\r\n") + 4, "b"), 3000);
}

static void a_put_needs_no_body(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};
        OWN(free) char *url = url_of(s, "/echo");

        ask(&(struct http_request){.method = "PUT", .url = url}, g);
        assert_non_null(strstr(g->body, "PUT /echo HTTP/1.1\r\n"));
        assert_non_null(strstr(g->body, "\r\nContent-Length: 0\r\n"));
        assert_null(strstr(g->body, "Content-Type"));
}

static void time_runs_out_and_the_loop_goes_on(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        GOT g = &(struct got){0};
        OWN(free) char *url = url_of(s, "/slow");
        uint64_t began = loop_us();

        ask(&(struct http_request){.method = "GET", .url = url, .timeout_ms = 200}, g);
        assert_int_equal(g->status, 0);
        assert_non_null(strstr(g->error.text, "timed out"));
        assert_non_null(strstr(g->error.text, "http://127.0.0.1:"));
        assert_null(strstr(g->error.text, "/slow"));
        assert_true(g->at - began >= 190000);
        assert_true(g->at - began < 2000000);
}

static void a_broken_answer_is_an_error(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        const char *paths[] = {"/cut", "/none"};

        for (int i = 0; i < 2; i++) {
                GOT g = &(struct got){0};

                get(s, paths[i], 0, g);
                assert_int_equal(g->status, 0);
                assert_int_equal(g->size, 0);
                assert_non_null(strstr(g->error.text, "failed"));
        }
}

static void too_long_an_answer_is_an_error(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        const struct {
                const char *path;
                size_t limit;
                int status;
        } cases[] = {{"/long", 5000, 200}, {"/long", 4999, 0}, {"/endless", 5000, 0},
                     {"/chunked", 8, 200}, {"/chunked", 7, 0}, {"/endless", 0, 0}};

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                GOT g = &(struct got){0};

                get(s, cases[i].path, cases[i].limit, g);
                assert_int_equal(g->status, cases[i].status);
                if (!g->status)
                        assert_non_null(strstr(g->error.text, "is longer than"));
        }
}

static void nobody_there_is_an_error(void **state)
{
        (void) state;
        struct server *s = server_new(NULL);
        OWN(free) char *url = url_of(s, "/hello");
        GOT g = &(struct got){0};

        server_free(s);
        ask(&(struct http_request){.method = "GET", .url = url}, g);
        assert_int_equal(g->status, 0);
        assert_non_null(strstr(g->error.text, "connect"));
}

static void names_are_resolved(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(free) char *url = own_format("http://localhost:%u/echo", s->port);
        OWN(free) char *host = own_format("\r\nHost: localhost:%u\r\n", s->port);
        GOT g = &(struct got){0};
        GOT bad = &(struct got){0};

        ask(&(struct http_request){.method = "GET", .url = url}, g);
        assert_int_equal(g->status, 200);
        assert_non_null(strstr(g->body, host));
        ask(&(struct http_request){.method = "GET", .url = "http://nowhere.invalid/x"}, bad);
        assert_int_equal(bad->status, 0);
        assert_non_null(strstr(bad->error.text, "nowhere.invalid"));
}

static void what_cannot_be_sent_is_an_error_that_comes_later(void **state)
{
        (void) state;
        const char *urls[] = {"",
                              "127.0.0.1/x",
                              "ftp://127.0.0.1/x",
                              "file:///etc/passwd",
                              "http:///x",
                              "http://user:hunter2@127.0.0.1/",
                              "http://127.0.0.1:99999/",
                              "http://127.0.0.1/\r\nX: y"};
        const struct http_header headers[] = {
                {"A\r\nB", "x"}, {"A", "x\r\nB: y"}, {"A", "x\n"}, {"", "x"}, {"A: b", "x"}};

        for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
                GOT g = &(struct got){0};

                ask(&(struct http_request){.method = "GET", .url = urls[i]}, g);
                assert_int_equal(g->status, 0);
                assert_null(strstr(g->error.text, "hunter2"));
        }
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
                GOT g = &(struct got){0};

                ask(&(struct http_request){.method = "GET",
                                           .url = "http://127.0.0.1:1/",
                                           .headers = &headers[i],
                                           .header_count = 1},
                    g);
                assert_non_null(strstr(g->error.text, "header"));
        }
}

static void a_cancelled_one_never_calls(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);
        OWN(free) char *url = url_of(s, "/slow");
        OWN(free) char *name = own_format("http://localhost:%u/slow", s->port);
        struct http_request slow = {.method = "GET", .url = url}, named = slow, bad = slow;
        GOT g = &(struct got){0};

        named.url = name;
        bad.url = "nonsense";
        for (unsigned ms = 0; ms < 30; ms += 5) {
                struct http_exchange *x = http_start(h, &slow, done, g);
                struct http_exchange *y = http_start(h, &named, done, g);

                turns_for(l, ms);
                http_cancel(x);
                http_cancel(y);
        }
        http_cancel(http_start(h, &bad, done, g));
        http_cancel(NULL);
        turns_for(l, 20);
        assert_int_equal(g->calls, 0);
        /* And http_free() cancels the rest. */
        http_start(h, &slow, done, g);
        http_start(h, &named, done, g);
        http_start(h, &bad, done, g);
}

static void free_all(struct got *g)
{
        http_free(g->http);
}

static void all_may_be_freed_in_the_call(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(free) char *url = url_of(s, "/hello");
        OWN(free) char *slow = url_of(s, "/slow");
        GOT g = &(struct got){.http = http_new(l), .then = free_all};

        http_start(g->http, &(struct http_request){.method = "GET", .url = slow}, done, g);
        http_start(g->http, &(struct http_request){.method = "GET", .url = url}, done, g);
        assert_true(turns_until(l, &g->calls, 1, 5000));
        turns_for(l, 20);
        assert_int_equal(g->calls, 1);
        assert_int_equal(g->status, 200);
}

static void once_more(struct got *g)
{
        struct http_request r = {.method = "GET", .url = g->url};

        if (g->calls < 10)
                http_start(g->http, &r, done, g);
}

static void the_next_may_start_in_the_call_and_takes_the_same_connection(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);
        OWN(free) char *url = url_of(s, "/hello");
        GOT g = &(struct got){.http = h, .then = once_more, .url = url};

        http_start(h, &(struct http_request){.method = "GET", .url = url}, done, g);
        assert_true(turns_until(l, &g->calls, 10, 5000));
        assert_int_equal(server_count(s), 1);
}

static void many_run_at_once(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);
        const char *paths[] = {"/hello", "/chunked", "/long", "/denied", "/slow", "/cut"};
        GOT g = &(struct got){0};

        for (int i = 0; i < 48; i++) {
                OWN(free) char *url = url_of(s, paths[i % 6]);

                http_start(h,
                           &(struct http_request){.method = "GET", .url = url, .timeout_ms = 1500},
                           done, g);
        }
        assert_true(turns_until(l, &g->calls, 48, 10000));
}

static void a_proxy_of_the_environment_is_used_unless_told_not_to(void **state)
{
        (void) state;
        OWN(server_free) struct server *s = server_new(NULL);
        OWN(free) char *proxy = url_of(s, "");
        GOT by = &(struct got){0};
        GOT direct = &(struct got){0};
        /* A name that only the proxy could know. */
        struct http_request r = {.method = "GET", .url = "http://nowhere.invalid/echo"};

        setenv("http_proxy", proxy, 1);
        ask(&r, by);
        assert_int_equal(by->status, 200);
        assert_non_null(strstr(by->body, "GET http://nowhere.invalid/echo HTTP/1.1"));
        r.no_proxy = true;
        ask(&r, direct);
        unsetenv("http_proxy");
        assert_int_equal(direct->status, 0);
}

static void a_bad_proxy_is_not_quoted(void **state)
{
        (void) state;
        GOT g = &(struct got){0};

        setenv("http_proxy", "bogus://user:hunter2@127.0.0.1:1", 1);
        ask(&(struct http_request){.method = "GET", .url = "http://127.0.0.1:1/"}, g);
        unsetenv("http_proxy");
        assert_int_equal(g->status, 0);
        assert_null(strstr(g->error.text, "hunter2"));
}

static void get_tls(struct http *h, struct loop *l, const char *url, const char *ca, struct got *g)
{
        forget(g);
        http_start(h, &(struct http_request){.method = "GET", .url = url, .ca_file = ca, .timeout_ms = 20000}, done, g);
        assert_true(turns_until(l, &g->calls, 1, 30000));
}

static void a_certificate_is_checked_by_authority_and_name(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *ca = own_format("%s/ca.pem", folder);
        OWN(server_free) struct server *s = server_new(server_certificate(ca));
        OWN(free) char *named = own_format("https://localhost:%u/hello", s->port);
        OWN(free) char *numbered = own_format("https://127.0.0.1:%u/hello", s->port);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);
        GOT g = &(struct got){0};

        get_tls(h, l, named, NULL, g);
        assert_int_equal(g->status, 0);
        assert_non_null(strstr(g->error.text, "certificate"));
        assert_non_null(strstr(g->error.hint, "AWS_CA_BUNDLE"));
        get_tls(h, l, named, ca, g);
        assert_int_equal(g->status, 200);
        get_tls(h, l, numbered, ca, g);
        assert_int_equal(g->status, 0);
        get_tls(h, l, named, "/nonexistent/ca.pem", g);
        assert_int_equal(g->status, 0);
        setenv("AWS_CA_BUNDLE", ca, 1);
        get_tls(h, l, named, NULL, g);
        unsetenv("AWS_CA_BUNDLE");
        assert_int_equal(g->status, 200);
}

static void a_replaced_authority_is_noticed(void **state)
{
        (void) state;
        OWN(folder_remove) char *folder = folder_make();
        OWN(free) char *ca = own_format("%s/ca.pem", folder);
        OWN(server_free) struct server *first = server_new(server_certificate(ca));
        OWN(free) char *old = own_format("https://localhost:%u/hello", first->port);
        OWN(loop_free) struct loop *l = loop_new();
        OWN(http_free) struct http *h = http_new(l);
        GOT g = &(struct got){0};

        get_tls(h, l, old, ca, g);
        assert_int_equal(g->status, 200);

        OWN(server_free) struct server *second = server_new(server_certificate(ca));
        OWN(free) char *new = own_format("https://localhost:%u/hello", second->port);

        get_tls(h, l, new, ca, g);
        turns_for(l, 1100);
        get_tls(h, l, new, ca, g);
        assert_int_equal(g->status, 200);
}

int main(void)
{
        const char *proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                 "ALL_PROXY",  "no_proxy",    "NO_PROXY",    "AWS_CA_BUNDLE"};
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_comes_with_its_headers),
                cmocka_unit_test(an_error_status_is_an_answer),
                cmocka_unit_test(a_redirect_is_not_followed),
                cmocka_unit_test(chunks_are_put_together),
                cmocka_unit_test(a_post_is_sent_as_it_was_given),
                cmocka_unit_test(a_put_needs_no_body),
                cmocka_unit_test(time_runs_out_and_the_loop_goes_on),
                cmocka_unit_test(a_broken_answer_is_an_error),
                cmocka_unit_test(too_long_an_answer_is_an_error),
                cmocka_unit_test(nobody_there_is_an_error),
                cmocka_unit_test(names_are_resolved),
                cmocka_unit_test(what_cannot_be_sent_is_an_error_that_comes_later),
                cmocka_unit_test(a_cancelled_one_never_calls),
                cmocka_unit_test(all_may_be_freed_in_the_call),
                cmocka_unit_test(the_next_may_start_in_the_call_and_takes_the_same_connection),
                cmocka_unit_test(many_run_at_once),
                cmocka_unit_test(a_proxy_of_the_environment_is_used_unless_told_not_to),
                cmocka_unit_test(a_bad_proxy_is_not_quoted),
                cmocka_unit_test(a_certificate_is_checked_by_authority_and_name),
                cmocka_unit_test(a_replaced_authority_is_noticed),
        };

        for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
                unsetenv(proxies[i]);
        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
