/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "base/histogram.h"

#include <math.h>
#include <string.h>

#define SUB_BITS 5

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB_BUCKETS)
        return (unsigned)value;
    unsigned exponent = 63U - (unsigned)__builtin_clzll(value) - SUB_BITS;
    unsigned sub = (unsigned)(value >> exponent) - HISTOGRAM_SUB_BUCKETS;
    unsigned bucket = (exponent + 1) * HISTOGRAM_SUB_BUCKETS + sub;

    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_edge_of(unsigned bucket)
{
    if (bucket < HISTOGRAM_SUB_BUCKETS)
        return bucket;
    unsigned exponent = bucket / HISTOGRAM_SUB_BUCKETS - 1;
    uint64_t sub = bucket % HISTOGRAM_SUB_BUCKETS + HISTOGRAM_SUB_BUCKETS;

    return ((sub + 1) << exponent) - 1;
}

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_record(struct histogram *histogram, int64_t value_ns)
{
    if (value_ns < 0)
        value_ns = 0;
    histogram->count++;
    histogram->sum_ns += (uint64_t)value_ns;
    if (value_ns > histogram->max_ns)
        histogram->max_ns = value_ns;
    histogram->buckets[bucket_of((uint64_t)value_ns)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

int64_t histogram_percentile_ns(const struct histogram *histogram, double percent)
{
    if (histogram->count == 0)
        return 0;
    double rank = ceil(percent / 100.0 * (double)histogram->count);
    uint64_t target = rank < 1.0 ? 1 : (uint64_t)rank;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= target) {
            int64_t edge = (int64_t)upper_edge_of(i);
            return edge < histogram->max_ns ? edge : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}

uint64_t histogram_count_to(const struct histogram *histogram, int64_t value_ns)
{
    unsigned last = bucket_of(value_ns < 0 ? 0 : (uint64_t)value_ns);
    uint64_t count = 0;

    for (unsigned i = 0; i <= last; i++)
        count += histogram->buckets[i];
    return count;
}
