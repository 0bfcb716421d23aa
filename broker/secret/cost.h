/* What asking Secrets Manager costs: calls, as they come to in 30 days. Pure. The price is AWS's public
 * one, $0.05 for 10,000 API calls, refused ones included. What a secret costs besides ($0.40 a month,
 * asked for or not) and kms:Decrypt with a key of one's own are not counted. */
#ifndef PGB_SECRET_COST_H
#define PGB_SECRET_COST_H

#include <stdint.h>

#define COST_DAYS 30

/* Calls of one who looks every poll_ms and never has a reason to ask besides; 0 = never. */
uint64_t cost_planned(uint64_t poll_ms);
/* As many as there were in these ms, at that rate. An hour that is not over yet is thought to go on as
 * planned, so that the first call of all is not taken for a rate. */
uint64_t cost_projected(uint64_t calls, uint64_t ms, uint64_t poll_ms);
/* In millionths of a dollar. */
uint64_t cost_price(uint64_t calls);

#endif
