/* Stands in for io/ in the tests of this folder: a loop with a clock of its own, a thread pool that
 * works in the next turn, names that lead where the test says, and whoever is asked over HTTP as a
 * list of answers. Include it once, in the test. */
#ifndef PGB_TEST_PRETEND_H
#define PGB_TEST_PRETEND_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/expect.h"
#include "base/own.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/run.h"
#include "io/watch.h"
#include "io/work.h"

/* ---- The loop ---- */

struct loop {
        uint64_t now;
        struct deadlines deadlines;
        struct list deferred, works;
        const char *addresses[4];       /* of any name; none: it is not found */
        unsigned resolves;              /* under way */
        const char *prints, *complains; /* by a program that is run */
        int run_status;
        unsigned runs, ran;             /* under way, in all */
        char ran_words[256];
};

struct work {
        struct list link;
        void (*run)(void *arg);
        void (*done)(void *arg);
        void *arg;
};

static inline struct loop *pretend_loop(void)
{
        struct loop *l = own_new(struct loop);

        l->now = 1000000;
        deadlines_init(&l->deadlines);
        list_init(&l->deferred);
        list_init(&l->works);
        return l;
}

static inline void pretend_loop_free(struct loop *l)
{
        deadlines_free(&l->deadlines);
        free(l);
}

uint64_t loop_now(const struct loop *l)
{
        return l->now;
}

void loop_set(struct loop *l, struct deadline *d, uint64_t at)
{
        deadline_set(&l->deadlines, d, at);
}

void loop_clear(struct loop *l, struct deadline *d)
{
        deadline_clear(&l->deadlines, d);
}

void deferred_init(struct deferred *d, void (*call)(struct deferred *d))
{
        list_init(&d->link);
        d->call = call;
}

void loop_defer(struct loop *l, struct deferred *d)
{
        if (list_empty(&d->link))
                list_push_back(&l->deferred, &d->link);
}

void deferred_clear(struct deferred *d)
{
        list_remove(&d->link);
}

void work_submit(struct loop *l, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
        struct work *w = own_new(struct work);

        w->run = run;
        w->done = done;
        w->arg = arg;
        list_push_back(&l->works, &w->link);
}

/* One turn at the same moment; false if there was nothing to do. */
static inline bool pretend_turn(struct loop *l)
{
        struct list *link;

        if ((link = list_pop_front(&l->deferred))) {
                struct deferred *d = list_item(link, struct deferred, link);

                d->call(d);
                return true;
        }
        if ((link = list_pop_front(&l->works))) {
                struct work *w = list_item(link, struct work, link);

                w->run(w->arg);
                w->done(w->arg);
                free(w);
                return true;
        }
        if (deadlines_next(&l->deadlines) <= l->now) {
                deadlines_run(&l->deadlines, l->now);
                return true;
        }
        return false;
}

/* Until nothing is left to do, or `ms` have gone by; time jumps to the next deadline. */
static inline void pretend_run(struct loop *l, uint64_t ms)
{
        uint64_t end = l->now + ms;

        for (;;) {
                while (pretend_turn(l))
                        ;
                uint64_t next = deadlines_next(&l->deadlines);

                if (next > end)
                        break;
                l->now = next;
        }
}

/* ---- Resolving ---- */

struct resolve {
        struct deferred answer;
        struct loop *loop;
        char *host;
        void (*done)(void *arg, const struct resolve_addresses *addresses, const struct error *e);
        void *arg;
};

static inline void pretend_resolve_end(struct resolve *r)
{
        r->loop->resolves--;
        deferred_clear(&r->answer);
        free(r->host);
        free(r);
}

static inline void pretend_resolved(struct deferred *d)
{
        struct resolve *r = container_of(d, struct resolve, answer);
        struct resolve_addresses found = {0};
        struct error e = {0};
        char any[16];
        bool numeric =
                inet_pton(AF_INET, r->host, any) == 1 || inet_pton(AF_INET6, r->host, any) == 1;
        const char *own[] = {r->host, NULL}, **list = numeric ? own : r->loop->addresses;

        for (; list[found.count] && found.count < 4; found.count++)
                snprintf(found.text[found.count], sizeof found.text[0], "%s", list[found.count]);
        if (!found.count) {
                error_set(&e, "08001", "host was not found");
                error_hint(&e, "Check its spelling.");
        }
        r->done(r->arg, found.count ? &found : NULL, found.count ? NULL : &e);
        pretend_resolve_end(r);
}

struct resolve *resolve_start(struct loop *l, const char *host, unsigned timeout_ms,
                              void (*done)(void *arg, const struct resolve_addresses *addresses,
                                           const struct error *e),
                              void *arg)
{
        struct resolve *r = own_new(struct resolve);

        (void) timeout_ms;
        *r = (struct resolve){.loop = l, .host = own_string(host), .done = done, .arg = arg};
        l->resolves++;
        deferred_init(&r->answer, pretend_resolved);
        loop_defer(l, &r->answer);
        return r;
}

void resolve_cancel(struct resolve *r)
{
        if (r)
                pretend_resolve_end(r);
}

/* ---- Watching ---- */

struct watch_file {
        void (*changed)(void *arg);
        void *arg;
};

struct watch_file *watch_file_new(struct loop *l, const char *path, void (*changed)(void *arg),
                                  void *arg, struct error *e)
{
        struct watch_file *w = own_new(struct watch_file);

        (void) l;
        (void) path;
        (void) e;
        *w = (struct watch_file){changed, arg};
        return w;
}

void watch_file_free(struct watch_file *w)
{
        free(w);
}

/* ---- Running programs ---- */

/* What the next one prints, and how it ends; NULL `prints`: it can't be run. It takes 20 ms. */
struct run {
        struct deadline deadline;
        struct loop *loop;
        struct run_result result;
        void (*done)(void *arg, const struct run_result *result, const struct error *e);
        void *arg;
};

static inline void pretend_ran(struct deadline *d)
{
        struct run *r = container_of(d, struct run, deadline);
        struct error e = {0};

        if (!r->result.ran)
                error_set(&e, "08001", "no such file or directory");
        r->loop->runs--;
        r->done(r->arg, &r->result, r->result.ran ? NULL : &e);
        free(r);
}

struct run *run_start(struct loop *l, const struct run_request *request,
                      void (*done)(void *arg, const struct run_result *result,
                                   const struct error *e),
                      void *arg)
{
        struct run *r = own_new(struct run);
        const char *prints = l->prints, *complains = l->complains ? l->complains : "";

        r->loop = l;
        r->done = done;
        r->arg = arg;
        r->result = (struct run_result){.ran = prints,
                                        .status = l->run_status,
                                        .output = prints,
                                        .output_size = prints ? strlen(prints) : 0,
                                        .complaint = complains,
                                        .complaint_size = strlen(complains)};
        l->runs++;
        l->ran++;
        snprintf(l->ran_words, sizeof l->ran_words, "%s", "");
        for (char *const *word = request->words; *word; word++)
                snprintf(l->ran_words + strlen(l->ran_words),
                         sizeof l->ran_words - strlen(l->ran_words), "[%s]", *word);
        deadline_init(&r->deadline, pretend_ran);
        loop_set(l, &r->deadline, l->now + 20);
        return r;
}

void run_cancel(struct run *r)
{
        if (!r)
                return;
        r->loop->runs--;
        loop_clear(r->loop, &r->deadline);
        free(r);
}

/* ---- HTTP ---- */

struct pretend_answer {
        int status;             /* 0: no connection; -1: never answers */
        const char *body, *error_type;
        long long date;
};

struct pretend_request {
        char url[256], body[512], headers[2048];        /* headers as "Name: value\n" */
        uint64_t at;
        unsigned timeout_ms;
        char ca_file[128], method[8];
        bool no_proxy;
};

struct http {
        struct loop *loop;
        struct pretend_answer answers[32];
        struct pretend_request requests[32];
        unsigned answer_count, asked;
        unsigned under_way;
};

struct http_exchange {
        struct deadline deadline;
        struct http *http;
        struct pretend_answer answer;
        void (*done)(void *arg, const struct http_answer *answer, const struct error *e);
        void *arg;
};

struct http *http_new(struct loop *l)
{
        struct http *h = own_new(struct http);

        h->loop = l;
        return h;
}

void http_free(struct http *h)
{
        free(h);
}

static inline void pretend_answers(struct http *h, int status, const char *body)
{
        h->answers[h->answer_count++] = (struct pretend_answer){status, body, "", 0};
}

static inline void pretend_answered(struct deadline *d)
{
        struct http_exchange *x = container_of(d, struct http_exchange, deadline);
        struct http_answer a = {.status = x->answer.status > 0 ? x->answer.status : 0,
                                .body = x->answer.body ? x->answer.body : "",
                                .body_size = x->answer.body ? strlen(x->answer.body) : 0,
                                .content_type = "",
                                .request_id = x->answer.status > 0 ? "request-1" : "",
                                .error_type = x->answer.error_type ? x->answer.error_type : "",
                                .date = x->answer.date};
        struct error e = {0};

        if (x->answer.status <= 0) {
                error_set(&e, "08001", x->answer.status ? "timeout" : "connection refused");
                error_hint(&e, "Check that it runs.");
        }
        x->http->under_way--;
        x->done(x->arg, &a, error_is_set(&e) ? &e : NULL);
        free(x);
}

struct http_exchange *http_start(struct http *h, const struct http_request *request,
                                 void (*done)(void *arg, const struct http_answer *answer,
                                              const struct error *e),
                                 void *arg)
{
        struct http_exchange *x = own_new(struct http_exchange);
        struct pretend_request *r = &h->requests[h->asked];

        expect(h->asked < h->answer_count);
        x->http = h;
        x->answer = h->answers[h->asked++];
        x->done = done;
        x->arg = arg;
        r->at = h->loop->now;
        r->timeout_ms = request->timeout_ms;
        r->no_proxy = request->no_proxy;
        snprintf(r->method, sizeof r->method, "%s", request->method);
        snprintf(r->url, sizeof r->url, "%s", request->url);
        snprintf(r->ca_file, sizeof r->ca_file, "%s", request->ca_file ? request->ca_file : "");
        snprintf(r->body, sizeof r->body, "%.*s", (int) request->body_size,
                 request->body ? (const char *) request->body : "");
        for (size_t i = 0; i < request->header_count; i++)
                snprintf(r->headers + strlen(r->headers), sizeof r->headers - strlen(r->headers),
                         "%s: %s\n", request->headers[i].name, request->headers[i].value);
        h->under_way++;
        deadline_init(&x->deadline, pretend_answered);
        loop_set(h->loop, &x->deadline,
                 h->loop->now + (x->answer.status < 0 ? request->timeout_ms : 20));
        return x;
}

void http_cancel(struct http_exchange *x)
{
        if (!x)
                return;
        x->http->under_way--;
        loop_clear(x->http->loop, &x->deadline);
        free(x);
}

/* ---- Files ---- */

static inline char *pretend_folder(void)
{
        char *path = own_string("/tmp/pgbroker-test-XXXXXX");

        expect(mkdtemp(path));
        return path;
}

static inline char *pretend_file(const char *folder, const char *name, const char *text)
{
        char *path = own_format("%s/%s", folder, name);
        FILE *f = fopen(path, "w");

        expect(f && fputs(text, f) >= 0 && fclose(f) == 0);
        return path;
}

static inline void pretend_remove(char *path)
{
        if (unlink(path) != 0)
                rmdir(path);
        free(path);
}

#endif
