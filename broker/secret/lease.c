#include "secret/lease.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "base/expect.h"
#include "base/own.h"

enum {
        SHORT_S = 30 * 60,             /* a life shorter than this is renewed at its half */
        AHEAD_S = 15 * 60,             /* a longer one this much before its end, */
        AHEAD_DICE_MS = 2 * 60 * 1000, /* or up to this much earlier still */
        UNKNOWN_S = 15 * 60,           /* where nobody says when they expire */
        LEAST_MS = 1000,               /* between two askings that went well */
        RETRY_MS = 30000,              /* after one that failed, */
        RETRY_DICE_MS = 30000,         /* up to this much more */
        JUST_NOW_MS = 1000,            /* so long a failure answers all who look */
};

struct lease {
        struct loop *l;
        struct lease_provider provider;
        struct lease_user user;
        struct aws_credentials credentials; /* access_key_id NULL = none yet */
        bool asking;
        bool forgotten;        /* the service refused `credentials` */
        uint64_t good_until;   /* they are given without waiting */
        struct deadline again; /* the next asking, without anyone looking */
        struct error error;    /* of the last asking, if it failed */
        uint64_t failed_at;
};

static uint32_t kernel_dice(void *arg, uint32_t below)
{
        uint32_t n = 0;

        (void) arg;
        expect(getrandom(&n, sizeof n, 0) == sizeof n);
        return n % below;
}

static uint32_t jitter(struct lease *s, uint32_t below_ms)
{
        return s->user.dice(s->user.dice_arg, below_ms + 1);
}

static bool has_any(const struct lease *s)
{
        return s->credentials.access_key_id && !s->forgotten;
}

static void ask(struct lease *s)
{
        s->asking = true;
        loop_clear(s->l, &s->again);
        s->provider.ask(s->provider.arg);
}

static void again_expired(struct deadline *d)
{
        struct lease *s = container_of(d, struct lease, again);

        if (!s->asking)
                ask(s);
}

/* Sets when to ask without being asked. Expired ones are given till then: where nobody gives
 * others, the service may still take them, and says so if not. */
static void ask_at(struct lease *s, uint64_t at)
{
        loop_set(s->l, &s->again, at);
        if (s->good_until < at)
                s->good_until = at;
}

static uint64_t retry_at(struct lease *s)
{
        return loop_now(s->l) + RETRY_MS + jitter(s, RETRY_DICE_MS);
}

static void end(struct lease *s)
{
        s->asking = false;
        s->user.settled(s->user.arg);
}

void lease_refuse(struct lease *s, const struct error *e)
{
        expect(s->asking);
        s->error = *e;
        s->failed_at = loop_now(s->l);
        /* Without any that might be lost, it is enough to ask when someone looks. */
        if (has_any(s))
                ask_at(s, retry_at(s));
        end(s);
}

/* Of a life of so many seconds: when to ask for the next ones. */
static uint64_t renewal(struct lease *s, long long life)
{
        uint64_t pause = (uint64_t) life * 1000 / 2;

        if (life >= SHORT_S)
                pause = (uint64_t) (life - AHEAD_S) * 1000 - jitter(s, AHEAD_DICE_MS);
        return loop_now(s->l) + (pause > LEAST_MS ? pause : LEAST_MS);
}

static void begin_life(struct lease *s, long long date)
{
        long long life = s->credentials.expires - (date ? date : (long long) time(NULL));
        uint64_t now = loop_now(s->l);

        if (!s->credentials.expires) {
                s->good_until = DEADLINE_NEVER;
                ask_at(s, now + UNKNOWN_S * 1000);
        } else if (life > 0) {
                s->good_until = now + (uint64_t) life * 1000;
                loop_set(s->l, &s->again, renewal(s, life));
        } else {
                s->good_until = now;
                ask_at(s, retry_at(s));
        }
}

static void refuse_expired(struct lease *s, struct aws_credentials *c)
{
        struct error e = {0};

        aws_credentials_free(c);
        error_set(&e, "08001", "%s: the credentials that it gave have expired", s->provider.name);
        error_hint(&e, "Check this host's clock, and the service behind that address.");
        lease_refuse(s, &e);
}

void lease_grant(struct lease *s, struct aws_credentials *c, long long date)
{
        expect(s->asking);
        if (c->expires && c->expires <= (date ? date : (long long) time(NULL)) &&
            !s->provider.outlives) {
                refuse_expired(s, c);
                return;
        }
        aws_credentials_free(&s->credentials);
        s->credentials = *c;
        s->credentials.provider = s->provider.name;
        *c = (struct aws_credentials){0};
        s->forgotten = false;
        error_clear(&s->error);
        begin_life(s, date);
        end(s);
}

static bool judge(struct lease *s, struct aws_credentials *out, struct error *e,
                  enum lease_state *state)
{
        uint64_t now = loop_now(s->l);

        if (has_any(s) && now < s->good_until) {
                *out = s->credentials;
                *state = LEASE_GOOD;
        } else if (s->asking) {
                *state = LEASE_WAITING;
        } else if (error_is_set(&s->error) && now < s->failed_at + JUST_NOW_MS) {
                *e = s->error;
                *state = LEASE_FAILED;
        } else {
                return false;
        }
        return true;
}

enum lease_state lease_look(struct lease *s, struct aws_credentials *out, struct error *e)
{
        enum lease_state state = LEASE_WAITING;

        if (judge(s, out, e, &state))
                return state;
        ask(s);
        judge(s, out, e, &state);
        return state;
}

void lease_forget(struct lease *s)
{
        s->forgotten = true;
        /* What failed before says nothing about now. */
        error_clear(&s->error);
}

struct lease *lease_new(struct loop *l, const struct lease_provider *p, const struct lease_user *u)
{
        struct lease *s = own_new(struct lease);

        s->l = l;
        s->provider = *p;
        s->user = *u;
        if (!s->user.dice)
                s->user.dice = kernel_dice;
        deadline_init(&s->again, again_expired);
        return s;
}

void lease_free(struct lease *s)
{
        if (!s)
                return;
        loop_clear(s->l, &s->again);
        aws_credentials_free(&s->credentials);
        free(s);
}
