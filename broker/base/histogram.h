/* Counts of durations in microseconds, in log-linear buckets (8 per power of two: under 12.5 %
 * error), fixed size, cheap enough for every query. */
#ifndef PGB_BASE_HISTOGRAM_H
#define PGB_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 288           /* up to 2^38 us, about three days; more counts as the last */

struct histogram {
        uint64_t count, sum, max;
        uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t us);
/* The upper edge of the bucket in which the q-quantile (0 < q <= 1) lies, but never more than the
 * longest; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* Upper edge of bucket i. */
uint64_t histogram_edge(unsigned i);
void histogram_merge(struct histogram *into, const struct histogram *from);

#endif
