#include "base/histogram.h"

/* Under 8 us a bucket is one value; above, each power of two is cut in eight. The numbering makes
 * both one scale: bucket 8k + s (k > 0) begins at (8 + s) * 2^(k - 1). */
static unsigned bucket_of(uint64_t us)
{
        if (us < 8)
                return (unsigned) us;

        unsigned power = 63 - (unsigned) __builtin_clzll(us);
        unsigned i = (power - 2) * 8 + (unsigned) (us >> (power - 3) & 7);

        return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

/* A full bucket stays full: a quantile a little off is better than one that starts over. */
static void raise_bucket(uint32_t *bucket, uint32_t by)
{
        if (__builtin_add_overflow(*bucket, by, bucket))
                *bucket = UINT32_MAX;
}

void histogram_add(struct histogram *h, uint64_t us)
{
        h->count++;
        h->sum += us;
        h->max = us > h->max ? us : h->max;
        raise_bucket(&h->bucket[bucket_of(us)], 1);
}

uint64_t histogram_edge(unsigned i)
{
        if (i >= HISTOGRAM_BUCKETS)
                i = HISTOGRAM_BUCKETS - 1;
        if (i < 8)
                return i;
        return ((uint64_t) (i % 8 + 9) << (i / 8 - 1)) - 1;
}

static uint64_t edge_of(const struct histogram *h, unsigned i)
{
        uint64_t edge = histogram_edge(i);

        return edge < h->max ? edge : h->max;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
        uint64_t total = 0, seen = 0;

        /* Not h->count: it goes on where a bucket is full. */
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                total += h->bucket[i];
        if (total == 0)
                return 0;

        double rank = q * (double) total;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += h->bucket[i];
                if (seen > 0 && (double) seen >= rank)
                        return edge_of(h, i);
        }
        return edge_of(h, HISTOGRAM_BUCKETS - 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
        into->count += from->count;
        into->sum += from->sum;
        into->max = from->max > into->max ? from->max : into->max;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                raise_bucket(&into->bucket[i], from->bucket[i]);
}
