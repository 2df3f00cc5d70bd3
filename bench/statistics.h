/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of repeated measurements. Medians, because one round that another process
 * disturbed must not move the result; quartiles, because they say how far to trust it.
 *
 * Thread: any. Cost: sorts a copy on the stack; at most STATISTICS_VALUES_MAX values.
 */
#ifndef SIMCAST_BENCH_STATISTICS_H
#define SIMCAST_BENCH_STATISTICS_H

#include <stddef.h>

#define STATISTICS_VALUES_MAX 64

/* The middle value, or the mean of the two middle ones. NAN when there are none. */
double statistics_median(const double *values, size_t count);

/*
 * How far the middle half of the values is spread, relative to their median: (third quartile -
 * first quartile) / |median|. 0 for fewer than two values, or when the median is 0.
 */
double statistics_spread(const double *values, size_t count);

/*
 * ret_ratios[i] = values[i] / yardsticks[i]: each round is divided by its own yardstick, so a
 * machine that is slow for one round is slow for both. A yardstick of 0 gives NAN.
 */
void statistics_ratios(const double *values, const double *yardsticks, size_t count,
                       double *ret_ratios);

#endif
