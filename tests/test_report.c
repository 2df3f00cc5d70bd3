/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's telemetry, read back as its clients read it. */
#include <math.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "base/clock.h"
#include "sim/report.h"

static struct report report;
static const struct robot_state at_rest = {
    .magic = ROBOT_STATE_MAGIC,
    .orientation_xyzw = {0, 0, 0, 1},
    .step = 1234,
    .sim_time_ns = 2 * NS_PER_S,
};

/* The report as JSON; it must be complete and have the subject. */
static json_t *read_back(const char *subject)
{
    ck_assert_str_eq(report.subject, subject);
    ck_assert_uint_gt(report.bytes, 0);
    ck_assert_uint_eq(report.bytes, strlen(report.payload));
    json_t *object = json_loadb(report.payload, report.bytes, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_is_object(object));
    return object;
}

START_TEST(numbers_of_training_metrics_are_numbers)
{
    static const char *const numbers[] = {"step", "fps", "total_reward", "episode_length"};
    struct report_episode episode = {.steps_per_s = 500, .total_reward = 1.5, .length = 77};

    report_metrics(&at_rest, &episode, &report);
    json_t *object = read_back("telemetry.training.metrics");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        ck_assert_msg(json_is_number(json_object_get(object, numbers[i])), "%s", numbers[i]);
    ck_assert(json_is_boolean(json_object_get(object, "policy_loaded")));
    json_decref(object);
}
END_TEST

START_TEST(every_other_report_is_complete)
{
    struct report_reward reward = report_judge(&at_rest);

    report_policies("trot", &report);
    json_decref(read_back("telemetry.policy.list"));
    report_robot(&at_rest, false, &report);
    json_decref(read_back("telemetry.robot.state"));
    report_rewards(&reward, &report);
    json_decref(read_back("telemetry.reward.breakdown"));
    report_observation(&at_rest, &report);
    json_decref(read_back("telemetry.obs.breakdown"));
}
END_TEST

START_TEST(a_robot_at_rest_as_told_earns_all_and_a_moving_one_less)
{
    struct robot_state moving = at_rest;
    struct report_reward best = report_judge(&at_rest);

    moving.linear_velocity_mps[0] = 0.5F;
    ck_assert_double_eq(best.velocity, 1);
    ck_assert_double_eq(best.turn, 1);
    ck_assert_double_eq(best.upright, 1);
    ck_assert_double_lt(report_judge(&moving).velocity, 0.5);
}
END_TEST

START_TEST(a_state_that_json_cannot_hold_gives_no_report)
{
    struct robot_state broken = at_rest;

    broken.position_m[0] = NAN;
    report_robot(&broken, false, &report);
    ck_assert_uint_eq(report.bytes, 0);
    broken.joint_position_rad[3] = INFINITY;
    report_observation(&broken, &report);
    ck_assert_uint_eq(report.bytes, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tcase = tcase_create("report");

    tcase_add_test(tcase, numbers_of_training_metrics_are_numbers);
    tcase_add_test(tcase, every_other_report_is_complete);
    tcase_add_test(tcase, a_robot_at_rest_as_told_earns_all_and_a_moving_one_less);
    tcase_add_test(tcase, a_state_that_json_cannot_hold_gives_no_report);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
