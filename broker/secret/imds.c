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
        JUST_NOW_MS = 1000, /* so long a failure answers all who ask for the region */
};

#define TOKEN_TTL     "21600" /* six hours, the longest that is granted */
#define DISABLED      "AWS_EC2_METADATA_DISABLED"
#define ENDPOINT      "AWS_EC2_METADATA_SERVICE_ENDPOINT"
#define ENDPOINT_MODE "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
#define TIMEOUT       "AWS_METADATA_SERVICE_TIMEOUT"
#define NUM_ATTEMPTS  "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
#define ROLES         "/latest/meta-data/iam/security-credentials/"
#define REGION        "/latest/meta-data/placement/region"

/* One asking is a walk through these: to the keys, or to the region. */
#define STEPS(X)                                                                                   \
        X(TOKEN, "its session token")                                                              \
        X(ROLE, "the instance's role")                                                             \
        X(KEYS, "the role's credentials")                                                          \
        X(REGION, "the instance's region")

enum step {
#define X(name, text) STEP_##name,
        STEPS(X)
#undef X
};

/* It waits for an exchange or `again`. */
struct walk {
        struct imds *imds;
        bool to_region;
        struct sealed *token;
        uint64_t token_until;
        enum step step;
        unsigned attempts; /* of this step */
        bool other_token;  /* a token was refused once, and another one got */
        struct http_exchange *exchange;
        uint64_t began; /* the exchange */
        struct deadline again;
};

struct imds {
        struct loop *l;
        struct http *http;
        struct lease *lease;
        struct lease_user user;
        struct error wrong; /* the variables are no good: nobody is asked */
        char *base;         /* http://169.254.169.254 */
        unsigned timeout_ms, attempts_max;

        char role[ROLE_SIZE];
        char region[ENDPOINT_REGION];
        bool asking_region;
        struct error region_error; /* of the last asking, if it failed */
        uint64_t region_failed_at;
        struct walk keys_walk, region_walk;
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

static void stop(struct walk *w)
{
        http_cancel(TAKE(w->exchange));
        loop_clear(w->imds->l, &w->again);
}

static void refuse_region(struct imds *m, const struct error *e)
{
        m->asking_region = false;
        m->region_error = *e;
        m->region_failed_at = loop_now(m->l);
        m->user.settled(m->user.arg);
}

static void fail(struct walk *w, struct error *e)
{
        stop(w);
        error_context(e, "instance metadata: %s", step_name(w->step));
        if (w->to_region)
                refuse_region(w->imds, e);
        else
                lease_refuse(w->imds->lease, e);
}

/* Whoever waits for the token's answer as long as that is in a container, mostly: its packets have
 * one hop too many to go, and are dropped on their way back. */
static void fail_unanswered(struct walk *w, const struct error *e)
{
        bool waited = loop_now(w->imds->l) - w->began + 10 >= w->imds->timeout_ms;
        struct error copy = *e;

        copy.hint[0] = 0;
        if (waited && w->step == STEP_TOKEN)
                error_hint(&copy, "On EC2 in a container, set HttpPutResponseHopLimit of the "
                                  "instance to 2. Elsewhere, give the broker other credentials, "
                                  "and set " DISABLED "=true.");
        else
                error_hint(&copy, "Elsewhere than on EC2, give the broker other credentials, and "
                                  "set " DISABLED "=true.");
        fail(w, &copy);
}

static void fail_refused(struct walk *w, int status)
{
        struct error e = {0};

        if (w->step == STEP_ROLE && (status == 404 || status == 200)) {
                error_set(&e, "08001", "no role is attached to the instance");
                error_hint(&e, "Attach an instance profile, or give the broker other credentials.");
        } else if (w->step == STEP_TOKEN) {
                error_set(&e, "08001", "status %d, so it does not offer IMDSv2", status);
                error_hint(&e, "Switch on the instance's metadata service, version 2.");
        } else {
                error_set(&e, "08001", "status %d", status);
                error_hint(&e, "Check the instance profile of this instance.");
        }
        fail(w, &e);
}

static void fail_strange(struct walk *w, const char *what)
{
        struct error e = {0};

        error_set(&e, "08001", "%s", what);
        error_hint(&e, "Check what answers at 169.254.169.254, or at " ENDPOINT ".");
        fail(w, &e);
}

/* ---- Steps ---- */

static void send(struct walk *w);

static void go(struct walk *w, enum step step)
{
        w->step = step;
        w->attempts = 0;
        send(w);
}

static void drop_token(struct walk *w)
{
        sealed_free(TAKE(w->token));
}

static void take_token(struct walk *w, const struct http_answer *a)
{
        drop_token(w);
        if (a->body_size == 0 || a->body_size > TOKEN_SIZE ||
            !aws_credentials_is_visible(a->body, a->body_size)) {
                fail_strange(w, "what it gave is no token");
                return;
        }
        w->token = sealed_new(a->body, a->body_size);
        w->token_until = w->began + TOKEN_MS;
        go(w, w->to_region ? STEP_REGION : STEP_ROLE);
}

/* The first line; there is one role an instance. */
static void take_role(struct walk *w, const struct http_answer *a)
{
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
        size_t n = strcspn(a->body, "\r\n");

        if (n == 0) {
                fail_refused(w, a->status);
                return;
        }
        if (n >= sizeof w->imds->role || strspn(a->body, allowed) < n) {
                fail_strange(w, "what it gave is no role's name");
                return;
        }
        memcpy(w->imds->role, a->body, n);
        w->imds->role[n] = 0;
        go(w, STEP_KEYS);
}

static void take_keys(struct walk *w, const struct http_answer *a)
{
        struct aws_credentials credentials;
        struct error e = {0};

        if (aws_credentials_read(a->body, a->body_size, &credentials, &e)) {
                stop(w);
                lease_grant(w->imds->lease, &credentials, a->date);
                return;
        }
        error_hint(&e, "Check role %s: its trust policy must name ec2.amazonaws.com.",
                   w->imds->role);
        fail(w, &e);
}

static void take_region(struct walk *w, const struct http_answer *a)
{
        struct imds *m = w->imds;
        size_t n = strcspn(a->body, "\r\n");

        if (n < sizeof m->region)
                memcpy(m->region, a->body, n);
        m->region[n < sizeof m->region ? n : 0] = 0;
        if (!endpoint_is_region(m->region)) {
                m->region[0] = 0;
                fail_strange(w, "what it gave is no region");
                return;
        }
        stop(w);
        m->asking_region = false;
        m->user.settled(m->user.arg);
}

static void again_expired(struct deadline *d)
{
        send(container_of(d, struct walk, again));
}

static bool try_again(struct walk *w)
{
        if (w->attempts >= w->imds->attempts_max)
                return false;
        loop_set(w->imds->l, &w->again, loop_now(w->imds->l) + PAUSE_MS);
        return true;
}

/* A token may end before its time: the instance was moved, or its clock. */
static bool get_other_token(struct walk *w)
{
        if (w->other_token)
                return false;
        w->other_token = true;
        drop_token(w);
        go(w, STEP_TOKEN);
        return true;
}

static void answered(void *arg, const struct http_answer *a, const struct error *e)
{
        static void (*const take[])(struct walk *,
                                    const struct http_answer *) = {[STEP_TOKEN] = take_token,
                                                                   [STEP_ROLE] = take_role,
                                                                   [STEP_KEYS] = take_keys,
                                                                   [STEP_REGION] = take_region};
        struct walk *w = arg;
        bool passes = a->status == 0 || a->status == 429 || a->status >= 500;

        w->exchange = NULL;
        if (a->status == 200)
                take[w->step](w, a);
        else if (passes && try_again(w))
                return;
        else if (a->status == 0)
                fail_unanswered(w, e);
        else if (a->status != 401 || w->step == STEP_TOKEN || !get_other_token(w))
                fail_refused(w, a->status);
}

static char *own_url(const struct walk *w)
{
        static const char *const paths[] = {[STEP_TOKEN] = "/latest/api/token",
                                            [STEP_ROLE] = ROLES,
                                            [STEP_KEYS] = ROLES,
                                            [STEP_REGION] = REGION};

        return own_format("%s%s%s", w->imds->base, paths[w->step],
                          w->step == STEP_KEYS ? w->imds->role : "");
}

static void send(struct walk *w)
{
        struct imds *m = w->imds;
        bool put = w->step == STEP_TOKEN;
        OWN(free) char *url = own_url(w);
        struct http_header header = {"X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL};

        if (!put)
                header = (struct http_header){"X-aws-ec2-metadata-token", sealed_open(w->token)};
        w->attempts++;
        w->began = loop_now(m->l);
        w->exchange = http_start(m->http,
                                 &(struct http_request){.method = put ? "PUT" : "GET",
                                                        .url = url,
                                                        .headers = &header,
                                                        .header_count = 1,
                                                        .connect_timeout_ms = m->timeout_ms,
                                                        .timeout_ms = m->timeout_ms,
                                                        .answer_limit = ANSWER_LIMIT,
                                                        .no_proxy = true},
                                 answered, w);
}

static void begin(struct walk *w)
{
        w->other_token = false;
        if (w->token && loop_now(w->imds->l) < w->token_until)
                go(w, w->to_region ? STEP_REGION : STEP_ROLE);
        else
                go(w, STEP_TOKEN);
}

static void ask(void *arg)
{
        struct imds *m = arg;

        if (error_is_set(&m->wrong))
                lease_refuse(m->lease, &m->wrong);
        else
                begin(&m->keys_walk);
}

enum lease_state imds_region(struct imds *m, const char **region, struct error *e)
{
        bool just_now = error_is_set(&m->region_error) &&
                        loop_now(m->l) < m->region_failed_at + JUST_NOW_MS;

        *region = m->region;
        if (m->region[0])
                return LEASE_GOOD;
        if (error_is_set(&m->wrong) || just_now) {
                *e = error_is_set(&m->wrong) ? m->wrong : m->region_error;
                return LEASE_FAILED;
        }
        if (!m->asking_region) {
                m->asking_region = true;
                begin(&m->region_walk);
        }
        return LEASE_WAITING;
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

static void init_walk(struct walk *w, struct imds *m, bool to_region)
{
        w->imds = m;
        w->to_region = to_region;
        deadline_init(&w->again, again_expired);
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
        m->user = *user;
        init_walk(&m->keys_walk, m, false);
        init_walk(&m->region_walk, m, true);
        if (set_base(m, set(getenv_, ENDPOINT), set(getenv_, ENDPOINT_MODE)) &&
            set_number(m, TIMEOUT, set(getenv_, TIMEOUT), 0.1, 10, 1000, &m->timeout_ms))
                set_number(m, NUM_ATTEMPTS, set(getenv_, NUM_ATTEMPTS), 1, 10, 1, &m->attempts_max);
        return m;
}

void imds_free(struct imds *m)
{
        if (!m)
                return;
        stop(&m->keys_walk);
        stop(&m->region_walk);
        drop_token(&m->keys_walk);
        drop_token(&m->region_walk);
        lease_free(m->lease);
        free(m->base);
        free(m);
}

struct lease *imds_lease(struct imds *m)
{
        return m->lease;
}
