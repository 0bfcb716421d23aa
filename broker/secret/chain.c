#include "secret/chain.h"

#include <string.h>
#include <strings.h>
#include "io/work.h"
#include "secret/container.h"
#include "secret/imds.h"
#include "secret/shared.h"

/* Files younger than this are not read again for a lookup: fetches come in bursts in a rotation. */
enum { FRESH_MS = 5000 };

struct chain_lookup {
        struct list link;
        void (*done)(void *arg, const struct aws_credentials *credentials, const struct error *e);
        void *arg;
};

/* A reading of the files on the thread pool; it can't be taken back, so it outlives the chain. */
struct reading {
        struct chain *chain; /* NULL = nobody waits any more */
        struct shared *shared;
};

struct chain {
        struct loop *l;
        const char *(*getenv_)(const char *name);
        struct list lookups;
        struct deferred answer;
        struct reading *reading;
        struct shared *shared; /* what was read last; NULL before that and when forgotten */
        uint64_t read_at;
        struct aws_credentials environment; /* access_key_id NULL = not there */
        struct error environment_error;
        bool forgotten; /* the service refused what the files said */
        struct container *container;
        struct imds *imds; /* not where there is a container endpoint */
};

static const char *process_getenv(const char *name)
{
        return getenv(name);
}

/* Set, and not to nothing. */
static const char *variable(const struct chain *c, const char *name)
{
        const char *value = c->getenv_(name);

        return value && *value ? value : NULL;
}

/* ---- The environment ---- */

/* Read once: nobody changes the environment of a process that runs. */
static void read_environment(struct chain *c)
{
        const char *id = variable(c, "AWS_ACCESS_KEY_ID");
        const char *key = variable(c, "AWS_SECRET_ACCESS_KEY");
        const char *token = variable(c, "AWS_SESSION_TOKEN");

        if (!id && !key)
                return;
        if (!id || !key) {
                error_set(&c->environment_error, "08001", "environment: %s is set, %s is not",
                          id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                          id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
                error_hint(&c->environment_error, "Set both, or none.");
                return;
        }
        c->environment.access_key_id = own_string(id);
        c->environment.secret_access_key = sealed_new(key, strlen(key));
        if (token)
                c->environment.session_token = sealed_new(token, strlen(token));
        c->environment.provider = "environment";
}

/* ---- Answering ---- */

static enum lease_state not_here(struct error *e, const char *what)
{
        error_set(e, "08001",
                  "AWS credentials: %s is set, and that provider is not in this version", what);
        error_hint(e, "Give the broker AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile with "
                      "static keys, or a role of its task, pod or instance.");
        return LEASE_FAILED;
}

/* `metadata` is what the instance's metadata said; NULL = they are switched off. */
static enum lease_state nothing_found(const struct chain *c, const struct error *metadata,
                                      struct error *e)
{
        const struct shared *s = c->shared;

        error_set(e, "08001",
                  "no AWS credentials: neither AWS_ACCESS_KEY_ID in the environment nor profile %s "
                  "in %s or %s has any; %s",
                  s->profile, s->credentials_path ? s->credentials_path : "~/.aws/credentials",
                  s->config_path ? s->config_path : "~/.aws/config",
                  metadata ? metadata->text
                           : "instance metadata is switched off (AWS_EC2_METADATA_DISABLED)");
        error_hint(e, "%s",
                   metadata ? metadata->hint
                            : "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile "
                              "with AWS_PROFILE.");
        return LEASE_FAILED;
}

/* The last ones: where the container's variables are set, the instance's role is not meant. */
static enum lease_state choose_lease(struct chain *c, struct aws_credentials *out, struct error *e)
{
        struct error metadata = {0};
        enum lease_state state;

        if (c->container) {
                state = lease_look(container_lease(c->container), out, e);
                if (state == LEASE_FAILED)
                        error_context(e, "AWS credentials");
                return state;
        }
        if (!c->imds)
                return nothing_found(c, NULL, e);
        state = lease_look(imds_lease(c->imds), out, &metadata);
        return state == LEASE_FAILED ? nothing_found(c, &metadata, e) : state;
}

/* The chain itself: the first that has credentials, or that should have and can't, ends it. */
static enum lease_state choose(struct chain *c, struct aws_credentials *out, struct error *e)
{
        const struct shared *s = c->shared;

        if (error_is_set(&c->environment_error)) {
                *e = c->environment_error;
                return LEASE_FAILED;
        }
        if (c->environment.access_key_id) {
                *out = c->environment;
                return LEASE_GOOD;
        }
        if (variable(c, "AWS_WEB_IDENTITY_TOKEN_FILE"))
                return not_here(e, "AWS_WEB_IDENTITY_TOKEN_FILE");
        if (s->offer == SHARED_KEYS) {
                *out = (struct aws_credentials){s->access_key_id, s->secret_access_key,
                                                s->session_token, "shared file", 0};
                return LEASE_GOOD;
        }
        if (s->offer == SHARED_REFUSED) {
                *e = s->error;
                error_context(e, "AWS credentials");
                return LEASE_FAILED;
        }
        return choose_lease(c, out, e);
}

static void answer_all(struct deferred *d)
{
        struct chain *c = container_of(d, struct chain, answer);
        struct aws_credentials credentials = {0};
        struct error e = {0};
        enum lease_state state;
        struct list lookups, *link;

        /* Without anyone who waits nobody is asked: a lease renews itself. */
        if (list_empty(&c->lookups))
                return;
        state = choose(c, &credentials, &e);
        if (state == LEASE_WAITING)
                return;
        /* Those that come while these are answered wait for the next time. */
        list_init(&lookups);
        while ((link = list_pop_front(&c->lookups)))
                list_push_back(&lookups, link);
        while ((link = list_pop_front(&lookups))) {
                struct chain_lookup *x = list_item(link, struct chain_lookup, link);
                void (*done)(void *, const struct aws_credentials *, const struct error *) =
                        x->done;
                void *arg = x->arg;

                free(x);
                done(arg, state == LEASE_GOOD ? &credentials : NULL,
                     state == LEASE_GOOD ? NULL : &e);
        }
}

static void settled(void *arg)
{
        struct chain *c = arg;

        loop_defer(c->l, &c->answer);
}

/* ---- The files ---- */

static void read_files(void *arg)
{
        struct reading *r = arg;

        shared_read(r->shared);
}

/* A file that can't be read just now (someone is writing it) doesn't take away good keys, unless
 * those were refused. */
static void keep_better(struct chain *c, struct shared *s)
{
        bool keep = c->shared && c->shared->offer == SHARED_KEYS && s->offer == SHARED_REFUSED &&
                    !c->forgotten;

        c->read_at = loop_now(c->l);
        c->forgotten = false;
        if (keep) {
                shared_free(s);
                return;
        }
        shared_free(c->shared);
        c->shared = s;
}

static void files_read(void *arg)
{
        struct reading *r = arg;
        struct chain *c = r->chain;

        if (c) {
                c->reading = NULL;
                keep_better(c, TAKE(r->shared));
                loop_defer(c->l, &c->answer);
        }
        shared_free(r->shared);
        free(r);
}

static void read_again(struct chain *c)
{
        struct reading *r = own_new(struct reading);

        r->chain = c;
        r->shared = shared_again(c->shared);
        c->reading = r;
        work_submit(c->l, read_files, files_read, r);
}

/* ---- From outside ---- */

struct chain *chain_new(struct loop *l, struct http *http, const char *(*getenv_)(const char *name))
{
        struct chain *c = own_new(struct chain);
        struct lease_user user = {.settled = settled, .arg = c};

        c->l = l;
        c->getenv_ = getenv_ ? getenv_ : process_getenv;
        list_init(&c->lookups);
        deferred_init(&c->answer, answer_all);
        read_environment(c);
        c->shared = shared_new(c->getenv_);
        shared_read(c->shared);
        c->read_at = loop_now(l);
        c->container = container_new(l, http, c->getenv_, &user);
        if (!c->container)
                c->imds = imds_new(l, http, c->getenv_, &user);
        return c;
}

void chain_free(struct chain *c)
{
        struct chain_lookup *x;

        if (!c)
                return;
        list_each(x, &c->lookups, struct chain_lookup, link) free(x);
        deferred_clear(&c->answer);
        if (c->reading)
                c->reading->chain = NULL;
        container_free(c->container);
        imds_free(c->imds);
        shared_free(c->shared);
        aws_credentials_free(&c->environment);
        free(c);
}

struct chain_lookup *chain_get(struct chain *c,
                               void (*done)(void *arg, const struct aws_credentials *credentials,
                                            const struct error *e),
                               void *arg)
{
        struct chain_lookup *x = own_new(struct chain_lookup);
        bool fresh = loop_now(c->l) - c->read_at < FRESH_MS && !c->forgotten;

        x->done = done;
        x->arg = arg;
        list_push_back(&c->lookups, &x->link);
        if (c->reading)
                return x;
        if (fresh || c->environment.access_key_id)
                loop_defer(c->l, &c->answer);
        else
                read_again(c);
        return x;
}

void chain_cancel(struct chain_lookup *x)
{
        if (!x)
                return;
        list_remove(&x->link);
        free(x);
}

void chain_forget(struct chain *c)
{
        c->forgotten = true;
        if (c->container)
                lease_forget(container_lease(c->container));
        if (c->imds)
                lease_forget(imds_lease(c->imds));
}

const char *chain_setting(struct chain *c, const char *key)
{
        static const struct {
                const char *key, *variables[2];
        } by_variable[] = {
                {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}},
                {"endpoint_url", {"AWS_ENDPOINT_URL"}},
                {"ca_bundle", {"AWS_CA_BUNDLE"}},
                {"use_fips_endpoint", {"AWS_USE_FIPS_ENDPOINT"}},
                {"use_dualstack_endpoint", {"AWS_USE_DUALSTACK_ENDPOINT"}},
                {"ignore_configured_endpoint_urls", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}},
        };

        for (size_t i = 0; i < sizeof by_variable / sizeof *by_variable; i++)
                for (int j = 0; j < 2 && strcmp(by_variable[i].key, key) == 0; j++)
                        if (by_variable[i].variables[j] && variable(c, by_variable[i].variables[j]))
                                return variable(c, by_variable[i].variables[j]);
        for (int i = 0; i < SHARED_COUNT; i++)
                if (strcmp(shared_setting_name((enum shared_setting) i), key) == 0)
                        return c->shared->settings[i] ? c->shared->settings[i] : "";
        return "";
}

const char *chain_endpoint(struct chain *c)
{
        const char *of_service = variable(c, "AWS_ENDPOINT_URL_SECRETS_MANAGER");
        const char *of_all = variable(c, "AWS_ENDPOINT_URL");

        if (strcasecmp(chain_setting(c, "ignore_configured_endpoint_urls"), "true") == 0)
                return "";
        if (of_service)
                return of_service;
        if (of_all)
                return of_all;
        if (c->shared->service_endpoint)
                return c->shared->service_endpoint;
        return chain_setting(c, "endpoint_url");
}
