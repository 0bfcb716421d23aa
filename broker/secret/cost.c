#include "secret/cost.h"

enum { HOUR_MS = 3600 * 1000, PRICE = 5 /* millionths of a dollar a call: $0.05 for 10,000 */ };

static const uint64_t month_ms = COST_DAYS * 24ull * HOUR_MS;

uint64_t cost_planned(uint64_t poll_ms)
{
        return poll_ms ? month_ms / poll_ms : 0;
}

uint64_t cost_projected(uint64_t calls, uint64_t ms, uint64_t poll_ms)
{
        double seen = (double) calls, over = (double) ms;

        if (ms < HOUR_MS) {
                seen += poll_ms ? (double) (HOUR_MS - ms) / (double) poll_ms : 0;
                over = HOUR_MS;
        }
        return (uint64_t) (seen * ((double) month_ms / over) + 0.5);
}

uint64_t cost_price(uint64_t calls)
{
        return calls * PRICE;
}
