/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram against sorted values. */
#include <math.h>
#include <stdlib.h>

#include <check.h>

#include "base/histogram.h"
#include "tests/support.h"

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

START_TEST(percentiles_are_within_a_bucket_of_the_sorted_truth)
{
    enum { COUNT = 20000 };
    static int64_t values[COUNT];
    static struct histogram histogram;
    uint64_t random = support_seed("histogram");
    const double percents[] = {0, 1, 50, 90, 99, 99.9, 100};

    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = (int64_t)(support_random(&random) >> (24 + support_random(&random) % 38));
        histogram_record(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (unsigned i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        unsigned rank = (unsigned)ceil(percents[i] / 100 * COUNT);
        int64_t truth = values[rank > 0 ? rank - 1 : 0];
        int64_t got = histogram_percentile_ns(&histogram, percents[i]);
        ck_assert_int_ge(got, truth);
        ck_assert_int_le(got, truth + truth / 31 + 1);
    }
    ck_assert_int_eq(histogram.max_ns, values[COUNT - 1]);
}
END_TEST

START_TEST(merging_equals_recording_together)
{
    static struct histogram one;
    static struct histogram two;
    static struct histogram both;

    ck_assert_int_eq(histogram_percentile_ns(&one, 50), 0);
    for (int64_t i = 0; i < 1000; i++) {
        histogram_record(i % 2 ? &one : &two, i * i);
        histogram_record(&both, i * i);
    }
    histogram_record(&one, -5);
    histogram_record(&both, -5);
    histogram_record(&two, INT64_MAX);
    histogram_record(&both, INT64_MAX);
    histogram_merge(&one, &two);
    ck_assert_mem_eq(&one, &both, sizeof(one));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *cases = tcase_create("histogram");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, percentiles_are_within_a_bucket_of_the_sorted_truth);
    tcase_add_test(cases, merging_equals_recording_together);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
