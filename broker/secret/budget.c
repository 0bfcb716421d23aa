#include "secret/budget.h"

#include "base/deadline.h"

enum {
        MINUTE = 60000,
        FIRST_MINUTE = 12,
        NEWS = 4,             /* of these twelve */
        AGAIN = 4,            /* likewise, which leaves four for ordinary logins under way */
        UNDER_WAY_MS = 20000, /* how long one of those may last */
        LATER_MINUTE = 4,
        LATER_MINUTE_AGAIN = 3, /* one is left for news */
        GAP_MS = 1000,          /* doubled at each second try */
        GAP_CAP_MS = 20000,
};

void budget_init(struct budget *b)
{
        *b = (struct budget){.began = DEADLINE_NEVER, .last = DEADLINE_NEVER};
}

void budget_bridge_begins(struct budget *b, uint64_t now)
{
        b->began = b->last = b->again_at = now;
        b->news = b->again = 0;
}

void budget_bridge_ends(struct budget *b)
{
        b->began = DEADLINE_NEVER;
}

void budget_refused(struct budget *b, uint64_t now)
{
        b->refusals[b->count++ % BUDGET_REFUSALS] = now;
}

void budget_probe_refused(struct budget *b, bool news, uint64_t now)
{
        if (news)
                b->news++;
        else
                b->again++;
        b->again_at = now;
}

static unsigned refused_since(const struct budget *b, uint64_t from)
{
        unsigned n = 0, held = b->count < BUDGET_REFUSALS ? b->count : BUDGET_REFUSALS;

        for (unsigned i = 0; i < held; i++)
                n += b->refusals[i] >= from;
        return n;
}

static uint64_t a_minute_ago(uint64_t now)
{
        return now > MINUTE ? now - MINUTE : 0;
}

static bool first_minute(const struct budget *b, uint64_t now)
{
        return now >= b->began && now - b->began < MINUTE;
}

/* What counts against a later minute: all of the last one, but nothing of a bridge's first, even
 * if that bridge is over. */
static unsigned refused_lately(const struct budget *b, uint64_t now)
{
        uint64_t from = a_minute_ago(now);

        if (b->last != DEADLINE_NEVER && from < b->last + MINUTE)
                from = b->last + MINUTE;
        return refused_since(b, from);
}

/* A bridge has ended within its first minute, which goes on to count. */
static bool ended_in_first_minute(const struct budget *b, uint64_t now)
{
        return b->began == DEADLINE_NEVER && b->last != DEADLINE_NEVER && now - b->last < MINUTE;
}

/* Until the ordinary logins that were under way have ended, some of them may yet be refused: then
 * fixed shares of the twelve are used, whatever has come in so far. */
static bool all_told(const struct budget *b, uint64_t now)
{
        return now - b->began >= UNDER_WAY_MS;
}

bool budget_allows_news(const struct budget *b, uint64_t now)
{
        if (ended_in_first_minute(b, now))
                return refused_since(b, b->last) < FIRST_MINUTE;
        if (!first_minute(b, now))
                return refused_lately(b, now) < LATER_MINUTE;
        return b->news < NEWS || (all_told(b, now) && refused_since(b, b->began) < FIRST_MINUTE);
}

/* The whole last minute counts, whichever bridge it belonged to: two servers that accept one
 * password each would otherwise make a bridge of every login, each with a budget of its own. */
bool budget_allows_again(const struct budget *b, uint64_t now)
{
        unsigned news = b->news < NEWS ? b->news : NEWS;

        if (ended_in_first_minute(b, now))
                return refused_since(b, b->last) < FIRST_MINUTE - NEWS;
        if (!first_minute(b, now))
                return refused_lately(b, now) < LATER_MINUTE_AGAIN;
        /* The first one leads back where a rotation was rolled back soon after its own bridge. */
        if (b->again == 0)
                return refused_since(b, a_minute_ago(now)) < FIRST_MINUTE;
        return refused_since(b, a_minute_ago(now)) < FIRST_MINUTE - NEWS + news &&
               (b->again < AGAIN || all_told(b, now));
}

/* 1, 2, 4 ... 20 s after the one before: six in the first minute, three in later ones. */
bool budget_again_due(const struct budget *b, uint64_t now)
{
        return now >= b->again_at + (b->again < 5 ? (uint64_t) GAP_MS << b->again : GAP_CAP_MS);
}
