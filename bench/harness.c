/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds of probes, and what follows from them. Runs on the caller's thread; owns the run's
 * directory and all readings. A probe's failure is told once on stderr and kept as the reason
 * why a metric has no value.
 */
#include "bench/harness.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include "base/clock.h"
#include "bench/commit.h"
#include "bench/progress.h"
#include "bench/statistics.h"

#define ROUNDS 5
#define ROUNDS_QUICK 3
#define ROUNDS_MORE_QUICK 2      /* at most, to replace disturbed ones */
#define QUICK_NS (54 * NS_PER_S) /* no round begins that would end later, but for the first */

/* A round and how quiet it was. */
struct attempt {
    double others_percent;
    int64_t took_ns;
    struct bench_reading *readings;
};

struct run {
    const struct bench_case *bench_case;
    const struct bench_options *options;
    char dir[BENCH_DIR_BYTES];
    char failures[BENCH_FIGURES_MAX][RECORD_REASON_BYTES]; /* by figure; empty: none */
    struct attempt attempts[2 * BENCH_ROUNDS_MAX];
    unsigned attempt_count;
    unsigned rounds; /* the first so many attempts count */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* ---- what probes call ---------------------------------------------------------------------- */

struct histogram *bench_samples(struct bench_round *round, unsigned figure)
{
    return &round->readings[figure].samples;
}

void bench_number(struct bench_round *round, unsigned figure, double number)
{
    round->readings[figure].is_number = true;
    round->readings[figure].number = number;
}

void bench_skip(struct bench_round *round, unsigned figure, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(round->readings[figure].skipped, RECORD_REASON_BYTES, format, arguments);
    va_end(arguments);
}

/* ---- rounds -------------------------------------------------------------------------------- */

static void note_failure(struct run *run, const struct bench_probe *probe, int error)
{
    const char *why = error == -ETIMEDOUT ? "it took too long" : strerror(-error);

    for (unsigned i = 0; i < BENCH_PROBE_FIGURES_MAX && probe->figures[i]; i++)
        snprintf(run->failures[probe->figures[i]], RECORD_REASON_BYTES, "measuring '%s' failed: %s",
                 probe->name, why);
    log_error("measuring '%s' failed: %s", probe->name, why);
}

/* One pass over all probes. Returns 0 or -EINTR. */
static int measure_round(struct run *run, struct bench_round *round, const char *title)
{
    for (unsigned i = 0; i < run->bench_case->probe_count; i++) {
        const struct bench_probe *probe = &run->bench_case->probes[i];
        progress("%s: %s: %s", run->bench_case->name, title, probe->name);
        int error = probe->measure(round);
        if (interrupted)
            return -EINTR;
        if (error < 0)
            note_failure(run, probe, error);
    }
    return 0;
}

/* xorshift64*; the seed of round n follows from the run's seed alone. */
static uint64_t seed_of_round(uint64_t seed, unsigned n)
{
    uint64_t state = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(0x2545f4914f6cdd1d)) | 1;
}

static int measure_attempt(struct run *run, const char *title, bool warming_up)
{
    struct attempt *attempt = &run->attempts[run->attempt_count];
    struct machine_load before;

    attempt->readings = calloc(run->bench_case->figure_count, sizeof(*attempt->readings));
    if (!attempt->readings)
        return -ENOMEM;
    struct bench_round round = {
        .brief = warming_up || run->options->quick,
        .warming_up = warming_up,
        .seed = seed_of_round(run->options->seed, run->attempt_count),
        .dir = run->dir,
        .readings = attempt->readings,
    };
    int64_t began_ns = clock_now_ns();
    machine_load_now(&before);
    int error = measure_round(run, &round, title);
    attempt->others_percent = machine_load_others_percent(&before);
    attempt->took_ns = clock_now_ns() - began_ns;
    run->attempt_count++;
    return error;
}

static void forget_attempts(struct run *run)
{
    for (unsigned i = 0; i < run->attempt_count; i++)
        free(run->attempts[i].readings);
    run->attempt_count = 0;
}

static int quieter(const void *left, const void *right)
{
    double a = ((const struct attempt *)left)->others_percent;
    double b = ((const struct attempt *)right)->others_percent;

    return (a > b) - (a < b);
}

static unsigned quiet_attempts(const struct run *run)
{
    unsigned quiet = 0;

    for (unsigned i = 0; i < run->attempt_count; i++)
        quiet += run->attempts[i].others_percent <= RECORD_OTHERS_PERCENT;
    return quiet;
}

/* Whether another round fits into --quick, judged by the longest so far. */
static bool has_time(const struct run *run, int64_t began_ns)
{
    int64_t elapsed_ns = clock_now_ns() - began_ns;
    int64_t round_ns = 0;

    for (unsigned i = 0; i < run->attempt_count; i++) {
        if (run->attempts[i].took_ns > round_ns)
            round_ns = run->attempts[i].took_ns;
    }
    return !run->options->quick || run->attempt_count == 0 || elapsed_ns + round_ns < QUICK_NS;
}

/* Warms up, then measures until enough rounds were quiet; the quietest come first afterwards. */
static int measure_rounds(struct run *run)
{
    bool quick = run->options->quick;
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    unsigned attempts_max = quick ? rounds + ROUNDS_MORE_QUICK : 2 * rounds;
    int64_t began_ns = clock_now_ns();
    char title[32];
    int error = measure_attempt(run, "warming up", true);

    forget_attempts(run);
    while (error == 0 && quiet_attempts(run) < rounds && run->attempt_count < attempts_max &&
           has_time(run, began_ns)) {
        unsigned n = run->attempt_count + 1;
        snprintf(title, sizeof(title), n > rounds ? "extra round %u" : "round %u of %u",
                 n > rounds ? n - rounds : n, rounds);
        error = measure_attempt(run, title, false);
    }
    qsort(run->attempts, run->attempt_count, sizeof(run->attempts[0]), quieter);
    run->rounds = run->attempt_count < rounds ? run->attempt_count : rounds;
    return error;
}

/* ---- results ------------------------------------------------------------------------------- */

/* The figure's number in one round, NAN where there is none. */
static double reading_of(const struct attempt *attempt, unsigned figure, double percentile)
{
    const struct bench_reading *reading = &attempt->readings[figure];

    if (reading->is_number)
        return reading->number;
    if (reading->samples.count == 0)
        return NAN;
    return (double)histogram_percentile_ns(&reading->samples, percentile);
}

/* Why the figure has no value, or NULL. A round that failed is made good by others. */
static const char *why_missing(const struct run *run, const struct record *record, unsigned figure,
                               bool *ret_failed)
{
    bool measured = false;

    for (unsigned i = 0; i < record->rounds; i++) {
        const struct bench_reading *reading = &run->attempts[i].readings[figure];
        if (reading->skipped[0])
            return reading->skipped;
        measured |= reading->is_number || reading->samples.count > 0;
    }
    *ret_failed = !measured;
    if (measured)
        return NULL;
    return run->failures[figure][0] ? run->failures[figure] : "the probe measured nothing";
}

static void fill_percentiles(const struct run *run, const struct record *record,
                             const struct bench_metric *metric, struct record_result *result)
{
    struct histogram all;
    double scale = metric->scale != 0 ? metric->scale : 1;

    histogram_init(&all);
    for (unsigned i = 0; i < record->rounds; i++)
        histogram_merge(&all, &run->attempts[i].readings[metric->figure].samples);
    if (all.count == 0 || metric->is_ratio)
        return;
    result->percentiles = (struct record_percentiles){
        .p50 = scale * (double)histogram_percentile_ns(&all, 50),
        .p90 = scale * (double)histogram_percentile_ns(&all, 90),
        .p99 = scale * (double)histogram_percentile_ns(&all, 99),
        .p99_9 = scale * (double)histogram_percentile_ns(&all, 99.9),
        .max = scale * (double)all.max_ns,
    };
}

/* Drops the rounds in which one of the two is missing. Returns how many are left. */
static unsigned gather(const struct run *run, const struct record *record,
                       const struct bench_metric *metric, double *ret_values,
                       double *ret_yardsticks)
{
    double percentile = metric->percentile != 0 ? metric->percentile : 50;
    unsigned count = 0;

    for (unsigned i = 0; i < record->rounds; i++) {
        double value = reading_of(&run->attempts[i], metric->figure, percentile);
        double yardstick =
            metric->yardstick ? reading_of(&run->attempts[i], metric->yardstick, percentile) : 1;
        if (isnan(value) || isnan(yardstick) || yardstick == 0)
            continue;
        ret_values[count] = value;
        ret_yardsticks[count++] = yardstick;
    }
    return count;
}

static void fill_numbers(const struct run *run, const struct record *record,
                         const struct bench_metric *metric, struct record_result *result)
{
    double values[BENCH_ROUNDS_MAX];
    double yardsticks[BENCH_ROUNDS_MAX];
    double ratios[BENCH_ROUNDS_MAX];
    unsigned count = gather(run, record, metric, values, yardsticks);
    double scale = metric->scale != 0 ? metric->scale : 1;

    result->value = scale * statistics_median(values, count);
    result->spread = statistics_spread(values, count);
    if (metric->yardstick) {
        statistics_ratios(values, yardsticks, count, ratios);
        result->ratio = statistics_median(ratios, count);
        result->spread = statistics_spread(ratios, count);
    }
    if (metric->is_ratio)
        result->value = result->ratio;
    result->pass = record_meets(result);
    fill_percentiles(run, record, metric, result);
}

static void fill_result(const struct run *run, const struct record *record,
                        const struct bench_metric *metric, struct record_result *result)
{
    bool failed = false;
    const char *missing = why_missing(run, record, metric->figure, &failed);

    if (!missing && metric->yardstick)
        missing = why_missing(run, record, metric->yardstick, &failed);
    *result = (struct record_result){
        .value = NAN,
        .ratio = NAN,
        .spread = NAN,
        .target = metric->target != 0 ? metric->target : NAN,
        .better = metric->better,
        .failed = failed,
        .percentiles.p50 = NAN,
    };
    snprintf(result->metric, sizeof(result->metric), "%s", metric->name);
    snprintf(result->unit, sizeof(result->unit), "%s", metric->unit);
    snprintf(result->figure, sizeof(result->figure), "%s",
             run->bench_case->figures[metric->figure]);
    if (metric->yardstick)
        snprintf(result->yardstick, sizeof(result->yardstick), "%s",
                 run->bench_case->figures[metric->yardstick]);
    if (missing)
        snprintf(result->skipped, sizeof(result->skipped), "%s", missing);
    else
        fill_numbers(run, record, metric, result);
}

static void fill_record(const struct run *run, struct record *ret_record)
{
    unsigned rounds = run->rounds;
    double others[BENCH_ROUNDS_MAX];

    *ret_record = (struct record){
        .commit = BENCH_COMMIT,
        .seed = run->options->seed,
        .quick = run->options->quick,
        .rounds = rounds,
        .rounds_discarded = run->attempt_count - rounds,
        .result_count = run->bench_case->metric_count,
    };
    snprintf(ret_record->case_name, sizeof(ret_record->case_name), "%s", run->bench_case->name);
    machine_describe(&ret_record->machine);
    for (unsigned i = 0; i < rounds; i++)
        others[i] = run->attempts[i].others_percent;
    ret_record->others_core_percent = statistics_median(others, rounds);
    for (unsigned i = 0; i < run->bench_case->metric_count; i++)
        fill_result(run, ret_record, &run->bench_case->metrics[i], &ret_record->results[i]);
}

/* ---- the run ------------------------------------------------------------------------------- */

static int make_dir(char path[BENCH_DIR_BYTES])
{
    snprintf(path, BENCH_DIR_BYTES, "/tmp/simcast-bench-XXXXXX");
    return mkdtemp(path) ? 0 : -errno;
}

/* Probes remove what they make; a killed one may have left a socket. */
static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);

    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    rmdir(path);
}

static void check_tables(const struct bench_case *bench_case)
{
    assert(bench_case->figure_count <= BENCH_FIGURES_MAX);
    assert(bench_case->metric_count <= RECORD_RESULTS_MAX);
    for (unsigned i = 0; i < bench_case->metric_count; i++) {
        assert(bench_case->metrics[i].figure > 0);
        assert(bench_case->metrics[i].figure < bench_case->figure_count);
        assert(bench_case->metrics[i].yardstick < bench_case->figure_count);
        assert(!bench_case->metrics[i].is_ratio || bench_case->metrics[i].yardstick);
    }
}

int bench_run(const struct bench_case *bench_case, const struct bench_options *options,
              struct record *ret_record)
{
    struct sigaction on_interrupt = {.sa_handler = interrupt};

    check_tables(bench_case);
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return -ENOMEM;
    run->bench_case = bench_case;
    run->options = options;
    interrupted = 0;
    sigaction(SIGINT, &on_interrupt, NULL);
    sigaction(SIGTERM, &on_interrupt, NULL);
    int error = make_dir(run->dir);
    if (error == 0) {
        error = measure_rounds(run);
        remove_dir(run->dir);
    }
    progress_done();
    if (error == 0)
        fill_record(run, ret_record);
    forget_attempts(run);
    free(run);
    return error;
}
