/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that --report writes. That the page draws is looked at in a browser (tests/web). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "bench/record.h"
#include "bench/report.h"

#define PAGE_BYTES (1 << 20)

static char dir[] = "/tmp/simcast-test-XXXXXX";
static char path[64];

static void enter(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void leave(void)
{
    static const char *const made[] = {"new/results.json", "new/index.html", "new",
                                       "results.json",     "index.html",     ""};

    for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
        remove(path); /* one that a test did not make is not there */
    }
    ck_assert_int_eq(access(dir, F_OK), -1);
}

static struct record record_of(const char *case_name, const char *skipped)
{
    struct record record = {.rounds = 3, .result_count = 1};
    struct record_result *result = &record.results[0];

    snprintf(record.case_name, sizeof(record.case_name), "%s", case_name);
    *result = (struct record_result){.metric = "thing",
                                     .unit = "ratio",
                                     .figure = "the thing",
                                     .value = NAN,
                                     .ratio = NAN,
                                     .spread = NAN,
                                     .target = NAN,
                                     .percentiles.p50 = NAN};
    snprintf(result->skipped, sizeof(result->skipped), "%s", skipped);
    return record;
}

static void write_report(const char *folder)
{
    struct report *report;
    struct record first = record_of("ring", "no </script><b>yardstick");
    struct record second = record_of("hal", "no yardstick");

    ck_assert_int_eq(report_open(folder, &report), 0);
    ck_assert_int_eq(report_add(report, &first), 0);
    ck_assert_int_eq(report_add(report, &second), 0);
    ck_assert_int_eq(report_close(report), 0);
}

START_TEST(a_report_holds_the_lines_and_a_page_that_cannot_be_broken_by_them)
{
    static char page[PAGE_BYTES];
    struct record read;

    snprintf(path, sizeof(path), "%s/new", dir); /* made by report_open */
    write_report(path);
    snprintf(path, sizeof(path), "%s/new/results.json", dir);
    ck_assert_int_eq(record_read(path, "ring", &read), 0);
    ck_assert_str_eq(read.results[0].figure, "the thing");
    ck_assert_int_eq(record_read(path, "hal", &read), 0);

    snprintf(path, sizeof(path), "%s/new/index.html", dir);
    FILE *stream = fopen(path, "re");
    ck_assert_ptr_nonnull(stream);
    size_t count = fread(page, 1, sizeof(page) - 1, stream);
    ck_assert_int_eq(fclose(stream), 0);
    page[count] = '\0';
    ck_assert_ptr_nonnull(strstr(page, "no \\u003c/script>\\u003cb>yardstick"));
    ck_assert_ptr_nonnull(strstr(page, "},\n{")); /* two elements of one array */
    ck_assert_ptr_nonnull(strstr(page, "function percentilePlots"));
    ck_assert_ptr_null(strstr(page, "src="));
    ck_assert_ptr_null(strstr(page, "<b>"));
}
END_TEST

START_TEST(a_report_replaces_the_one_before)
{
    struct record read;
    struct report *report;
    struct record record = record_of("glass", "");

    write_report(dir);
    ck_assert_int_eq(report_open(dir, &report), 0);
    ck_assert_int_eq(report_add(report, &record), 0);
    ck_assert_int_eq(report_close(report), 0);
    snprintf(path, sizeof(path), "%s/results.json", dir);
    ck_assert_int_eq(record_read(path, "ring", &read), -ENOENT);
    ck_assert_int_eq(record_read(path, "glass", &read), 0);
}
END_TEST

START_TEST(a_folder_that_cannot_be_is_said_so)
{
    struct report *report = NULL;

    ck_assert_int_eq(report_open("/proc/none/such", &report), -ENOENT);
    ck_assert_ptr_null(report);
    snprintf(path, sizeof(path), "%s/index.html", dir);
    ck_assert_int_eq(mkdir(path, 0777), 0); /* where the page is to be */
    ck_assert_int_eq(report_open(dir, &report), 0);
    ck_assert_int_eq(report_close(report), -EISDIR);
    ck_assert_int_eq(report_close(NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_report");
    TCase *cases = tcase_create("report");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, enter, leave);
    tcase_add_test(cases, a_report_holds_the_lines_and_a_page_that_cannot_be_broken_by_them);
    tcase_add_test(cases, a_report_replaces_the_one_before);
    tcase_add_test(cases, a_folder_that_cannot_be_is_said_so);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
