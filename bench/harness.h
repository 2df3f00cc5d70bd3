/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One shape for every benchmark. A case is three tables:
 *
 *   figures  what is measured, yardsticks included: "ring, 1080p at 120 Hz", "ZeroMQ ipc"
 *   probes   functions that measure once; each yields one or more figures
 *   metrics  what is reported: a figure in a unit, perhaps divided by a yardstick, with a target
 *
 * The harness runs all probes one after the other, round after round (A B C A B C ...), so that
 * whatever the machine does meanwhile happens to the yardsticks as well. The first round warms
 * up and counts for nothing. A metric is the median over the rounds; a ratio is formed within
 * each round. Rounds in which other processes used more than RECORD_OTHERS_PERCENT of a core are
 * measured again, within bounds.
 *
 * A case of one's own: a file bench/case_NAME.c with the tables, and a line in bench/cases.h.
 *
 * Thread: one; probes fork processes.
 */
#ifndef SIMCAST_BENCH_HARNESS_H
#define SIMCAST_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/log.h"
#include "bench/record.h"

#define BENCH_FIGURES_MAX 64
#define BENCH_PROBE_FIGURES_MAX 16
#define BENCH_ROUNDS_MAX 16
#define BENCH_DIR_BYTES 64

/* What one round found for one figure: samples in nanoseconds, or one number, or neither. */
struct bench_reading {
    bool is_number;
    double number;
    struct histogram samples;
    char skipped[RECORD_REASON_BYTES];
};

/* What a probe is given. */
struct bench_round {
    bool brief;                     /* --quick, or warming up: shorten what can be shortened */
    bool warming_up;                /* counts for nothing: leave out what gains nothing by it */
    uint64_t seed;                  /* of this round, never 0; the same for all probes */
    const char *dir;                /* an empty directory of this run, for sockets */
    struct bench_reading *readings; /* by figure; use the three functions below */
};

/* Samples go into this histogram. */
struct histogram *bench_samples(struct bench_round *round, unsigned figure);
/* A number that is not a distribution, in a unit that the metric knows. */
void bench_number(struct bench_round *round, unsigned figure, double number);
/* This machine or build cannot measure it: a sentence that says why and what to do. */
void bench_skip(struct bench_round *round, unsigned figure, const char *format, ...) LOG_PRINTF(3);

struct bench_probe {
    const char *name; /* for progress */
    /* Returns 0 with every figure measured or skipped, or a negative errno. */
    int (*measure)(struct bench_round *round);
    unsigned figures[BENCH_PROBE_FIGURES_MAX]; /* what it yields; ends with 0 */
};

struct bench_metric {
    const char *name;
    const char *unit;
    unsigned figure;
    unsigned yardstick; /* the figure to divide by; 0: none */
    bool is_ratio;      /* `value` is the ratio, not the figure */
    double percentile;  /* of the samples, for figure and yardstick; 0: 50 */
    double scale;       /* figure times this is the unit; 0: 1 */
    enum record_better better;
    double target; /* 0: none */
};

/* Figures count from 1; entry 0 of the names is not used. */
struct bench_case {
    const char *name;
    const char *summary; /* one line, for --help */
    const char *const *figures;
    unsigned figure_count; /* entry 0 included */
    const struct bench_probe *probes;
    unsigned probe_count;
    const struct bench_metric *metrics;
    unsigned metric_count;
};

struct bench_options {
    bool quick; /* fewer and shorter rounds: under a minute for a case */
    uint64_t seed;
};

/*
 * Measures a case; progress goes to stderr. A probe that fails costs its own figures only: the
 * metrics that need them say so.
 * Errors: -ENOMEM; -EINTR somebody pressed Ctrl-C; what mkdtemp said.
 */
int bench_run(const struct bench_case *bench_case, const struct bench_options *options,
              struct record *ret_record);

#endif
