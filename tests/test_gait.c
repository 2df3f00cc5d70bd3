/* SPDX-License-Identifier: Apache-2.0 */
/* The gait alone: geometry of the legs, order of the feet, starting and stopping. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "motion/gait.h"
#include "tests/support.h"

#define STEP_S 0.002

static struct gait gait;
static double joints[ROBOT_JOINTS];

static void set_up(void)
{
    gait_init(&gait);
}

/* A body that moves exactly as commanded. */
static struct gait_input ideal(double forward, double left, double turn)
{
    return (struct gait_input){
        .command = {forward, left, turn}, .measured = {forward, left, turn}, .alpha = 1};
}

static double unit_random(uint64_t *random)
{
    return (double)(support_random(random) >> 11) / (double)(UINT64_C(1) << 53);
}

static double foot_height(unsigned leg)
{
    double foot_m[3];

    gait_leg_foot(leg, joints + (size_t)3 * leg, foot_m);
    return foot_m[2] + GAIT_STAND_M;
}

START_TEST(leg_angles_and_foot_are_inverse)
{
    uint64_t random = support_seed(__func__);

    for (unsigned i = 0; i < 5000; i++) {
        unsigned leg = i % GAIT_LEGS;
        double wanted_m[3] = {0.30 * unit_random(&random) - 0.15,
                              0.20 * unit_random(&random) - 0.10 +
                                  (leg % 2 == 0 ? GAIT_HIP_M : -GAIT_HIP_M),
                              -0.32 + 0.16 * unit_random(&random)};
        double angles_rad[3];
        double got_m[3];

        gait_leg_angles(leg, wanted_m, angles_rad);
        gait_leg_foot(leg, angles_rad, got_m);
        for (unsigned axis = 0; axis < 3; axis++)
            ck_assert_double_eq_tol(got_m[axis], wanted_m[axis], 1e-9);
        ck_assert_double_le(angles_rad[2], 0);
    }
}
END_TEST

START_TEST(a_point_out_of_reach_gives_the_straight_leg)
{
    const double far_m[3] = {0.1, GAIT_HIP_M, -2.0};
    double angles_rad[3];

    gait_leg_angles(0, far_m, angles_rad);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(isfinite(angles_rad[i]));
    ck_assert_double_eq_tol(angles_rad[2], 0, 1e-9);
}
END_TEST

START_TEST(it_stands_still_without_a_command)
{
    struct gait_input input = ideal(0, 0, 0);

    gait_step(&gait, &input, STEP_S, joints);
    for (unsigned i = 0; i < 2000; i++) {
        double before = joints[i % ROBOT_JOINTS];
        gait_step(&gait, &input, STEP_S, joints);
        ck_assert_double_eq(joints[i % ROBOT_JOINTS], before);
    }
    for (unsigned leg = 0; leg < GAIT_LEGS; leg++)
        ck_assert_double_eq_tol(foot_height(leg), 0, 1e-9);
}
END_TEST

START_TEST(diagonal_legs_swing_together_and_never_all_at_once)
{
    struct gait_input input = ideal(0.4, 0, 0);
    unsigned swings[GAIT_LEGS] = {0};

    for (unsigned i = 0; i < 5000; i++) {
        bool up[GAIT_LEGS];
        gait_step(&gait, &input, STEP_S, joints);
        for (unsigned leg = 0; leg < GAIT_LEGS; leg++) {
            up[leg] = foot_height(leg) > 1e-6;
            swings[leg] += up[leg];
        }
        ck_assert_int_eq(up[0], up[3]);
        ck_assert_int_eq(up[1], up[2]);
        ck_assert(!(up[0] && up[1]));
    }
    for (unsigned leg = 0; leg < GAIT_LEGS; leg++)
        ck_assert_uint_gt(swings[leg], 1000);
}
END_TEST

START_TEST(a_standing_foot_moves_back_at_the_bodys_speed)
{
    struct gait_input input = ideal(0.4, 0, 0);
    unsigned checked = 0;
    unsigned differ = 0;

    for (unsigned i = 0; i < 3000; i++) {
        double before_m[3];
        double after_m[3];
        bool was_down = i > 0 && foot_height(0) < 1e-9;
        gait_leg_foot(0, joints, before_m);
        input.measured[0] = gait.velocity[0];
        gait_step(&gait, &input, STEP_S, joints);
        gait_leg_foot(0, joints, after_m);
        if (i < 1000 || !was_down || foot_height(0) > 1e-9)
            continue;
        differ += fabs((before_m[0] - after_m[0]) / STEP_S - 0.4) > 0.01;
        checked++;
    }
    ck_assert_uint_le(differ, checked / 50); /* the step in which it is put down or lifted */
    ck_assert_uint_gt(checked, 500);
}
END_TEST

START_TEST(joints_move_smoothly_and_within_their_ranges)
{
    uint64_t random = support_seed(__func__);
    struct gait_input input = ideal(0, 0, 0);
    double before[ROBOT_JOINTS];
    double jump_rad_max = 0;
    double angle_rad_max = 0;

    gait_step(&gait, &input, STEP_S, joints);
    for (unsigned i = 0; i < 50000; i++) {
        for (unsigned axis = 0; axis < 3 && i % 250 == 0; axis++) {
            input.command[axis] = 4 * unit_random(&random) - 2; /* far over the limits */
            input.measured[axis] = gait.velocity[axis];
        }
        for (unsigned joint = 0; joint < ROBOT_JOINTS; joint++)
            before[joint] = joints[joint];
        gait_step(&gait, &input, STEP_S, joints);
        for (unsigned joint = 0; joint < ROBOT_JOINTS; joint++) {
            jump_rad_max = fmax(jump_rad_max, fabs(joints[joint] - before[joint]));
            angle_rad_max = fmax(angle_rad_max, fabs(joints[joint]));
        }
    }
    ck_assert_double_lt(jump_rad_max, 0.12);
    ck_assert_double_lt(angle_rad_max, 2.7);
}
END_TEST

START_TEST(it_stops_on_all_feet_within_a_second)
{
    struct gait_input go = ideal(0.5, 0, 0.3);
    struct gait_input halt = ideal(0, 0, 0);

    for (unsigned i = 0; i < 1000; i++)
        gait_step(&gait, &go, STEP_S, joints);
    ck_assert(gait.stepping);
    for (unsigned i = 0; i < 600; i++)
        gait_step(&gait, &halt, STEP_S, joints);
    ck_assert(!gait.stepping);
    for (unsigned leg = 0; leg < GAIT_LEGS; leg++)
        ck_assert_double_eq_tol(foot_height(leg), 0, 1e-9);
}
END_TEST

START_TEST(alpha_zero_stands_whatever_the_command)
{
    struct gait_input input = ideal(0.5, 0.2, 1.0);

    input.alpha = 0;
    for (unsigned i = 0; i < 1000; i++)
        gait_step(&gait, &input, STEP_S, joints);
    ck_assert(!gait.stepping);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gait");
    TCase *tcase = tcase_create("gait");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, leg_angles_and_foot_are_inverse);
    tcase_add_test(tcase, a_point_out_of_reach_gives_the_straight_leg);
    tcase_add_test(tcase, it_stands_still_without_a_command);
    tcase_add_test(tcase, diagonal_legs_swing_together_and_never_all_at_once);
    tcase_add_test(tcase, a_standing_foot_moves_back_at_the_bodys_speed);
    tcase_add_test(tcase, joints_move_smoothly_and_within_their_ranges);
    tcase_add_test(tcase, it_stops_on_all_feet_within_a_second);
    tcase_add_test(tcase, alpha_zero_stands_whatever_the_command);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
