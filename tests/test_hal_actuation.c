/* SPDX-License-Identifier: Apache-2.0 */
/* What the joints are told, by mode; no jerk whatever changes; the poses behind it. */
#include <math.h>
#include <string.h>

#include <check.h>

#include "hal/actuation.h"
#include "hal/pose.h"

#define DT_S 0.01F

static struct actuation actuation;
static struct robot_action action;
static float stand[ROBOT_JOINTS];
static float wish[ROBOT_JOINTS]; /* the policy's */

static void set_up(void)
{
    pose_stand(stand);
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        wish[i] = stand[i] + 0.4F;
    actuation_init(&actuation, stand);
    memset(&action, 0, sizeof(action));
}

static struct actuation_input armed(void)
{
    return (struct actuation_input){
        .mode = GATE_ARMED, .policy_joints_rad = wish, .alpha = 1, .dt_s = DT_S};
}

static void run(const struct actuation_input *input, double seconds)
{
    float before[ROBOT_JOINTS];

    for (unsigned i = 0; i < (unsigned)lround(seconds / (double)DT_S); i++) {
        memcpy(before, actuation.applied, sizeof(before));
        actuation_step(&actuation, input, &action);
        for (unsigned joint = 0; joint < ROBOT_JOINTS; joint++)
            ck_assert_float_lt(fabsf(actuation.applied[joint] - before[joint]), 0.05F);
    }
}

static void expect(const float *joints_rad, float offset)
{
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        ck_assert_float_eq_tol(action.joint_position_rad[i], joints_rad[i] + offset, 1e-5F);
}

START_TEST(armed_it_does_what_the_policy_wants)
{
    struct actuation_input input = armed();

    run(&input, 1);
    expect(wish, 0);
    ck_assert_uint_eq(action.mode, GATE_ARMED);
}
END_TEST

START_TEST(alpha_blends_with_standing_and_is_ramped)
{
    struct actuation_input input = armed();

    run(&input, 1);
    input.alpha = 0.25F;
    actuation_step(&actuation, &input, &action);
    ck_assert_float_gt(action.joint_position_rad[0], stand[0] + 0.35F);
    run(&input, 1);
    expect(stand, 0.1F);
    input.alpha = 7; /* out of range: as 1 */
    run(&input, 1);
    expect(wish, 0);
}
END_TEST

START_TEST(alpha_blends_with_what_the_operator_alone_would_do)
{
    struct actuation_input input = armed();
    float teleop[ROBOT_JOINTS];

    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        teleop[i] = stand[i] - 0.2F;
    input.teleop_joints_rad = teleop;
    input.alpha = 0.25F; /* a quarter of stand + 0.4, three quarters of stand - 0.2 */
    run(&input, 1);
    expect(stand, -0.05F);
    input.alpha = 0;
    run(&input, 1);
    expect(teleop, 0);
    input.policy_joints_rad = NULL;
    run(&input, 0.3);
    expect(stand, 0);
}
END_TEST

START_TEST(estop_stands_whatever_the_policy_wants)
{
    struct actuation_input input = armed();

    run(&input, 1);
    input.mode = GATE_ESTOP;
    actuation_step(&actuation, &input, &action);
    ck_assert_uint_eq(action.mode, GATE_ESTOP);
    run(&input, 0.3);
    expect(stand, 0);
    ck_assert_float_lt(action.stiffness_nm_per_rad, 170);
    input.mode = GATE_ARMED;
    run(&input, 0.3);
    expect(wish, 0);
}
END_TEST

START_TEST(without_an_action_it_stands)
{
    struct actuation_input input = armed();

    run(&input, 1);
    input.policy_joints_rad = NULL;
    run(&input, 0.3);
    expect(stand, 0);
}
END_TEST

START_TEST(a_policys_gains_hold_only_while_it_is_followed)
{
    struct actuation_input input = armed();

    input.stiffness_nm_per_rad = 25;
    input.damping_nms_per_rad = 0.6F;
    run(&input, 1);
    ck_assert_float_eq(action.stiffness_nm_per_rad, 25);
    ck_assert_float_eq(action.damping_nms_per_rad, 0.6F);
    input.mode = GATE_ESTOP;
    actuation_step(&actuation, &input, &action);
    ck_assert_float_gt(action.stiffness_nm_per_rad, 100);
}
END_TEST

START_TEST(it_starts_from_where_the_joints_are)
{
    struct actuation_input input = armed();
    float folded[ROBOT_JOINTS] = {0};

    actuation_init(&actuation, folded);
    actuation_step(&actuation, &input, &action);
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        ck_assert_float_lt(fabsf(action.joint_position_rad[i]), 0.15F);
}
END_TEST

START_TEST(gravity_points_down_in_the_bodys_own_frame)
{
    static const struct {
        double orientation[4];
        float gravity[3];
        bool fallen;
    } cases[] = {
        {{0, 0, 0, 1}, {0, 0, -1}, false},
        {{0, 0, 0.6, 0.8}, {0, 0, -1}, false},            /* turned */
        {{M_SQRT1_2, 0, 0, M_SQRT1_2}, {0, -1, 0}, true}, /* rolled right side down */
        {{0, M_SQRT1_2, 0, M_SQRT1_2}, {1, 0, 0}, true},  /* nose down */
        {{1, 0, 0, 0}, {0, 0, 1}, true},                  /* on its back */
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct robot_state state = {0};
        float gravity[3];
        memcpy(state.orientation_xyzw, cases[i].orientation, sizeof(state.orientation_xyzw));
        pose_gravity(state.orientation_xyzw, gravity);
        for (unsigned axis = 0; axis < 3; axis++)
            ck_assert_float_eq_tol(gravity[axis], cases[i].gravity[axis], 1e-6F);
        ck_assert_int_eq(pose_has_fallen(&state), cases[i].fallen);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("actuation");
    Suite *suite = suite_create("hal_actuation");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, armed_it_does_what_the_policy_wants);
    tcase_add_test(cases, alpha_blends_with_standing_and_is_ramped);
    tcase_add_test(cases, alpha_blends_with_what_the_operator_alone_would_do);
    tcase_add_test(cases, estop_stands_whatever_the_policy_wants);
    tcase_add_test(cases, without_an_action_it_stands);
    tcase_add_test(cases, a_policys_gains_hold_only_while_it_is_followed);
    tcase_add_test(cases, it_starts_from_where_the_joints_are);
    tcase_add_test(cases, gravity_points_down_in_the_bodys_own_frame);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
