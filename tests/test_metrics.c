/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/metrics.h: which bucket a time falls into, and that sums and counts agree. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "daemon/metrics.h"

static struct counters counters;
static struct metrics metrics;
static struct metrics_stages stages;
static char *page;

static void set_up(void)
{
    counters = (struct counters){.frames_broadcast = 7};
    metrics = (struct metrics){0};
    stages = (struct metrics_stages){0};
    page = NULL;
}

static void tear_down(void)
{
    free(page);
}

static void write_page(int64_t age_ns)
{
    const struct metrics_state state = {
        .counters = &counters,
        .clients = 3,
        .last_frame_age_ns = age_ns,
        .gate_mode = "HOLD",
    };
    size_t bytes;
    FILE *file = open_memstream(&page, &bytes);

    ck_assert_ptr_nonnull(file);
    metrics_write(file, &metrics, &state);
    metrics_write_stages_head(file);
    metrics_write_stages(file, "arm+jpeg", &stages);
    ck_assert_int_eq(fclose(file), 0);
}

static void has(const char *line)
{
    ck_assert_msg(strstr(page, line) != NULL, "'%s' is not in:\n%s", line, page);
}

START_TEST(buckets_are_cumulative_and_hold_their_bound)
{
    metrics_record(&stages, METRICS_ENCODE, 1000000);
    metrics_record(&stages, METRICS_ENCODE, 1000001);
    metrics_record(&stages, METRICS_ENCODE, 5 * NS_PER_S);
    metrics_record(&stages, METRICS_ENCODE, -1);
    write_page(-1);
    has("simcast_stage_seconds_bucket{stream=\"arm+jpeg\",stage=\"encode\",le=\"0.0005\"} 1\n");
    has("simcast_stage_seconds_bucket{stream=\"arm+jpeg\",stage=\"encode\",le=\"0.001\"} 2\n");
    has("simcast_stage_seconds_bucket{stream=\"arm+jpeg\",stage=\"encode\",le=\"0.0025\"} 3\n");
    has("simcast_stage_seconds_bucket{stream=\"arm+jpeg\",stage=\"encode\",le=\"1\"} 3\n");
    has("simcast_stage_seconds_bucket{stream=\"arm+jpeg\",stage=\"encode\",le=\"+Inf\"} 4\n");
    has("simcast_stage_seconds_count{stream=\"arm+jpeg\",stage=\"encode\"} 4\n");
    has("simcast_stage_seconds_sum{stream=\"arm+jpeg\",stage=\"encode\"} 5.002000001\n");
}
END_TEST

START_TEST(unknown_stamps_are_not_recorded)
{
    struct packet packet = {.stamp_ns = {0, 1000, 2000, 0, 5000}};

    metrics_record_packet(&stages, &packet, 6000, 9000);
    ck_assert_uint_eq(stages.of[METRICS_RENDER].count, 0);
    ck_assert_uint_eq(stages.of[METRICS_ENCODE].count, 0);
    ck_assert_uint_eq(stages.of[METRICS_PUBLISH].count, 0);
    ck_assert_int_eq(stages.of[METRICS_WAIT].sum_ns, 1000);
    ck_assert_int_eq(stages.of[METRICS_WAKE].sum_ns, 1000);
    ck_assert_int_eq(stages.of[METRICS_FANOUT].sum_ns, 3000);
}
END_TEST

START_TEST(the_state_is_told)
{
    write_page(1500 * NS_PER_MS);
    has("simcast_frames_broadcast_total 7\n");
    has("# TYPE simcast_frames_broadcast_total counter\n");
    has("simcast_clients 3\n");
    has("simcast_last_frame_age_seconds 1.5\n");
    has("simcast_gate{state=\"HOLD\"} 1\n");
    has("simcast_gate{state=\"ARMED\"} 0\n");
}
END_TEST

START_TEST(before_the_first_frame_it_has_no_age)
{
    write_page(-1);
    ck_assert_ptr_null(strstr(page, "last_frame_age"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, buckets_are_cumulative_and_hold_their_bound);
    tcase_add_test(tcase, unknown_stamps_are_not_recorded);
    tcase_add_test(tcase, the_state_is_told);
    tcase_add_test(tcase, before_the_first_frame_it_has_no_age);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
