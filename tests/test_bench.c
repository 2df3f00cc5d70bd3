/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmarks' arithmetic: what is concluded from rounds, and from two runs. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "bench/compare.h"
#include "bench/harness.h"
#include "bench/record.h"
#include "bench/statistics.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- statistics ---------------------------------------------------------------------------- */

START_TEST(a_median_is_not_moved_by_one_bad_round)
{
    const double odd[] = {3, 1, 1e9, 2, 2.5};
    const double even[] = {4, 1, 3, 2};

    ck_assert_double_eq(statistics_median(odd, COUNT(odd)), 2.5);
    ck_assert_double_eq(statistics_median(even, COUNT(even)), 2.5);
    ck_assert_double_eq(statistics_median(even, 1), 4);
    ck_assert_double_nan(statistics_median(even, 0));
}
END_TEST

START_TEST(the_spread_is_that_of_the_middle_half)
{
    const double values[] = {100, 10, 11, 9, 0};
    const double same[] = {7, 7, 7};
    const double around_zero[] = {-1, 0, 1};

    ck_assert_double_eq_tol(statistics_spread(values, COUNT(values)), (11.0 - 9.0) / 10.0, 1e-9);
    ck_assert_double_eq(statistics_spread(same, COUNT(same)), 0);
    ck_assert_double_eq(statistics_spread(values, 1), 0);
    ck_assert_double_eq(statistics_spread(around_zero, COUNT(around_zero)), 0);
}
END_TEST

START_TEST(each_round_is_divided_by_its_own_yardstick)
{
    const double values[] = {2, 20, 200};
    const double yardsticks[] = {1, 10, 0};
    double ratios[3];

    statistics_ratios(values, yardsticks, 3, ratios);
    ck_assert_double_eq(ratios[0], 2);
    ck_assert_double_eq(ratios[1], 2);
    ck_assert_double_nan(ratios[2]);
}
END_TEST

/* ---- comparison ---------------------------------------------------------------------------- */

static struct record_result a_result(double value, double ratio, double spread)
{
    return (struct record_result){
        .metric = "m",
        .unit = "us",
        .value = value,
        .ratio = ratio,
        .spread = spread,
        .target = NAN,
        .percentiles.p50 = NAN,
    };
}

static enum compare_verdict verdict(struct record_result before, struct record_result after,
                                    bool disturbed)
{
    return compare_results(&before, &after, disturbed).verdict;
}

START_TEST(ratios_are_compared_where_both_runs_have_them)
{
    struct record_result before = a_result(100, 0.5, 0);

    /* The machine became twice as fast, its yardstick as well. */
    ck_assert_int_eq(verdict(before, a_result(50, 0.5, 0), false), COMPARE_SAME);
    ck_assert_int_eq(verdict(before, a_result(50, 0.6, 0), false), COMPARE_WORSE);
    ck_assert_int_eq(verdict(before, a_result(500, 0.4, 0), false), COMPARE_BETTER);
    /* Without ratios the values themselves, with a wide band. */
    ck_assert_int_eq(verdict(before, a_result(140, NAN, 0), false), COMPARE_SAME);
    ck_assert_int_eq(verdict(before, a_result(160, NAN, 0), false), COMPARE_WORSE);
    ck_assert_int_eq(verdict(before, a_result(60, NAN, 0), false), COMPARE_BETTER);
}
END_TEST

START_TEST(higher_is_better_where_the_metric_says_so)
{
    struct record_result before = a_result(1, 1, 0);
    struct record_result after = a_result(0.8, 0.8, 0);

    before.better = after.better = RECORD_HIGHER;
    ck_assert_int_eq(verdict(before, after, false), COMPARE_WORSE);
    ck_assert_int_eq(verdict(after, before, false), COMPARE_BETTER);
}
END_TEST

START_TEST(noise_widens_the_band)
{
    struct record_result before = a_result(1, 1, 0.2);

    ck_assert_int_eq(verdict(before, a_result(1.3, 1.3, 0.2), false), COMPARE_SAME);
    ck_assert_int_eq(verdict(before, a_result(1.5, 1.5, 0.2), false), COMPARE_WORSE);
    ck_assert_int_eq(verdict(before, a_result(1.9, 1.9, 0.2), true), COMPARE_SAME);
    ck_assert_int_eq(verdict(before, a_result(2.1, 2.1, 0.2), true), COMPARE_WORSE);
}
END_TEST

START_TEST(what_has_no_value_cannot_be_compared)
{
    struct record_result measured = a_result(1, 1, 0);
    struct record_result skipped = a_result(NAN, NAN, NAN);

    ck_assert_int_eq(verdict(measured, skipped, false), COMPARE_IMPOSSIBLE);
    ck_assert_int_eq(verdict(skipped, measured, false), COMPARE_IMPOSSIBLE);
    ck_assert_int_eq(verdict(a_result(0, NAN, 0), measured, false), COMPARE_IMPOSSIBLE);
}
END_TEST

/* ---- records ------------------------------------------------------------------------------- */

static void write_file(const char *path, const struct record *records, size_t count)
{
    FILE *stream = fopen(path, "w");

    ck_assert_ptr_nonnull(stream);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(record_write(&records[i], stream), 0);
    fclose(stream);
}

static const char *temporary_path(void)
{
    static char path[64];

    snprintf(path, sizeof(path), "/tmp/simcast-test-bench-%d", (int)getpid());
    return path;
}

START_TEST(a_record_comes_back_from_its_line)
{
    struct record written = {
        .case_name = "ring",
        .commit = "0123456789ab",
        .machine = {.cpu = "a \"fast\" one", .cores = 2},
        .seed = INT64_MAX,
        .rounds = 7,
        .others_core_percent = 3,
        .result_count = 2,
        .results = {a_result(1.5, 0.25, 0.125), a_result(NAN, NAN, NAN)},
    };
    struct record read = {0};

    written.results[0].better = RECORD_HIGHER;
    snprintf(written.results[0].yardstick, sizeof(written.results[0].yardstick), "memcpy");
    snprintf(written.results[1].metric, sizeof(written.results[1].metric), "n");
    snprintf(written.results[1].skipped, sizeof(written.results[1].skipped), "no such device");
    write_file(temporary_path(), &written, 1);
    ck_assert_int_eq(record_read(temporary_path(), "ring", &read), 0);
    unlink(temporary_path());
    ck_assert_str_eq(read.commit, written.commit);
    ck_assert_str_eq(read.machine.cpu, written.machine.cpu);
    ck_assert_uint_eq(read.seed, written.seed);
    ck_assert_uint_eq(read.result_count, 2);
    const struct record_result *first = compare_find(&read, "m");
    ck_assert_ptr_nonnull(first);
    ck_assert_double_eq(first->value, 1.5);
    ck_assert_double_eq(first->ratio, 0.25);
    ck_assert_double_eq(first->spread, 0.125);
    ck_assert_double_nan(first->target);
    ck_assert_int_eq(first->better, RECORD_HIGHER);
    ck_assert_str_eq(first->yardstick, "memcpy");
    const struct record_result *second = compare_find(&read, "n");
    ck_assert_double_nan(second->value);
    ck_assert_str_eq(second->skipped, "no such device");
    ck_assert_ptr_null(compare_find(&read, "o"));
}
END_TEST

START_TEST(the_last_record_of_the_case_in_a_file_is_taken)
{
    struct record written[] = {{.case_name = "ring", .seed = 1},
                               {.case_name = "hal", .seed = 2},
                               {.case_name = "ring", .seed = 3},
                               {.case_name = "glass", .seed = 4}};
    struct record read;

    write_file(temporary_path(), written, COUNT(written));
    ck_assert_int_eq(record_read(temporary_path(), "ring", &read), 0);
    ck_assert_uint_eq(read.seed, 3);
    ck_assert_int_eq(record_read(temporary_path(), "encode", &read), -ENOENT);
    unlink(temporary_path());
    ck_assert_int_eq(record_read(temporary_path(), "ring", &read), -ENOENT);
}
END_TEST

START_TEST(a_file_that_is_something_else_is_refused)
{
    static const char *const texts[] = {
        "ring: a table\n",
        "{\"case\":\"ring\"}\n",
        "{\"case\":\"ring\",\"results\":[{\"value\":1}]}\n",
        "{\"case\":\"ring\",\"results\":[{\"metric\":\"m\",\"better\":\"sideways\"}]}\n",
        "[]\n",
    };
    struct record read;

    for (size_t i = 0; i < COUNT(texts); i++) {
        FILE *stream = fopen(temporary_path(), "w");
        ck_assert_ptr_nonnull(stream);
        fputs(texts[i], stream);
        fclose(stream);
        ck_assert_msg(record_read(temporary_path(), "ring", &read) == -EPROTO, "%s", texts[i]);
    }
    unlink(temporary_path());
}
END_TEST

START_TEST(a_target_is_met_from_its_own_side)
{
    struct record_result result = {.value = 1, .target = 1, .better = RECORD_LOWER};

    ck_assert(record_meets(&result));
    result.value = 1.1;
    ck_assert(!record_meets(&result));
    result.better = RECORD_HIGHER;
    ck_assert(record_meets(&result));
    result.value = NAN;
    ck_assert(!record_meets(&result));
    result.target = NAN;
    ck_assert(record_meets(&result));
}
END_TEST

/* ---- the harness, with probes that measure nothing ------------------------------------------ */

enum figure { THING = 1, YARDSTICK, LACKING, BROKEN, FIGURE_COUNT };

static char calls[256]; /* one letter per probe that was called */

static void note_call(char letter)
{
    size_t length = strlen(calls);

    ck_assert_uint_lt(length + 1, sizeof(calls));
    calls[length] = letter;
}

static unsigned rounds_so_far(void)
{
    unsigned count = 0;

    for (const char *call = calls; *call; call++)
        count += *call == 'T';
    return count;
}

/* Slower each round, and far off while warming up: 200, 400, 600, ... us at p50. */
static int measure_thing(struct bench_round *round)
{
    note_call('T');
    int64_t us = rounds_so_far() == 1 ? 1000000 : 200 * (int64_t)(rounds_so_far() - 1);
    for (int i = 0; i < 100; i++)
        histogram_record(bench_samples(round, THING), us * 1000);
    return 0;
}

/* The machine drifts: so does the yardstick. */
static int measure_yardstick(struct bench_round *round)
{
    note_call('Y');
    unsigned rounds = rounds_so_far();
    bench_number(round, YARDSTICK, rounds == 1 ? 1 : 100e3 * (rounds - 1));
    return 0;
}

static int measure_lacking(struct bench_round *round)
{
    bench_skip(round, LACKING, "this machine has no %s", "sundial");
    return 0;
}

static int measure_broken(struct bench_round *round)
{
    (void)round;
    return -EIO;
}

static const char *const figures[FIGURE_COUNT] = {
    [THING] = "thing", [YARDSTICK] = "yardstick", [LACKING] = "lacking", [BROKEN] = "broken"};

static const struct bench_probe probes[] = {
    {"thing", measure_thing, {THING}},
    {"yardstick", measure_yardstick, {YARDSTICK}},
    {"lacking", measure_lacking, {LACKING}},
    {"broken", measure_broken, {BROKEN}},
};

static const struct bench_metric metrics[] = {
    {.name = "thing_us", .unit = "us", .figure = THING, .scale = 1e-3, .target = 1},
    {.name = "thing_ratio",
     .unit = "ratio",
     .figure = THING,
     .yardstick = YARDSTICK,
     .is_ratio = true,
     .target = 2.1},
    {.name = "lacking", .unit = "us", .figure = LACKING, .target = 1},
    {.name = "against_lacking", .unit = "us", .figure = THING, .yardstick = LACKING},
    {.name = "broken", .unit = "us", .figure = BROKEN},
};

static const struct bench_case fake_case = {
    .name = "fake",
    .summary = "measures nothing",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = COUNT(probes),
    .metrics = metrics,
    .metric_count = COUNT(metrics),
};

static struct record fake_record;

static void run_fake_case(void)
{
    struct bench_options options = {.quick = true, .seed = 42};

    memset(calls, 0, sizeof(calls));
    ck_assert_int_eq(bench_run(&fake_case, &options, &fake_record), 0);
}

START_TEST(yardsticks_take_turns_with_what_they_measure)
{
    ck_assert_uint_ge(strlen(calls), 2 * (1 + 3));
    for (size_t i = 0; calls[i]; i++)
        ck_assert_int_eq(calls[i], i % 2 == 0 ? 'T' : 'Y');
    ck_assert_uint_eq(fake_record.rounds, 3);
    ck_assert_uint_eq(rounds_so_far(), 1 + fake_record.rounds + fake_record.rounds_discarded);
    ck_assert_uint_eq(fake_record.seed, 42);
}
END_TEST

START_TEST(a_metric_is_the_median_of_the_counted_rounds)
{
    const struct record_result *thing = compare_find(&fake_record, "thing_us");

    /* Which rounds count depends on how quiet they were; warming up never does. */
    ck_assert_double_ge(thing->value, 200);
    ck_assert_double_le(thing->value, 1000 * 1.04);
    ck_assert_double_lt(thing->percentiles.max, 1001);
    ck_assert_double_ge(thing->percentiles.max, thing->value);
    ck_assert(!thing->pass);
    ck_assert(!thing->failed);
}
END_TEST

START_TEST(a_ratio_is_formed_within_each_round)
{
    const struct record_result *ratio = compare_find(&fake_record, "thing_ratio");

    ck_assert_double_eq_tol(ratio->ratio, 2, 0.08); /* the histogram's resolution */
    ck_assert_double_eq(ratio->value, ratio->ratio);
    ck_assert_double_lt(ratio->spread, 0.04);
    ck_assert_str_eq(ratio->yardstick, "yardstick");
    ck_assert(ratio->pass);
}
END_TEST

START_TEST(what_is_missing_is_said_and_why)
{
    const struct record_result *lacking = compare_find(&fake_record, "lacking");
    const struct record_result *against = compare_find(&fake_record, "against_lacking");
    const struct record_result *broken = compare_find(&fake_record, "broken");

    ck_assert_str_eq(lacking->skipped, "this machine has no sundial");
    ck_assert_double_nan(lacking->value);
    ck_assert(!lacking->failed);
    ck_assert_str_eq(against->skipped, lacking->skipped);
    ck_assert(broken->failed);
    ck_assert_ptr_nonnull(strstr(broken->skipped, strerror(EIO)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench");
    TCase *arithmetic = tcase_create("arithmetic");
    TCase *harness = tcase_create("harness");

    tcase_add_test(arithmetic, a_median_is_not_moved_by_one_bad_round);
    tcase_add_test(arithmetic, the_spread_is_that_of_the_middle_half);
    tcase_add_test(arithmetic, each_round_is_divided_by_its_own_yardstick);
    tcase_add_test(arithmetic, ratios_are_compared_where_both_runs_have_them);
    tcase_add_test(arithmetic, higher_is_better_where_the_metric_says_so);
    tcase_add_test(arithmetic, noise_widens_the_band);
    tcase_add_test(arithmetic, what_has_no_value_cannot_be_compared);
    tcase_add_test(arithmetic, a_record_comes_back_from_its_line);
    tcase_add_test(arithmetic, the_last_record_of_the_case_in_a_file_is_taken);
    tcase_add_test(arithmetic, a_file_that_is_something_else_is_refused);
    tcase_add_test(arithmetic, a_target_is_met_from_its_own_side);
    suite_add_tcase(suite, arithmetic);
    tcase_add_checked_fixture(harness, run_fake_case, NULL);
    tcase_add_test(harness, yardsticks_take_turns_with_what_they_measure);
    tcase_add_test(harness, a_metric_is_the_median_of_the_counted_rounds);
    tcase_add_test(harness, a_ratio_is_formed_within_each_round);
    tcase_add_test(harness, what_is_missing_is_said_and_why);
    suite_add_tcase(suite, harness);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
