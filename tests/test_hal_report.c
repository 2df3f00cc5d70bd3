/* SPDX-License-Identifier: Apache-2.0 */
/* What the HAL tells of itself: JSON that fits its buffer, with buckets that only grow. */
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "base/clock.h"
#include "hal/report.h"
#include "safety/gate.h"

static struct stats_values before;
static struct stats_values now;

static json_t *parse(const char *text, size_t bytes)
{
    ck_assert_uint_eq(strlen(text), bytes);
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(object);
    return object;
}

static json_int_t whole(const json_t *object, const char *key)
{
    ck_assert(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

START_TEST(the_loop_is_told_since_the_start_in_buckets)
{
    char text[HAL_LOOP_BYTES];

    for (int64_t i = 1; i <= 1000; i++)
        histogram_record(&now.latency, i * NS_PER_US);
    histogram_record(&now.latency, 2 * NS_PER_S);
    now.periods = 1000;
    now.overruns = 3;
    now.mode = GATE_HOLD;
    json_t *loop = parse(text, hal_report_loop("front", "trot", &now, text));
    ck_assert_str_eq(json_string_value(json_object_get(loop, "stream")), "front");
    ck_assert_str_eq(json_string_value(json_object_get(loop, "mode")), "HOLD");
    ck_assert_int_eq(whole(loop, "overruns"), 3);
    const json_t *bounds = json_object_get(loop, "bounds_us");
    const json_t *latency = json_object_get(loop, "latency");
    const json_t *buckets = json_object_get(latency, "buckets");
    ck_assert_int_eq(whole(latency, "count"), 1001);
    ck_assert_uint_eq(json_array_size(bounds), json_array_size(buckets));
    for (size_t i = 0; i < json_array_size(bounds); i++) {
        json_int_t bound = json_integer_value(json_array_get(bounds, i));
        json_int_t expected = bound < 1000 ? bound : 1000;
        json_int_t count = json_integer_value(json_array_get(buckets, i));
        ck_assert_int_ge(count, expected);
        ck_assert_int_le(count, expected + expected / 31 + 1);
    }
    json_decref(loop);
}
END_TEST

START_TEST(people_are_told_of_the_last_second)
{
    char text[HAL_REPORT_BYTES];

    histogram_record(&now.step, 5 * NS_PER_US);
    histogram_record(&now.step, 900 * NS_PER_US);
    histogram_record(&now.reaction, 70 * NS_PER_US);
    before = now;
    for (unsigned i = 0; i < 100; i++)
        histogram_record(&now.step, 50 * NS_PER_US);
    now.periods = before.periods + 100;
    json_t *stats = parse(text, hal_report("trot", &before, &now, text));
    const json_t *step = json_object_get(stats, "step_us");
    ck_assert_double_eq_tol(json_real_value(json_object_get(step, "p50")), 50, 2);
    ck_assert_double_eq_tol(json_real_value(json_object_get(step, "max")), 50, 2);
    ck_assert(json_is_null(json_object_get(json_object_get(stats, "reaction_us"), "p50")));
    ck_assert_int_eq(whole(stats, "rate_hz"), 100);
    json_decref(stats);
}
END_TEST

START_TEST(a_policys_name_cannot_break_the_json)
{
    char text[HAL_REPORT_BYTES];
    json_t *stats = parse(text, hal_report("my \"own\"\\\n", &before, &now, text));

    ck_assert_str_eq(json_string_value(json_object_get(stats, "policy")), "my ?own???");
    json_decref(stats);
}
END_TEST

START_TEST(the_longest_texts_fit)
{
    char text[HAL_REPORT_BYTES];
    char loop[HAL_LOOP_BYTES];
    char name[128];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(&now, 0x7f, sizeof(now));
    now.mode = GATE_ESTOP;
    memset(&before, 0, sizeof(before));
    json_decref(parse(text, hal_report(name, &before, &now, text)));
    json_decref(parse(loop, hal_report_loop(name, name, &now, loop)));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("report");
    Suite *suite = suite_create("hal_report");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_test(cases, the_loop_is_told_since_the_start_in_buckets);
    tcase_add_test(cases, people_are_told_of_the_last_second);
    tcase_add_test(cases, a_policys_name_cannot_break_the_json);
    tcase_add_test(cases, the_longest_texts_fit);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
