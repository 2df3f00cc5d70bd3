/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of durations: 32 buckets per power of two, so a percentile is at most
 * 3.2% above the true value. Values from 0 ns to about 4.8 hours; larger ones count as the
 * largest, negative ones as 0.
 *
 * Thread: one writer and reader; embed one per thread and merge. Cost: no allocation, recording
 * is a few instructions, a percentile walks the buckets.
 */
#ifndef SIMCAST_BASE_HISTOGRAM_H
#define SIMCAST_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BUCKETS 32
#define HISTOGRAM_BUCKETS (40 * HISTOGRAM_SUB_BUCKETS)

struct histogram {
    uint64_t count;
    uint64_t sum_ns;
    int64_t max_ns;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* Zeroes the caller's memory. A zero-initialised histogram needs no init. */
void histogram_init(struct histogram *histogram);

void histogram_record(struct histogram *histogram, int64_t value_ns);

/* Adds all of `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value at or below which `percent` (0 to 100) of the recorded values lie, rounded up to its
 * bucket's upper edge and never above max_ns. 0 when nothing was recorded.
 */
int64_t histogram_percentile_ns(const struct histogram *histogram, double percent);

/* How many values are at most this long; those within 3.2% above it may count too. */
uint64_t histogram_count_to(const struct histogram *histogram, int64_t value_ns);

#endif
