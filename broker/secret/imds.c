#include "secret/imds.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/own.h"
#include "secret/endpoint.h"

enum {
        TOKEN_MS = (21600 - 5) * 1000, /* TOKEN_TTL, and a little to spare */
        TIMEOUT_MS = 1000,             /* AWS's defaults for the two variables */
        ATTEMPTS = 1,
        PAUSE_MS = 100,
        ROLE_SIZE = 129,
        TOKEN_SIZE = 1024,
        ANSWER_LIMIT = 65536,
};

#define TOKEN_TTL     "21600" /* six hours, the longest that is granted */
#define DISABLED      "AWS_EC2_METADATA_DISABLED"
#define ENDPOINT      "AWS_EC2_METADATA_SERVICE_ENDPOINT"
#define ENDPOINT_MODE "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
#define TIMEOUT       "AWS_METADATA_SERVICE_TIMEOUT"
#define NUM_ATTEMPTS  "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
#define ROLES         "/latest/meta-data/iam/security-credentials/"

/* One asking is a walk through these. */
#define STEPS(X)                                                                                   \
        X(TOKEN, "its session token")                                                              \
        X(ROLE, "the instance's role")                                                             \
        X(KEYS, "the role's credentials")

enum step {
#define X(name, text) STEP_##name,
        STEPS(X)
#undef X
};

struct imds {
        struct loop *l;
        struct http *http;
        struct lease *lease;
        struct error wrong; /* the variables are no good: nobody is asked */
        char *base;         /* http://169.254.169.254 */
        unsigned timeout_ms, attempts_max;

        struct sealed *token;
        uint64_t token_until;
        char role[ROLE_SIZE];

        /* One asking: it waits for an exchange or `again`. */
        enum step step;
        unsigned attempts; /* of this step */
        bool other_token;  /* a token was refused once, and another one got */
        struct http_exchange *exchange;
        uint64_t began; /* the exchange */
        struct deadline again;
};

static const char *step_name(enum step step)
{
        static const char *const names[] = {
#define X(name, text) text,
                STEPS(X)
#undef X
        };

        return names[step];
}

/* ---- The end of an asking ---- */

static void stop(struct imds *m)
{
        http_cancel(TAKE(m->exchange));
        loop_clear(m->l, &m->again);
}

static void fail(struct imds *m, struct error *e)
{
        stop(m);
        error_context(e, "instance metadata: %s", step_name(m->step));
        lease_refuse(m->lease, e);
}

/* Whoever waits for the token's answer as long as that is in a container, mostly: its packets have
 * one hop too many to go, and are dropped on their way back. */
static void fail_unanswered(struct imds *m, const struct error *e)
{
        bool waited = loop_now(m->l) - m->began + 10 >= m->timeout_ms;
        struct error copy = *e;

        copy.hint[0] = 0;
        if (waited && m->step == STEP_TOKEN)
                error_hint(&copy, "On EC2 in a container, set HttpPutResponseHopLimit of the "
                                  "instance to 2. Elsewhere, give the broker other credentials, "
                                  "and set " DISABLED "=true.");
        else
                error_hint(&copy, "Elsewhere than on EC2, give the broker other credentials, and "
                                  "set " DISABLED "=true.");
        fail(m, &copy);
}

static void fail_refused(struct imds *m, int status)
{
        struct error e = {0};

        if (m->step == STEP_ROLE && (status == 404 || status == 200)) {
                error_set(&e, "08001", "no role is attached to the instance");
                error_hint(&e, "Attach an instance profile, or give the broker other credentials.");
        } else if (m->step == STEP_TOKEN) {
                error_set(&e, "08001", "status %d, so it does not offer IMDSv2", status);
                error_hint(&e, "Switch on the instance's metadata service, version 2.");
        } else {
                error_set(&e, "08001", "status %d", status);
                error_hint(&e, "Check the instance profile of this instance.");
        }
        fail(m, &e);
}

static void fail_strange(struct imds *m, const char *what)
{
        struct error e = {0};

        error_set(&e, "08001", "%s", what);
        error_hint(&e, "Check what answers at 169.254.169.254, or at " ENDPOINT ".");
        fail(m, &e);
}

/* ---- Steps ---- */

static void send(struct imds *m);

static void go(struct imds *m, enum step step)
{
        m->step = step;
        m->attempts = 0;
        send(m);
}

static void drop_token(struct imds *m)
{
        sealed_free(TAKE(m->token));
}

static void take_token(struct imds *m, const struct http_answer *a)
{
        drop_token(m);
        if (a->body_size == 0 || a->body_size > TOKEN_SIZE ||
            !aws_credentials_is_visible(a->body, a->body_size)) {
                fail_strange(m, "what it gave is no token");
                return;
        }
        m->token = sealed_new(a->body, a->body_size);
        m->token_until = m->began + TOKEN_MS;
        go(m, STEP_ROLE);
}

/* The first line; there is one role an instance. */
static void take_role(struct imds *m, const struct http_answer *a)
{
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
        size_t n = strcspn(a->body, "\r\n");

        if (n == 0) {
                fail_refused(m, a->status);
                return;
        }
        if (n >= sizeof m->role || strspn(a->body, allowed) < n) {
                fail_strange(m, "what it gave is no role's name");
                return;
        }
        memcpy(m->role, a->body, n);
        m->role[n] = 0;
        go(m, STEP_KEYS);
}

static void take_keys(struct imds *m, const struct http_answer *a)
{
        struct aws_credentials credentials;
        struct error e = {0};

        if (aws_credentials_read(a->body, a->body_size, &credentials, &e)) {
                stop(m);
                lease_grant(m->lease, &credentials, a->date);
                return;
        }
        error_hint(&e, "Check role %s: its trust policy must name ec2.amazonaws.com.", m->role);
        fail(m, &e);
}

static void again_expired(struct deadline *d)
{
        send(container_of(d, struct imds, again));
}

static bool try_again(struct imds *m)
{
        if (m->attempts >= m->attempts_max)
                return false;
        loop_set(m->l, &m->again, loop_now(m->l) + PAUSE_MS);
        return true;
}

/* A token may end before its time: the instance was moved, or its clock. */
static bool get_other_token(struct imds *m)
{
        if (m->other_token)
                return false;
        m->other_token = true;
        drop_token(m);
        go(m, STEP_TOKEN);
        return true;
}

static void answered(void *arg, const struct http_answer *a, const struct error *e)
{
        static void (*const take[])(struct imds *, const struct http_answer *) = {
                [STEP_TOKEN] = take_token, [STEP_ROLE] = take_role, [STEP_KEYS] = take_keys};
        struct imds *m = arg;
        bool passes = a->status == 0 || a->status == 429 || a->status >= 500;

        m->exchange = NULL;
        if (a->status == 200)
                take[m->step](m, a);
        else if (passes && try_again(m))
                return;
        else if (a->status == 0)
                fail_unanswered(m, e);
        else if (a->status != 401 || m->step == STEP_TOKEN || !get_other_token(m))
                fail_refused(m, a->status);
}

static void send(struct imds *m)
{
        bool put = m->step == STEP_TOKEN;
        OWN(free)
        char *url = own_format("%s%s%s", m->base, put ? "/latest/api/token" : ROLES,
                               m->step == STEP_KEYS ? m->role : "");
        struct http_header header = {"X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL};

        if (!put)
                header = (struct http_header){"X-aws-ec2-metadata-token", sealed_open(m->token)};
        m->attempts++;
        m->began = loop_now(m->l);
        m->exchange = http_start(m->http,
                                 &(struct http_request){.method = put ? "PUT" : "GET",
                                                        .url = url,
                                                        .headers = &header,
                                                        .header_count = 1,
                                                        .connect_timeout_ms = m->timeout_ms,
                                                        .timeout_ms = m->timeout_ms,
                                                        .answer_limit = ANSWER_LIMIT,
                                                        .no_proxy = true},
                                 answered, m);
}

static void ask(void *arg)
{
        struct imds *m = arg;

        m->other_token = false;
        if (error_is_set(&m->wrong))
                lease_refuse(m->lease, &m->wrong);
        else
                go(m, m->token && loop_now(m->l) < m->token_until ? STEP_ROLE : STEP_TOKEN);
}

/* ---- Making one ---- */

static const char *set(const char *(*getenv_)(const char *), const char *name)
{
        const char *value = getenv_(name);

        return value && *value ? value : NULL;
}

static bool bad(struct imds *m, const char *name, const char *what)
{
        error_set(&m->wrong, "08001", "%s: %s", name, what);
        return error_hint(&m->wrong, "Correct or unset it.");
}

static bool set_base(struct imds *m, const char *url, const char *mode)
{
        bool v6 = mode && strcasecmp(mode, "IPv6") == 0;
        struct endpoint at;
        const char *rest, *wrong;
        size_t n;

        if (!url && mode && !v6 && strcasecmp(mode, "IPv4") != 0)
                return bad(m, ENDPOINT_MODE, "expected IPv4 or IPv6");
        if (!url)
                url = v6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
        wrong = endpoint_split(url, &at, &rest);
        if (*wrong)
                return bad(m, ENDPOINT, wrong);
        if (!aws_credentials_is_visible(rest, strlen(rest)) || strpbrk(rest, "?#"))
                return bad(m, ENDPOINT, "not a plain path");
        for (n = strlen(url); url[n - 1] == '/';)
                n--;
        m->base = own_text(url, n);
        return true;
}

/* A number from `least` to `most`, in units of 1/scale; the default where nothing is set. */
static bool set_number(struct imds *m, const char *name, const char *text, double least,
                       double most, unsigned scale, unsigned *out)
{
        char *end;
        double value;

        if (!text)
                return true;
        value = strtod(text, &end);
        if (*end || !(value >= least && value <= most))
                return bad(m, name, "not a number that makes sense");
        *out = (unsigned) (value * scale);
        return true;
}

struct imds *imds_new(struct loop *l, struct http *http, const char *(*getenv_)(const char *name),
                      const struct lease_user *user)
{
        const char *disabled = set(getenv_, DISABLED);
        struct imds *m;

        if (disabled && strcasecmp(disabled, "true") == 0)
                return NULL;
        m = own_new(struct imds);
        m->l = l;
        m->http = http;
        m->timeout_ms = TIMEOUT_MS;
        m->attempts_max = ATTEMPTS;
        m->lease = lease_new(
                l,
                &(struct lease_provider){
                        .name = "instance metadata", .ask = ask, .arg = m, .outlives = true},
                user);
        deadline_init(&m->again, again_expired);
        if (set_base(m, set(getenv_, ENDPOINT), set(getenv_, ENDPOINT_MODE)) &&
            set_number(m, TIMEOUT, set(getenv_, TIMEOUT), 0.1, 10, 1000, &m->timeout_ms))
                set_number(m, NUM_ATTEMPTS, set(getenv_, NUM_ATTEMPTS), 1, 10, 1, &m->attempts_max);
        return m;
}

void imds_free(struct imds *m)
{
        if (!m)
                return;
        stop(m);
        lease_free(m->lease);
        drop_token(m);
        free(m->base);
        free(m);
}

struct lease *imds_lease(struct imds *m)
{
        return m->lease;
}
