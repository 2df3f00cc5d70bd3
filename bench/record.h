/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one run of one case found: the line of JSON that programs keep, and the way back from it.
 *
 * Thread: any. Cost: record_write and record_read allocate while they work and do file I/O.
 */
#ifndef SIMCAST_BENCH_RECORD_H
#define SIMCAST_BENCH_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/machine.h"

#define RECORD_RESULTS_MAX 64
#define RECORD_NAME_BYTES 64
#define RECORD_UNIT_BYTES 16
#define RECORD_REASON_BYTES 200

enum record_better { RECORD_LOWER, RECORD_HIGHER };

/* Of all samples of all counted rounds together, in the metric's unit. */
struct record_percentiles {
    double p50;
    double p90;
    double p99;
    double p99_9;
    double max;
};

/* Numbers that do not exist are NAN, texts that do not exist are empty. */
struct record_result {
    char metric[RECORD_NAME_BYTES];
    char unit[RECORD_UNIT_BYTES];
    char figure[RECORD_NAME_BYTES];    /* what was measured, for people */
    char yardstick[RECORD_NAME_BYTES]; /* what `ratio` divides by */
    char skipped[RECORD_REASON_BYTES]; /* why there is no value */
    double value;                      /* median over the rounds; the ratio itself where the
                                          metric is one */
    double ratio;                      /* median over the rounds of value / yardstick */
    double spread;                     /* of the rounds, see statistics_spread */
    double target;
    enum record_better better;
    bool pass;   /* meaningless without a target */
    bool failed; /* skipped because the measurement went wrong, not because it cannot be made */
    struct record_percentiles percentiles; /* p50 is NAN when it is not a distribution */
};

struct record {
    char case_name[RECORD_NAME_BYTES];
    char commit[RECORD_NAME_BYTES]; /* "unknown" when built without git */
    struct machine machine;
    uint64_t seed;
    bool quick;
    unsigned rounds;            /* counted */
    unsigned rounds_discarded;  /* because others used the machine */
    double others_core_percent; /* what others used in the counted rounds, median */
    size_t result_count;
    struct record_result results[RECORD_RESULTS_MAX];
};

/* A run beside others who used more than this is disturbed. */
#define RECORD_OTHERS_PERCENT 15

bool record_is_disturbed(const struct record *record);

/* Whether the value meets the target; true without a target. NAN meets none. */
bool record_meets(const struct record_result *result);

/* One line. Errors: -ENOMEM, -EIO. */
int record_write(const struct record *record, FILE *stream);

/*
 * Finds the case in a file of such lines; the last one wins. Errors: -errno the file cannot be
 * opened; -EPROTO it is not made of such lines; -ENOENT it has no such case.
 */
int record_read(const char *path, const char *case_name, struct record *ret_record);

#endif
