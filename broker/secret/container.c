#include "secret/container.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "base/own.h"
#include "io/resolve.h"
#include "secret/endpoint.h"
#include "secret/token.h"

enum {
        ROUNDS = 3, /* through all addresses, with a pause between two */
        PAUSE_MS = 1000,
        ANSWER_MS = 2000,
        ADDRESSES = 2, /* of one host, e.g. ::1 and 127.0.0.1 */
        ADDRESS_SIZE = 64,
        ANSWER_LIMIT = 65536,
};

#define RELATIVE_URI "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL_URI     "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN        "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define ECS_HOST     "http://169.254.170.2"

struct container {
        struct loop *l;
        struct http *http;
        struct lease *lease;
        struct error wrong; /* the variables are no good: nobody is asked */
        char *url, *target; /* target: path and query. Both may be as good as a key: never shown */
        struct endpoint at;
        char *token_path;

        /* One asking: it waits for a reading, a look-up, an exchange or `again`. */
        struct sealed *token; /* NULL = none is sent */
        struct token_reading *reading;
        struct resolve *resolving;
        struct http_exchange *exchange;
        struct deadline again;
        char addresses[ADDRESSES][ADDRESS_SIZE]; /* over http */
        unsigned address_count;                  /* 1 over https, where libcurl looks it up */
        unsigned attempts;
};

/* ---- The end of an asking ---- */

static void stop(struct container *c)
{
        token_cancel(TAKE(c->reading));
        resolve_cancel(TAKE(c->resolving));
        http_cancel(TAKE(c->exchange));
        loop_clear(c->l, &c->again);
}

static void fail(struct container *c, struct error *e)
{
        stop(c);
        error_context(e, "container endpoint %s", c->at.authority);
        lease_refuse(c->lease, e);
}

/* ---- Answers ---- */

static void attempt(struct container *c);

static void again_expired(struct deadline *d)
{
        attempt(container_of(d, struct container, again));
}

/* At once at the host's next address, after a pause from the first one on. */
static bool try_again(struct container *c)
{
        bool next = c->attempts % c->address_count != 0;

        if (c->attempts >= ROUNDS * c->address_count)
                return false;
        loop_set(c->l, &c->again, loop_now(c->l) + (next ? 0 : PAUSE_MS));
        return true;
}

static const char *remedy(int status)
{
        if (status == 401 || status == 403)
                return "Check " TOKEN_FILE " or " TOKEN ".";
        if (status == 429 || status >= 500)
                return "Check the agent that answers there; the broker goes on trying.";
        return "Check " RELATIVE_URI " or " FULL_URI
               ", and that a role is given to the task or pod.";
}

/* What the endpoint says of itself, unless it repeats the token. */
static void refused(struct container *c, const struct http_answer *a)
{
        const char *token = c->token ? sealed_open(c->token) : "";
        char complaint[AWS_CREDENTIALS_COMPLAINT];
        struct error e = {0};

        aws_credentials_complaint(a->body, a->body_size, complaint);
        if (*token && strstr(a->body, token))
                *complaint = 0;
        error_set(&e, "08001", "it answered with status %d%s%s", a->status, *complaint ? ": " : "",
                  complaint);
        error_hint(&e, "%s", remedy(a->status));
        fail(c, &e);
}

static void take_answer(struct container *c, const struct http_answer *a)
{
        struct aws_credentials credentials;
        struct error e = {0};

        if (aws_credentials_read(a->body, a->body_size, &credentials, &e)) {
                stop(c);
                lease_grant(c->lease, &credentials, a->date);
                return;
        }
        error_hint(&e, "Check what answers at that address.");
        fail(c, &e);
}

static void answered(void *arg, const struct http_answer *a, const struct error *e)
{
        struct container *c = arg;
        bool passes = a->status == 0 || a->status == 429 || a->status >= 500;
        struct error copy;

        c->exchange = NULL;
        if (a->status == 200) {
                take_answer(c, a);
        } else if (passes && try_again(c)) {
                return;
        } else if (a->status) {
                refused(c, a);
        } else {
                copy = *e;
                fail(c, &copy);
        }
}

/* ---- Requests ---- */

/* The URL with the address that was checked in the place of the name. */
static char *pinned_url(const struct container *c, const char *address)
{
        bool v6 = strchr(address, ':');

        if (c->at.port)
                return own_format("http://%s%s%s:%u%s", v6 ? "[" : "", address, v6 ? "]" : "",
                                  c->at.port, c->target);
        return own_format("http://%s%s%s%s", v6 ? "[" : "", address, v6 ? "]" : "", c->target);
}

static void attempt(struct container *c)
{
        const char *address = c->addresses[c->attempts++ % c->address_count];
        OWN(free) char *url = c->at.tls ? own_string(c->url) : pinned_url(c, address);
        struct http_header headers[] = {
                {"Host", c->at.authority},
                {"Accept", "application/json"},
                {"Authorization", c->token ? sealed_open(c->token) : ""},
        };

        c->exchange = http_start(c->http,
                                 &(struct http_request){.method = "GET",
                                                        .url = url,
                                                        .headers = headers,
                                                        .header_count = c->token ? 3 : 2,
                                                        .connect_timeout_ms = ANSWER_MS,
                                                        .timeout_ms = ANSWER_MS,
                                                        .answer_limit = ANSWER_LIMIT,
                                                        .no_proxy = true},
                                 answered, c);
}

/* ---- Where to ---- */

bool container_may_ask(const char *address)
{
        static const char *const reserved[] = {"169.254.170.2", "169.254.170.23"};
        struct in_addr v4, allowed;
        struct in6_addr v6, eks;

        if (inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6)) {
                memcpy(&v4, v6.s6_addr + 12, sizeof v4);
        } else if (inet_pton(AF_INET6, address, &v6) == 1) {
                inet_pton(AF_INET6, "fd00:ec2::23", &eks);
                return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_ARE_ADDR_EQUAL(&v6, &eks);
        } else if (inet_pton(AF_INET, address, &v4) != 1) {
                return false;
        }
        for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
                inet_pton(AF_INET, reserved[i], &allowed);
                if (v4.s_addr == allowed.s_addr)
                        return true;
        }
        return ntohl(v4.s_addr) >> 24 == 127;
}

/* Every address of the host must be allowed, not only those that are used: a name that leads to
 * others as well is not what was meant. */
static bool take_addresses(struct container *c, const struct resolve_addresses *addresses,
                           struct error *e)
{
        c->address_count = 0;
        for (size_t i = 0; i < addresses->count; i++) {
                if (!container_may_ask(addresses->text[i])) {
                        error_set(e, "08001",
                                  "http:// to %s would show the credentials to the network",
                                  addresses->text[i]);
                        return error_hint(e, "Use https://; http:// is for loopback addresses, "
                                             "169.254.170.2, 169.254.170.23 and fd00:ec2::23.");
                }
                if (c->address_count < ADDRESSES)
                        snprintf(c->addresses[c->address_count++], ADDRESS_SIZE, "%s",
                                 addresses->text[i]);
        }
        return true;
}

static void resolved(void *arg, const struct resolve_addresses *addresses, const struct error *e)
{
        struct container *c = arg;
        struct error copy = {0};

        c->resolving = NULL;
        if (!addresses)
                copy = *e;
        if (addresses && take_addresses(c, addresses, &copy))
                attempt(c);
        else
                fail(c, &copy);
}

static void find_it(struct container *c)
{
        c->attempts = 0;
        c->address_count = 1;
        if (c->at.tls)
                attempt(c);
        else
                c->resolving = resolve_start(c->l, c->at.host, ANSWER_MS, resolved, c);
}

/* ---- The token ---- */

static void token_came(void *arg, struct sealed *token, const struct error *e)
{
        struct container *c = arg;
        struct error copy = *e;

        c->reading = NULL;
        sealed_free(c->token);
        c->token = token;
        if (token)
                find_it(c);
        else
                fail(c, &copy);
}

/* The file is read for each asking: EKS writes a new token into it. */
static void ask(void *arg)
{
        struct container *c = arg;

        if (error_is_set(&c->wrong))
                lease_refuse(c->lease, &c->wrong);
        else if (c->token_path)
                c->reading = token_read(c->l, c->token_path, TOKEN_FILE, token_came, c);
        else
                find_it(c);
}

/* ---- Making one ---- */

static bool set_url(struct container *c, const char *relative, const char *full)
{
        const char *name = relative ? RELATIVE_URI : FULL_URI;
        const char *rest = "", *wrong = "";

        /* "@elsewhere/" behind the host would be another host. */
        if (relative && *relative != '/')
                wrong = "it does not begin with a slash";
        c->url = relative ? own_format(ECS_HOST "%s", relative) : own_string(full);
        if (!*wrong)
                wrong = endpoint_split(c->url, &c->at, &rest);
        if (!*wrong && (!aws_credentials_is_visible(rest, strlen(rest)) || strchr(rest, '#')))
                wrong = "it holds a character that has no place in it";
        c->target = own_format("%s%s", *rest == '/' ? "" : "/", rest);
        if (!*wrong)
                return true;
        error_set(&c->wrong, "08001", "%s: %s", name, wrong);
        return error_hint(&c->wrong, "ECS and EKS set it themselves; unset it elsewhere.");
}

struct container *container_new(struct loop *l, struct http *http,
                                const char *(*getenv_)(const char *name),
                                const struct lease_user *user)
{
        const char *relative = getenv_(RELATIVE_URI), *full = getenv_(FULL_URI);
        const char *token = getenv_(TOKEN), *path = getenv_(TOKEN_FILE);
        struct container *c;

        relative = relative && *relative ? relative : NULL;
        if (!relative && !(full && *full))
                return NULL;
        c = own_new(struct container);
        c->l = l;
        c->http = http;
        c->lease = lease_new(
                l, &(struct lease_provider){.name = "container endpoint", .ask = ask, .arg = c},
                user);
        deadline_init(&c->again, again_expired);
        if (!set_url(c, relative, full))
                return c;
        if (path && *path)
                c->token_path = own_string(path);
        else if (token && *token && token_check(token, strlen(token), TOKEN, &c->wrong))
                c->token = sealed_new(token, strlen(token));
        return c;
}

void container_free(struct container *c)
{
        if (!c)
                return;
        stop(c);
        lease_free(c->lease);
        sealed_free(c->token);
        free(c->url);
        free(c->target);
        free(c->token_path);
        free(c);
}

struct lease *container_lease(struct container *c)
{
        return c->lease;
}
