#include "secret/source_aws.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/expect.h"
#include "secret/attempts.h"
#include "secret/endpoint.h"
#include "secret/sigv4.h"

enum {
        CONNECT_MS = 2000,
        ATTEMPT_MS = 5000,
        FETCH_MS = 12000,
        ANSWER_LIMIT = 1 << 20,
};

struct source_aws {
        struct loop *l;
        struct http *http;
        struct chain *chain;
        struct log *log;
        char *secret_name;
        char region[ENDPOINT_REGION]; /* "" = that of the instance, not asked for yet */
        char *endpoint_url;           /* of the `aws` block */
        struct endpoint at;
        char *url, *ca_file;
        char *host, *database; /* what fills the document */
        struct document_endpoint fill;

        /* One fetch: it waits for a lookup, an exchange or `again`; `over` ends it in any case. */
        void (*done)(void *arg, struct source_answer *answer); /* NULL = no fetch */
        void *arg;
        enum secret_stage stage;
        struct chain_lookup *lookup;
        struct http_exchange *exchange;
        struct deadline again, over;
        struct attempts attempts;
        uint64_t calls;
};

/* ---- The end of a fetch ---- */

static void stop(struct source_aws *s)
{
        chain_cancel(TAKE(s->lookup));
        http_cancel(TAKE(s->exchange));
        loop_clear(s->l, &s->again);
        loop_clear(s->l, &s->over);
}

/* The callee may free `s`, so this is the last thing that anyone does with it. */
static void finish(struct source_aws *s, struct source_answer *answer)
{
        void (*done)(void *, struct source_answer *) = TAKE(s->done);

        stop(s);
        done(s->arg, answer);
        document_free(answer->document);
}

static void finish_failed(struct source_aws *s, const struct answer *a)
{
        const struct answer_rule *rule = answer_rule(a->kind);
        struct source_answer answer = {
                .verdict = s->stage == STAGE_CURRENT ? rule->current : rule->other,
                .denied = a->kind == ANSWER_DENIED,
        };
        bool both = a->code[0] && a->message[0];

        /* Many brokers that met the same trouble don't come back together. */
        answer.retry_ms = rule->retry_ms + attempts_throw(&s->attempts, rule->retry_ms);
        memcpy(answer.request_id, a->request_id, sizeof answer.request_id);
        error_set(&answer.error, "08001", "Secrets Manager in %s, %s %s: %s%s%s", s->region,
                  s->secret_name, secret_stage_name(s->stage), a->code, both ? ": " : "",
                  a->message);
        error_hint(&answer.error, "%s", a->hint[0] ? a->hint : rule->hint);
        finish(s, &answer);
}

static void finish_value(struct source_aws *s, const struct answer *a)
{
        struct source_answer answer = {.verdict = SOURCE_FOUND};

        memcpy(answer.version_id, a->version_id, sizeof answer.version_id);
        memcpy(answer.request_id, a->request_id, sizeof answer.request_id);
        answer.document = document_read(sealed_open(a->value), sealed_length(a->value), &s->fill,
                                        &answer.error);
        if (!answer.document) {
                answer.verdict = SOURCE_REFUSED;
                answer.retry_ms = 30000;
                error_context(&answer.error, "%s %s, version %s", s->secret_name,
                              secret_stage_name(s->stage), a->version_id);
        }
        finish(s, &answer);
}

/* Where there are no credentials at all nothing was asked. */
static void finish_unasked(struct source_aws *s, const struct error *e)
{
        struct source_answer answer = {.verdict = SOURCE_REFUSED, .retry_ms = 30000, .error = *e};

        finish(s, &answer);
}

/* ---- One attempt after another ---- */

static void attempt(struct source_aws *s);

static void again_expired(struct deadline *d)
{
        attempt(container_of(d, struct source_aws, again));
}

static void over_expired(struct deadline *d)
{
        struct source_aws *s = container_of(d, struct source_aws, over);
        struct answer late = {.kind = ANSWER_TROUBLE};
        struct error e = {0};

        if (s->lookup) {
                error_set(&e, "08001", "AWS credentials: none within %d seconds", FETCH_MS / 1000);
                error_hint(&e, "Check the provider that is configured; the broker goes on trying.");
                finish_unasked(s, &e);
                return;
        }
        snprintf(late.message, sizeof late.message, "no answer within %d seconds", FETCH_MS / 1000);
        finish_failed(s, &late);
}

static uint64_t time_left(const struct source_aws *s)
{
        uint64_t now = loop_now(s->l);

        return s->over.at > now ? s->over.at - now : 0;
}

static bool try_again(struct source_aws *s, enum answer_kind kind, long long date)
{
        uint32_t pause_ms;

        switch (attempts_next(&s->attempts, kind, date, time(NULL), time_left(s), &pause_ms)) {
        case ATTEMPTS_OVER:
                return false;
        case ATTEMPTS_OTHER_KEY:
                chain_forget(s->chain);
                break;
        case ATTEMPTS_OTHER_CLOCK:
                log_warn(s->log, "clock differs from Secrets Manager's, which is used for signing",
                         log_int("ahead_s", s->attempts.ahead_s),
                         log_str("secret", s->secret_name));
                break;
        case ATTEMPTS_AGAIN:
                break;
        }
        loop_set(s->l, &s->again, loop_now(s->l) + pause_ms);
        return true;
}

static void answered(void *arg, const struct http_answer *http_answer, const struct error *e)
{
        struct source_aws *s = arg;
        struct answer a;

        s->exchange = NULL;
        answer_read(http_answer, e, &a);
        if (a.kind == ANSWER_VALUE)
                finish_value(s, &a);
        else if (!try_again(s, a.kind, http_answer ? http_answer->date : 0))
                finish_failed(s, &a);
        answer_clear(&a);
}

static void post(struct source_aws *s, const struct sigv4_header *headers, size_t count,
                 const char *body, size_t body_size)
{
        struct http_header out[SIGV4_HEADERS_MAX];
        unsigned left = (unsigned) time_left(s);

        for (size_t i = 0; i < count; i++)
                out[i] = (struct http_header){headers[i].name, headers[i].value};
        s->calls++;
        s->exchange = http_start(s->http,
                                 &(struct http_request){
                                         .method = "POST",
                                         .url = s->url,
                                         .headers = out,
                                         .header_count = count,
                                         .body = body,
                                         .body_size = body_size,
                                         .ca_file = s->ca_file,
                                         .connect_timeout_ms = CONNECT_MS,
                                         .timeout_ms = left == 0           ? 1
                                                       : left < ATTEMPT_MS ? left
                                                                           : ATTEMPT_MS,
                                         .answer_limit = ANSWER_LIMIT,
                                 },
                                 answered, s);
}

static void sign_and_send(struct source_aws *s, const struct aws_credentials *credentials)
{
        struct sigv4_header headers[8] = {
                {"Host", s->at.authority},
                {"Content-Type", "application/x-amz-json-1.1"},
                {"X-Amz-Target", "secretsmanager.GetSecretValue"},
        };
        size_t count = 3;
        struct sigv4_signature signature;
        char body[ENDPOINT_NAME + 256];
        /* Names and ARNs that passed the check hold nothing that JSON would want escaped. */
        int n = snprintf(body, sizeof body, "{\"SecretId\":\"%s\",\"VersionStage\":\"%s\"}",
                         s->secret_name, secret_stage_name(s->stage));

        expect(n > 0 && n < (int) sizeof body);
        if (credentials->session_token)
                headers[count++] = (struct sigv4_header){"X-Amz-Security-Token",
                                                         sealed_open(credentials->session_token)};
        expect(sigv4_sign(
                &(struct sigv4_request){.method = "POST",
                                        .path = s->at.path,
                                        .headers = headers,
                                        .header_count = count,
                                        .body = body,
                                        .body_size = (size_t) n,
                                        .region = s->region,
                                        .service = "secretsmanager",
                                        .access_key_id = credentials->access_key_id,
                                        .secret_access_key = credentials->secret_access_key,
                                        .when = time(NULL) + s->attempts.ahead_s},
                &signature));
        headers[count++] = (struct sigv4_header){"X-Amz-Date", signature.date};
        headers[count++] = (struct sigv4_header){
                "Authorization", (const char *) bytes_data(&signature.authorization)};
        post(s, headers, count, body, (size_t) n);
        sigv4_free(&signature);
}

static void got_credentials(void *arg, const struct aws_credentials *credentials,
                            const struct error *e)
{
        struct source_aws *s = arg;

        s->lookup = NULL;
        if (credentials)
                sign_and_send(s, credentials);
        else
                finish_unasked(s, e);
}

static bool choose_endpoint(struct source_aws *s, struct error *e);

static void got_region(void *arg, const char *region, const struct error *e)
{
        struct source_aws *s = arg;
        struct error wrong = {0};

        s->lookup = NULL;
        if (!region) {
                finish_unasked(s, e);
                return;
        }
        snprintf(s->region, sizeof s->region, "%s", region);
        if (choose_endpoint(s, &wrong)) {
                s->lookup = chain_get(s->chain, got_credentials, s);
        } else {
                s->region[0] = 0;
                finish_unasked(s, &wrong);
        }
}

static void attempt(struct source_aws *s)
{
        s->attempts.made++;
        if (s->region[0])
                s->lookup = chain_get(s->chain, got_credentials, s);
        else
                s->lookup = chain_get_region(s->chain, got_region, s);
}

void source_aws_fetch(struct source_aws *s, enum secret_stage stage,
                      void (*done)(void *arg, struct source_answer *answer), void *arg)
{
        expect(!s->done);
        s->done = done;
        s->arg = arg;
        s->stage = stage;
        attempts_begin(&s->attempts);
        loop_set(s->l, &s->over, loop_now(s->l) + FETCH_MS);
        attempt(s);
}

/* ---- Region and endpoint ---- */

/* Leaves it empty where the instance is to be asked. */
static bool choose_region(struct source_aws *s, const struct source_aws_options *o, struct error *e)
{
        struct arn arn = {0};
        const char *region = o->secret_region[0] ? o->secret_region : o->region;

        if (endpoint_looks_like_arn(o->secret_name)) {
                const char *wrong = endpoint_arn(o->secret_name, &arn);

                if (*wrong)
                        return error_set(e, "08001", "secret_name: %s", wrong);
                if (region[0] && strcmp(region, arn.region) != 0) {
                        error_set(e, "08001",
                                  "secret_name is an ARN in %s, but the region is set to %s",
                                  arn.region, region);
                        return error_hint(e,
                                          "Set secret_region to %s, or leave it out together with "
                                          "aws.region.",
                                          arn.region);
                }
                region = arn.region;
        }
        if (!region[0])
                region = chain_setting(s->chain, "region");
        if (!region[0] && !chain_has_instance(s->chain)) {
                error_set(e, "08001", "no AWS region for secret %s", o->secret_name);
                return error_hint(e, "Set secret_region, aws.region or AWS_REGION; the instance is "
                                     "not asked (AWS_EC2_METADATA_DISABLED).");
        }
        if (region[0] && !endpoint_is_region(region)) {
                error_set(e, "08001", "\"%.64s\" is not an AWS region", region);
                return error_hint(e, "Regions look like eu-west-1.");
        }
        snprintf(s->region, sizeof s->region, "%s", region);
        return true;
}

/* Not yet, where it depends on a region that is to be asked for. */
static bool choose_endpoint(struct source_aws *s, struct error *e)
{
        bool fips = chain_is_true(s->chain, "use_fips_endpoint");
        bool dual_stack = chain_is_true(s->chain, "use_dualstack_endpoint");
        const char *url = s->endpoint_url[0] ? s->endpoint_url
                                             : chain_endpoint(s->chain, CHAIN_SECRETS_MANAGER);

        if (url[0] && (fips || dual_stack)) {
                error_set(e, "08001",
                          "a custom endpoint and AWS_USE_%s_ENDPOINT exclude each other",
                          fips ? "FIPS" : "DUALSTACK");
                return error_hint(e, "Leave one of the two out.");
        }
        if (!url[0] && !s->region[0])
                return true;
        if (url[0] ? !endpoint_parse(url, &s->at, e)
                   : !endpoint_of_region(s->region, fips, dual_stack, &s->at, e))
                return false;
        free(s->url);
        s->url = own_format("http%s://%s%s", s->at.tls ? "s" : "", s->at.authority, s->at.path);
        chain_used_region(s->chain, s->region);
        return true;
}

struct source_aws *source_aws_new(struct loop *l, struct http *http, struct chain *chain,
                                  struct log *log, const struct source_aws_options *options,
                                  struct error *e)
{
        OWN(source_aws_free) struct source_aws *s = own_new(struct source_aws);

        s->l = l;
        s->http = http;
        s->chain = chain;
        s->log = log;
        deadline_init(&s->again, again_expired);
        deadline_init(&s->over, over_expired);
        s->endpoint_url = own_string(options->endpoint_url);
        if (!choose_region(s, options, e) || !choose_endpoint(s, e))
                return NULL;

        const char *ca_file = chain_setting(chain, "ca_bundle");

        s->secret_name = own_string(options->secret_name);
        s->ca_file = *ca_file ? own_string(ca_file) : NULL;
        s->host = own_string(options->endpoint.host);
        s->database = own_string(options->endpoint.database);
        s->fill = (struct document_endpoint){s->host, options->endpoint.port, s->database};
        s->attempts.dice = options->dice;
        s->attempts.dice_arg = options->dice_arg;
        return TAKE(s);
}

void source_aws_free(struct source_aws *s)
{
        if (!s)
                return;
        stop(s);
        free(s->secret_name);
        free(s->endpoint_url);
        free(s->url);
        free(s->ca_file);
        free(s->host);
        free(s->database);
        free(s);
}

const char *source_aws_region(const struct source_aws *s)
{
        return s->region;
}

uint64_t source_aws_calls(const struct source_aws *s)
{
        return s->calls;
}
