/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-bench: runs cases, prints what they found, judges it. Results go to stdout, all else to
 * stderr. Exit code 0; 1 when a case could not run, or a target was missed with --assert, or
 * something became slower with --compare; 78 for a wrong option.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "bench/cases.h"
#include "bench/compare.h"
#include "bench/report.h"
#include "bench/table.h"

struct options {
    struct bench_options bench;
    bool json;
    bool must_meet;      /* --assert */
    const char *compare; /* a file of older records; NULL: none */
    const char *report;  /* a folder for the page; NULL: none */
    const char **names;  /* cases to run */
    unsigned name_count; /* 0: all */
    bool done;           /* --help or --list was all that was asked */
};

enum flag {
    FLAG_JSON = 1,
    FLAG_QUICK,
    FLAG_ASSERT,
    FLAG_COMPARE,
    FLAG_REPORT,
    FLAG_SEED,
    FLAG_LIST,
    FLAG_HELP
};

static const struct option flags[] = {
    {"json", no_argument, NULL, FLAG_JSON},
    {"quick", no_argument, NULL, FLAG_QUICK},
    {"assert", no_argument, NULL, FLAG_ASSERT},
    {"compare", required_argument, NULL, FLAG_COMPARE},
    {"report", required_argument, NULL, FLAG_REPORT},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"list", no_argument, NULL, FLAG_LIST},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static const char help[] =
    "Usage: simcast-bench [CASE|all]... [OPTION]...\n"
    "Measures how fast simcast is, as ratios to yardsticks that run in turn with it.\n"
    "\n"
    "  --quick           fewer and shorter rounds, under a minute for each case\n"
    "  --json            one line of JSON per case on stdout instead of tables\n"
    "  --assert          exit with 1 when a target is missed\n"
    "  --compare FILE    say what changed since FILE, made with --json; exit with 1 when\n"
    "                    something became worse by more than the noise\n"
    "  --report DIR      writes DIR/index.html, one page with plots, and DIR/results.json\n"
    "  --seed N          repeats the random parts of a run; the seed is printed each time\n"
    "  --list            names the cases and their metrics\n"
    "\n"
    "  simcast-bench ring --quick\n"
    "  simcast-bench ring --json > before.json\n"
    "  simcast-bench ring --compare before.json --assert\n"
    "\n"
    "Let nothing else run meanwhile. docs/benchmarks.md explains each metric.\n"
    "\n"
    "Cases:\n";

static void print_help(void)
{
    fputs(help, stdout);
    for (size_t i = 0; i < BENCH_CASE_COUNT; i++)
        printf("  %-10s %s\n", bench_cases[i]->name, bench_cases[i]->summary);
}

static void print_list(void)
{
    for (size_t i = 0; i < BENCH_CASE_COUNT; i++) {
        printf("%s: %s\n", bench_cases[i]->name, bench_cases[i]->summary);
        for (unsigned j = 0; j < bench_cases[i]->metric_count; j++)
            printf("  %s\n", bench_cases[i]->metrics[j].name);
    }
}

/* ---- options ------------------------------------------------------------------------------- */

static bool take_seed(const char *text, uint64_t *ret_seed)
{
    char *end;

    errno = 0;
    *ret_seed = strtoull(text, &end, 0);
    /* JSON's integers end at 2^63 - 1. */
    return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *ret_seed <= INT64_MAX;
}

static bool take_flag(enum flag flag, const char *value, struct options *options)
{
    switch (flag) {
    case FLAG_JSON:
        options->json = true;
        return true;
    case FLAG_QUICK:
        options->bench.quick = true;
        return true;
    case FLAG_ASSERT:
        options->must_meet = true;
        return true;
    case FLAG_COMPARE:
        options->compare = value;
        return true;
    case FLAG_REPORT:
        options->report = value;
        return true;
    case FLAG_SEED:
        if (take_seed(value, &options->bench.seed))
            return true;
        log_error("--seed %.80s: expected a whole number from 0 to 2^63 - 1", value);
        return false;
    case FLAG_LIST:
        options->done = true;
        print_list();
        return true;
    case FLAG_HELP:
        options->done = true;
        print_help();
        return true;
    }
    return false;
}

static const struct bench_case *find_case(const char *name)
{
    for (size_t i = 0; i < BENCH_CASE_COUNT; i++) {
        if (strcmp(bench_cases[i]->name, name) == 0)
            return bench_cases[i];
    }
    return NULL;
}

static bool take_names(int argc, char **argv, struct options *options)
{
    options->names = (const char **)&argv[optind];
    options->name_count = (unsigned)(argc - optind);
    for (int i = optind; i < argc; i++) {
        if (strcmp(argv[i], "all") == 0) {
            options->name_count = 0;
        } else if (!find_case(argv[i])) {
            log_error("there is no case named '%.80s'; --list names them all", argv[i]);
            return false;
        }
    }
    return true;
}

static bool parse(int argc, char **argv, struct options *options)
{
    int flag;

    opterr = 0;
    while ((flag = getopt_long(argc, argv, ":", flags, NULL)) != -1) {
        if (flag == '?' || flag == ':') {
            log_error("%s '%.80s'; try --help",
                      flag == ':' ? "no value is given for" : "there is no option",
                      argv[optind - 1]);
            return false;
        }
        if (!take_flag((enum flag)flag, optarg, options))
            return false;
    }
    return take_names(argc, argv, options);
}

/* ---- running ------------------------------------------------------------------------------- */

static bool is_wanted(const struct options *options, const struct bench_case *bench_case)
{
    for (unsigned i = 0; i < options->name_count; i++) {
        if (strcmp(options->names[i], bench_case->name) == 0)
            return true;
    }
    return options->name_count == 0;
}

/* Reads the older record before anything is measured, so that a wrong file costs no time. */
static bool read_older(const struct options *options, const struct bench_case *bench_case,
                       struct record *ret_record)
{
    int error = record_read(options->compare, bench_case->name, ret_record);

    if (error == -ENOENT)
        log_error("%s cannot be read or has no case '%s'; make it with --json", options->compare,
                  bench_case->name);
    else if (error == -EPROTO)
        log_error("%s is not made of lines that --json prints", options->compare);
    else if (error < 0)
        log_error("%s cannot be read: %s", options->compare, strerror(-error));
    return error == 0;
}

/* Returns whether all that was asked to hold holds. */
static bool judge(const struct options *options, const struct record *record)
{
    unsigned missed = 0;
    unsigned failed = 0;

    for (size_t i = 0; i < record->result_count; i++) {
        const struct record_result *result = &record->results[i];
        failed += result->failed;
        missed += !result->skipped[0] && !isnan(result->target) && !result->pass;
    }
    if (failed > 0)
        log_error("%s: %u metrics could not be measured", record->case_name, failed);
    if (missed > 0 && options->must_meet)
        log_error("%s: %u targets were missed", record->case_name, missed);
    return failed == 0 && (missed == 0 || !options->must_meet);
}

static bool run_case(const struct options *options, const struct bench_case *bench_case,
                     struct report *report)
{
    static struct record record;
    static struct record older;
    bool fine;

    if (options->compare && !read_older(options, bench_case, &older))
        return false;
    int error = bench_run(bench_case, &options->bench, &record);
    if (error == 0 && options->json)
        error = record_write(&record, stdout);
    if (error == 0 && report)
        error = report_add(report, &record);
    if (error < 0) {
        log_error("case '%s' did not end: %s", bench_case->name, strerror(-error));
        return false;
    }
    if (!options->json)
        table_write(&record, stdout);
    fine = judge(options, &record);
    if (options->compare) {
        unsigned worse = table_compare(&older, &record, options->json ? stderr : stdout);
        if (worse > 0)
            log_error("%s: %u metrics became worse", record.case_name, worse);
        fine = fine && worse == 0;
    }
    return fine;
}

static bool run_cases(const struct options *options)
{
    struct report *report = NULL;
    bool fine = true;

    int error = options->report ? report_open(options->report, &report) : 0;
    for (size_t i = 0; i < BENCH_CASE_COUNT && error == 0; i++) {
        if (is_wanted(options, bench_cases[i]))
            fine = run_case(options, bench_cases[i], report) && fine;
    }
    if (error == 0)
        error = report_close(report);
    if (error < 0)
        log_error("the report in %s cannot be written: %s", options->report, strerror(-error));
    else if (options->report)
        fprintf(stderr, "The report: %s/index.html\n", options->report);
    return fine && error == 0;
}

int main(int argc, char **argv)
{
    struct options options = {.bench.seed = (uint64_t)clock_wall_ns()};

    log_init("simcast-bench", LOG_LEVEL_WARNING);
    if (!parse(argc, argv, &options))
        return EX_CONFIG;
    return options.done || run_cases(&options) ? 0 : 1;
}
