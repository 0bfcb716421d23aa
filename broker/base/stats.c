#include "base/stats.h"

void stats_init(struct stats *s, uint64_t now)
{
        *s = (struct stats){.period_began = now};
}

static uint64_t each(uint64_t sum, uint64_t count)
{
        return count ? sum / count : 0;
}

void stats_tick(struct stats *s, uint64_t now)
{
        if (now < s->period_began || now - s->period_began < STATS_PERIOD_MS)
                return;

        /* The period that was, not the one that was meant: a tick may come late. */
        uint64_t lasted = now - s->period_began;
        struct counters d;

#define X(name) d.name = s->total.name - s->at_start.name;
        STATS_COUNTERS(X)
#undef X
        /* In two parts, for bytes * 1000 could overflow where bytes / second * 1000 can't. */
#define X(name) s->average.name = d.name / lasted * 1000 + d.name % lasted * 1000 / lasted;
        STATS_COUNTERS(X)
#undef X
        s->average.xact_time = each(d.xact_time, d.xact_count);
        s->average.query_time = each(d.query_time, d.query_count);
        s->average.wait_time = each(d.wait_time, d.server_assignment_count);
        s->at_start = s->total;
        s->period_began = now;
}
