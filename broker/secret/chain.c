#include "secret/chain.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "io/work.h"
#include "secret/chain_environment.h"
#include "secret/chain_settings.h"
#include "secret/chain_supply.h"
#include "secret/container.h"
#include "secret/endpoint.h"
#include "secret/imds.h"

/* Files younger than this are not read again for a lookup: fetches come in bursts in a rotation. */
enum { FRESH_MS = 5000 };

struct chain_lookup {
        struct list link;
        void (*done)(void *arg, const struct aws_credentials *credentials, const struct error *e);
        void (*region_done)(void *arg, const char *region, const struct error *e); /* or this one */
        void *arg;
};

/* A reading of the files on the thread pool; it can't be taken back, so it outlives the chain. */
struct reading {
        struct chain *chain; /* NULL = nobody waits any more */
        struct shared *shared;
};

struct chain {
        struct loop *l;
        struct http *http;
        const char *(*getenv_)(const char *name);
        struct list lookups, region_lookups;
        struct deferred answer;
        struct reading *reading;
        struct shared *shared; /* what was read last; NULL before that and when forgotten */
        uint64_t read_at;
        struct chain_environment environment;
        struct chain_supply of_keys, of_web_identity, of_profile, of_source;
        bool forgotten; /* the service refused what the files said */
        struct container *container;
        struct imds *imds; /* NULL = switched off */
        char used_region[ENDPOINT_REGION];
};

static const char *process_getenv(const char *name)
{
        return getenv(name);
}

/* ---- Choosing ---- */

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

/* A profile whose role is assumed with them means them for that and for nothing else. */
static bool has_keys_of_its_own(const struct chain *c)
{
        bool for_role =
                c->shared->way.offer == SHARED_ROLE && c->shared->way.source == SHARED_ENVIRONMENT;

        return c->environment.keys.offer != SHARED_NOTHING && !for_role;
}

/* The chain itself: the first that has credentials, or that should have and can't, ends it. */
static enum lease_state choose(struct chain *c, struct aws_credentials *out, struct error *e)
{
        const struct {
                const struct shared_way *way;
                struct chain_supply *supply;
        } links[] = {{&c->environment.keys, &c->of_keys},
                     {&c->environment.web_identity, &c->of_web_identity},
                     {&c->shared->way, &c->of_profile}};

        for (size_t i = has_keys_of_its_own(c) ? 0 : 1; i < sizeof links / sizeof *links; i++)
                if (links[i].way->offer != SHARED_NOTHING) {
                        enum lease_state state =
                                chain_supply_look(links[i].supply, links[i].way, out, e);

                        if (state == LEASE_FAILED)
                                error_context(e, "AWS credentials");
                        return state;
                }
        return choose_lease(c, out, e);
}

static enum lease_state choose_region(struct chain *c, const char **region, struct error *e)
{
        *region = chain_setting(c, "region");
        if (**region)
                return LEASE_GOOD;
        if (c->imds) {
                enum lease_state state = imds_region(c->imds, region, e);

                if (state == LEASE_FAILED) {
                        error_context(e, "no AWS region is set");
                        error_hint(e, "Set secret_region, aws.region or AWS_REGION.");
                }
                return state;
        }
        error_set(e, "08001", "no AWS region is set");
        error_hint(e, "Set secret_region, aws.region or AWS_REGION.");
        return LEASE_FAILED;
}

/* ---- A role's source ---- */

static enum lease_state no_source(struct error *e, const char *what)
{
        error_set(e, "08001", "credential_source: %s", what);
        error_hint(e, "Set what it names, or name another one.");
        return LEASE_FAILED;
}

static enum lease_state source(void *arg, struct aws_credentials *out, struct error *e)
{
        struct chain *c = arg;

        switch (c->shared->way.source) {
        case SHARED_ENVIRONMENT:
                return c->environment.keys.offer != SHARED_NOTHING
                               ? chain_supply_look(&c->of_keys, &c->environment.keys, out, e)
                               : no_source(e, "AWS_ACCESS_KEY_ID is not in the environment");
        case SHARED_CONTAINER:
                return c->container ? lease_look(container_lease(c->container), out, e)
                                    : no_source(e, "no container endpoint is in the environment");
        case SHARED_INSTANCE:
                return c->imds ? lease_look(imds_lease(c->imds), out, e)
                               : no_source(e, "instance metadata is switched off");
        default:
                return chain_supply_look(&c->of_source, &c->shared->source, out, e);
        }
}

static void source_refused(void *arg)
{
        struct chain *c = arg;

        switch (c->shared->way.source) {
        case SHARED_ENVIRONMENT:
                break;
        case SHARED_CONTAINER:
                if (c->container)
                        lease_forget(container_lease(c->container));
                break;
        case SHARED_INSTANCE:
                if (c->imds)
                        lease_forget(imds_lease(c->imds));
                break;
        default:
                chain_supply_forget(&c->of_source);
        }
}

static bool sts(void *arg, struct role_sts *out, struct error *e)
{
        struct chain *c = arg;

        return chain_settings_sts(&(struct chain_settings){c->getenv_, c->shared}, c->used_region,
                                  out, e);
}

static void settled(void *arg)
{
        struct chain *c = arg;

        chain_supply_source_settled(&c->of_profile);
        loop_defer(c->l, &c->answer);
}

/* New ones where the files say something else than before. */
static void set_supplies(struct chain *c)
{
        struct role_owner owner = {sts, source, source_refused, c};
        struct lease_user user = {.settled = settled, .arg = c};

        chain_supply_set(&c->of_profile, c->l, c->http, &c->shared->way, &owner, &user);
        chain_supply_set(&c->of_source, c->l, c->http, &c->shared->source, &owner, &user);
}

/* ---- Answering ---- */

/* Those that come while these are answered wait for the next time. */
static void take_all(struct list *from, struct list *into)
{
        struct list *link;

        list_init(into);
        while ((link = list_pop_front(from)))
                list_push_back(into, link);
}

static void answer_lookups(struct chain *c)
{
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
        take_all(&c->lookups, &lookups);
        while ((link = list_pop_front(&lookups))) {
                struct chain_lookup x = *list_item(link, struct chain_lookup, link);

                free(list_item(link, struct chain_lookup, link));
                x.done(x.arg, state == LEASE_GOOD ? &credentials : NULL,
                       state == LEASE_GOOD ? NULL : &e);
        }
}

static void answer_region_lookups(struct chain *c)
{
        const char *region;
        struct error e = {0};
        enum lease_state state;
        struct list lookups, *link;

        if (list_empty(&c->region_lookups))
                return;
        state = choose_region(c, &region, &e);
        if (state == LEASE_WAITING)
                return;
        take_all(&c->region_lookups, &lookups);
        while ((link = list_pop_front(&lookups))) {
                struct chain_lookup x = *list_item(link, struct chain_lookup, link);

                free(list_item(link, struct chain_lookup, link));
                x.region_done(x.arg, state == LEASE_GOOD ? region : NULL,
                              state == LEASE_GOOD ? NULL : &e);
        }
}

static void answer_all(struct deferred *d)
{
        struct chain *c = container_of(d, struct chain, answer);

        answer_region_lookups(c);
        answer_lookups(c);
}

/* ---- The files ---- */

static void read_files(void *arg)
{
        struct reading *r = arg;

        shared_read(r->shared);
}

/* A file that can't be read just now (someone is writing it) takes nothing away that was good,
 * unless it was refused. The providers stay as long as the files lead to the same ones. */
static void keep_better(struct chain *c, struct shared *s)
{
        enum shared_offer had = c->shared->way.offer;
        bool keep = had != SHARED_NOTHING && had != SHARED_REFUSED &&
                    s->way.offer == SHARED_REFUSED && !c->forgotten;
        bool same = shared_same(c->shared, s);

        c->read_at = loop_now(c->l);
        c->forgotten = false;
        if (keep) {
                shared_free(s);
                return;
        }
        shared_free(c->shared);
        c->shared = s;
        if (!same)
                set_supplies(c);
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
        c->http = http;
        c->getenv_ = getenv_ ? getenv_ : process_getenv;
        list_init(&c->lookups);
        list_init(&c->region_lookups);
        deferred_init(&c->answer, answer_all);
        chain_environment_read(&c->environment, c->getenv_);
        c->shared = shared_new(c->getenv_);
        shared_read(c->shared);
        c->read_at = loop_now(l);
        c->container = container_new(l, http, c->getenv_, &user);
        c->imds = imds_new(l, http, c->getenv_, &user);
        chain_supply_set(&c->of_web_identity, l, http, &c->environment.web_identity,
                         &(struct role_owner){.sts = sts, .arg = c}, &user);
        set_supplies(c);
        return c;
}

void chain_free(struct chain *c)
{
        struct chain_lookup *x;

        if (!c)
                return;
        list_each(x, &c->lookups, struct chain_lookup, link) free(x);
        list_each(x, &c->region_lookups, struct chain_lookup, link) free(x);
        deferred_clear(&c->answer);
        if (c->reading)
                c->reading->chain = NULL;
        chain_supply_clear(&c->of_web_identity);
        chain_supply_clear(&c->of_profile);
        chain_supply_clear(&c->of_source);
        container_free(c->container);
        imds_free(c->imds);
        chain_environment_clear(&c->environment);
        shared_free(c->shared);
        free(c);
}

static void begin(struct chain *c, struct chain_lookup *x, struct list *lookups)
{
        bool fresh = loop_now(c->l) - c->read_at < FRESH_MS && !c->forgotten;

        list_push_back(lookups, &x->link);
        if (c->reading)
                return;
        if (fresh || has_keys_of_its_own(c))
                loop_defer(c->l, &c->answer);
        else
                read_again(c);
}

struct chain_lookup *chain_get(struct chain *c,
                               void (*done)(void *arg, const struct aws_credentials *credentials,
                                            const struct error *e),
                               void *arg)
{
        struct chain_lookup *x = own_new(struct chain_lookup);

        x->done = done;
        x->arg = arg;
        begin(c, x, &c->lookups);
        return x;
}

struct chain_lookup *
chain_get_region(struct chain *c,
                 void (*done)(void *arg, const char *region, const struct error *e), void *arg)
{
        struct chain_lookup *x = own_new(struct chain_lookup);

        x->region_done = done;
        x->arg = arg;
        begin(c, x, &c->region_lookups);
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
        chain_supply_forget(&c->of_web_identity);
        chain_supply_forget(&c->of_profile);
        if (c->container)
                lease_forget(container_lease(c->container));
        if (c->imds)
                lease_forget(imds_lease(c->imds));
}

const char *chain_setting(struct chain *c, const char *key)
{
        return chain_settings_get(&(struct chain_settings){c->getenv_, c->shared}, key);
}

bool chain_is_true(struct chain *c, const char *key)
{
        return strcasecmp(chain_setting(c, key), "true") == 0;
}

bool chain_has_instance(const struct chain *c)
{
        return c->imds;
}

void chain_used_region(struct chain *c, const char *region)
{
        if (*region && !c->used_region[0])
                snprintf(c->used_region, sizeof c->used_region, "%s", region);
}

const char *chain_endpoint(struct chain *c, enum chain_service service)
{
        return chain_settings_endpoint(&(struct chain_settings){c->getenv_, c->shared}, service);
}
