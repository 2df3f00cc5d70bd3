/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a change made things slower. Ratios are compared where both runs have them, because
 * machines drift and yardsticks drift along; else the values themselves, with a wide band.
 *
 * Thread: any. Cost: none to speak of.
 */
#ifndef SIMCAST_BENCH_COMPARE_H
#define SIMCAST_BENCH_COMPARE_H

#include "bench/record.h"

/* The least change that counts; the spread of both runs' rounds widens it. */
#define COMPARE_BAND_RATIO 0.10
#define COMPARE_BAND_VALUE 0.50
#define COMPARE_BAND_DISTURBED 1.00 /* other processes disturbed one of the two runs */

enum compare_verdict {
    COMPARE_SAME, /* within the noise band */
    COMPARE_BETTER,
    COMPARE_WORSE,
    COMPARE_IMPOSSIBLE, /* one of the two has no value for it */
};

struct comparison {
    enum compare_verdict verdict;
    bool by_ratio;
    double before;
    double after;
    double worse_by; /* relative; negative: better by so much */
    double band;     /* changes up to this size are noise */
};

struct comparison compare_results(const struct record_result *before,
                                  const struct record_result *after, bool disturbed);

/* The result of this metric, or NULL. */
const struct record_result *compare_find(const struct record *record, const char *metric);

#endif
