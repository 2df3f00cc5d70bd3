/* SPDX-License-Identifier: Apache-2.0 */
/* The control loops on simcastd's metrics page: what a HAL tells, and what is no such message. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "daemon/hal_metrics.h"
#include "hal/report.h"
#include "safety/gate.h"

#define NOW_NS (100 * NS_PER_S)

static struct hal_metrics metrics;
static struct stats_values values;
static char json[HAL_LOOP_BYTES];
static char *page;

static void set_up(void)
{
    memset(&metrics, 0, sizeof(metrics));
    histogram_record(&values.latency, 30 * NS_PER_US);
    histogram_record(&values.latency, 30 * NS_PER_MS);
    values.periods = 12;
    values.mode = GATE_ESTOP;
}

static void tear_down(void)
{
    free(page);
}

static int take(const char *stream, int64_t now_ns)
{
    size_t bytes = hal_report_loop(stream, "trot", &values, json);

    return hal_metrics_take(&metrics, json, bytes, now_ns);
}

static const char *write_page(int64_t now_ns)
{
    size_t bytes;

    free(page);
    FILE *file = open_memstream(&page, &bytes);
    hal_metrics_write(file, &metrics, now_ns);
    fclose(file);
    return page;
}

static bool has(const char *line)
{
    return strstr(page, line) != NULL;
}

static unsigned count(const char *text)
{
    unsigned found = 0;

    for (const char *at = page; (at = strstr(at, text)); at += strlen(text))
        found++;
    return found;
}

START_TEST(what_a_hal_tells_is_on_the_page)
{
    ck_assert_str_eq(write_page(NOW_NS), "");
    ck_assert_int_eq(take("front", NOW_NS), 0);
    ck_assert_int_eq(take("second", NOW_NS), 0);
    write_page(NOW_NS + NS_PER_S);
    ck_assert(has("# TYPE simcast_hal_latency_seconds histogram\n"));
    ck_assert(has("simcast_hal_latency_seconds_bucket{stream=\"front\",le=\"2.5e-05\"} 0\n"));
    ck_assert(has("simcast_hal_latency_seconds_bucket{stream=\"front\",le=\"4e-05\"} 1\n"));
    ck_assert(has("simcast_hal_latency_seconds_bucket{stream=\"front\",le=\"0.1\"} 2\n"));
    ck_assert(has("simcast_hal_latency_seconds_bucket{stream=\"front\",le=\"+Inf\"} 2\n"));
    ck_assert(has("simcast_hal_latency_seconds_sum{stream=\"front\"} 0.03003\n"));
    ck_assert(has("simcast_hal_periods_total{stream=\"second\"} 12\n"));
    ck_assert(has("simcast_hal_mode{stream=\"front\",state=\"ESTOP\"} 1\n"));
    ck_assert(has("simcast_hal_mode{stream=\"front\",state=\"ARMED\"} 0\n"));
    ck_assert_uint_eq(count("# TYPE simcast_hal_jitter_seconds "), 1);
}
END_TEST

START_TEST(who_fell_silent_is_left_out_and_makes_room)
{
    char name[8] = "robotX";

    for (unsigned i = 0; i < HAL_METRICS_ROBOTS; i++) {
        name[5] = (char)('a' + i);
        ck_assert_int_eq(take(name, NOW_NS), 0);
    }
    ck_assert_int_eq(take("another", NOW_NS), -ENOSPC);
    ck_assert_int_eq(take("robota", NOW_NS + HAL_METRICS_NS_MAX), 0);
    ck_assert_int_eq(take("another", NOW_NS + HAL_METRICS_NS_MAX + 1), 0);
    write_page(NOW_NS + HAL_METRICS_NS_MAX + 1);
    ck_assert(has("stream=\"robota\"") && has("stream=\"another\"") && !has("stream=\"robotb\""));
}
END_TEST

START_TEST(what_is_no_such_message_is_refused)
{
    static const struct {
        const char *what;
        const char *with; /* of the same length or shorter */
    } wrong[] = {
        {"\"front\"", "\"fr\\\"t\""},
        {"\"front\"", "\"\""},
        {"ESTOP", "WALTZ"},
        {"[10,15,", "[15,15,"},
        {"[10,", "[0,"},
        {"\"count\":2", "\"count\":1"},
        {"\"periods\":12", "\"periods\":-2"},
        {"\"periods\":", "\"episode\":"},
        {"\"jitter\":{", "\"jitter\":["},
        {"\"sum_us\":", "\"sum_us\":-1"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[HAL_LOOP_BYTES];
        hal_report_loop("front", "trot", &values, json);
        char *at = strstr(json, wrong[i].what);
        ck_assert_ptr_nonnull(at);
        size_t bytes = (size_t)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - json), json,
                                        wrong[i].with, at + strlen(wrong[i].what));
        ck_assert_msg(hal_metrics_take(&metrics, text, bytes, NOW_NS) == -EPROTO, "%s",
                      wrong[i].with);
    }
    size_t bytes = hal_report_loop("front", "trot", &values, json);
    for (size_t cut = 0; cut < bytes; cut++)
        ck_assert_int_eq(hal_metrics_take(&metrics, json, cut, NOW_NS), -EPROTO);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("hal_metrics");
    Suite *suite = suite_create("hal_metrics");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, what_a_hal_tells_is_on_the_page);
    tcase_add_test(cases, who_fell_silent_is_left_out_and_makes_room);
    tcase_add_test(cases, what_is_no_such_message_is_refused);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
