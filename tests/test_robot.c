/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quadruped in real physics, faster than real time and repeatable: it must keep the velocity
 * that it is told, not fall, stop, and come back after a fall. And the point that stands in for
 * it beside the test pattern.
 */
#include <math.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "motion/gait.h"
#include "sim/kinematic.h"
#include "sim/robot.h"

#define STEPS_PER_S (NS_PER_S / ROBOT_STEP_NS)

static struct robot *robot;
static struct robot_state state;

static void set_up(void)
{
    ck_assert_int_eq(robot_create(&robot), 0);
    robot_observe(robot, &state);
}

static void tear_down(void)
{
    robot_destroy(robot);
}

struct trip {
    double forward_m; /* in the world's frame */
    double left_m;
    double turned_rad;
    double tilt_rad_max;
    bool fell;
};

static double yaw_of(const struct robot_state *of)
{
    const double *q = of->orientation_xyzw;

    return atan2(2 * (q[3] * q[2] + q[0] * q[1]), 1 - 2 * (q[1] * q[1] + q[2] * q[2]));
}

static struct trip walk(const struct robot_input *input, double seconds)
{
    struct trip trip = {0};

    robot_observe(robot, &state);
    struct robot_state start = state;
    for (int64_t i = 0; i < (int64_t)(seconds * (double)STEPS_PER_S); i++) {
        double yaw = yaw_of(&state);
        robot_step(robot, input);
        robot_observe(robot, &state);
        const double *q = state.orientation_xyzw;
        trip.turned_rad += remainder(yaw_of(&state) - yaw, 2 * acos(-1));
        trip.tilt_rad_max = fmax(trip.tilt_rad_max, acos(1 - 2 * (q[0] * q[0] + q[1] * q[1])));
        trip.fell |= robot_has_fallen(robot);
    }
    trip.forward_m = state.position_m[0] - start.position_m[0];
    trip.left_m = state.position_m[1] - start.position_m[1];
    return trip;
}

static struct robot_input told(double forward, double left, double turn)
{
    return (struct robot_input){.velocity = {forward, left, turn}, .alpha = 1, .powered = true};
}

START_TEST(it_stands_still)
{
    struct robot_input input = told(0, 0, 0);
    struct trip trip = walk(&input, 10);

    ck_assert_double_lt(hypot(trip.forward_m, trip.left_m), 0.03);
    ck_assert_double_lt(fabs(trip.turned_rad), 0.02);
    ck_assert_double_gt(state.position_m[2], 0.28);
    ck_assert(!trip.fell);
}
END_TEST

static const struct {
    double velocity[3];
} straight[] = {{{0.2, 0, 0}}, {{0.3, 0, 0}},  {{0.4, 0, 0}},
                {{0.5, 0, 0}}, {{-0.3, 0, 0}}, {{0, 0.2, 0}}};

START_TEST(it_walks_straight_as_fast_as_told)
{
    const double *velocity = straight[_i].velocity;
    struct robot_input input = told(velocity[0], velocity[1], 0);
    struct trip trip = walk(&input, 10);

    ck_assert(!trip.fell);
    ck_assert_double_lt(trip.tilt_rad_max, 0.15);
    ck_assert_double_eq_tol(trip.forward_m, 10 * velocity[0], 0.35);
    ck_assert_double_eq_tol(trip.left_m, 10 * velocity[1], 0.35);
    ck_assert_double_lt(fabs(trip.turned_rad), 0.15);
}
END_TEST

START_TEST(it_turns_on_the_spot_as_fast_as_told)
{
    double turn = _i == 0 ? 0.8 : -1.2;
    struct robot_input input = told(0, 0, turn);
    struct trip trip = walk(&input, 10);

    ck_assert(!trip.fell);
    ck_assert_double_eq_tol(trip.turned_rad, 10 * turn, 0.1 * fabs(10 * turn));
    ck_assert_double_lt(hypot(trip.forward_m, trip.left_m), 0.3);
}
END_TEST

START_TEST(it_stops_when_told_and_when_its_power_is_taken)
{
    struct robot_input go = told(0.5, 0, 0);
    struct robot_input halt = _i == 0 ? told(0, 0, 0) : go;

    halt.powered = _i == 0;
    walk(&go, 3);
    ck_assert_float_gt(state.linear_velocity_mps[0], 0.3F);
    walk(&halt, 1.5);
    struct trip trip = walk(&halt, 3);
    ck_assert_double_lt(hypot(trip.forward_m, trip.left_m), 0.02);
    ck_assert(!trip.fell);
}
END_TEST

START_TEST(sudden_reversals_do_not_topple_it)
{
    for (unsigned i = 0; i < 8; i++) {
        struct robot_input input = i % 2 == 0 ? told(0.6, 0.2, 0.8) : told(-0.4, -0.2, -1.0);
        ck_assert(!walk(&input, 1.7).fell);
    }
}
END_TEST

START_TEST(a_reset_puts_it_back_on_its_feet_while_time_goes_on)
{
    struct robot_input go = told(0.8, 0, 0.3);
    struct robot_input halt = told(0, 0, 0);

    walk(&go, 5);
    uint64_t steps = state.step;
    robot_reset(robot);
    robot_observe(robot, &state);
    ck_assert_double_eq(state.position_m[0], 0);
    ck_assert_double_eq(state.position_m[1], 0);
    ck_assert_uint_eq(state.step, steps);
    ck_assert(!walk(&halt, 2).fell);
    ck_assert_uint_eq(state.step, steps + 2 * STEPS_PER_S);
    ck_assert_int_eq(state.sim_time_ns, (int64_t)state.step * ROBOT_STEP_NS);
}
END_TEST

/* The ramp's foot points at the origin; its top is 14 cm high and ends in a drop. */
START_TEST(it_walks_up_the_ramp_and_jumps_off_its_end)
{
    double heading_rad = 2.75;
    double height_m_max = 0;
    struct robot_input input = told(0, 0, 0);

    for (int64_t i = 0; i < 15 * STEPS_PER_S; i++) {
        double off_rad = remainder(heading_rad - yaw_of(&state), 2 * acos(-1));
        input.velocity[0] = i > 4 * STEPS_PER_S ? 0.4 : 0;
        input.velocity[2] = fmax(-1.0, fmin(1.0, 3 * off_rad));
        robot_step(robot, &input);
        robot_observe(robot, &state);
        height_m_max = fmax(height_m_max, state.position_m[2]);
        ck_assert(!robot_has_fallen(robot));
    }
    ck_assert_double_gt(height_m_max, 0.37);
    ck_assert_double_lt(state.position_m[0], -3.2);
    ck_assert_double_lt(state.position_m[2], 0.33);
}
END_TEST

/* A control loop elsewhere, 100 times a second: the gait over what the robot says of itself. */
static void drive_from_outside(struct gait *gait, unsigned step)
{
    struct robot_drive drive = {.stiffness_nm_per_rad = 170, .damping_nms_per_rad = 0.5};
    struct gait_input input = {.alpha = 1};
    const double *q = state.orientation_xyzw;

    if (step % 5 != 0)
        return;
    for (unsigned i = 0; i < 3; i++)
        input.command[i] = (double)state.command[i];
    input.measured[0] = (double)state.linear_velocity_mps[0];
    input.measured[1] = (double)state.linear_velocity_mps[1];
    input.measured[2] = (double)state.angular_velocity_radps[2];
    input.roll_rad = atan2(2 * (q[3] * q[0] + q[1] * q[2]), 1 - 2 * (q[0] * q[0] + q[1] * q[1]));
    input.pitch_rad = asin(2 * (q[3] * q[1] - q[2] * q[0]));
    gait_step(gait, &input, 0.01, drive.joint_position_rad);
    robot_drive(robot, &drive);
}

START_TEST(it_walks_when_driven_from_outside_and_when_its_driver_is_lost)
{
    struct robot_input input = told(0.4, 0, 0);
    struct gait gait;

    gait_init(&gait);
    for (unsigned step = 0; step < 10 * STEPS_PER_S; step++) {
        drive_from_outside(&gait, step);
        robot_step(robot, &input);
        robot_observe(robot, &state);
        ck_assert(!robot_has_fallen(robot));
    }
    ck_assert_double_eq_tol(state.position_m[0], 4.0, 0.6);
    robot_drive(robot, NULL);
    struct trip trip = walk(&input, 5);
    ck_assert(!trip.fell);
    ck_assert_double_eq_tol(trip.forward_m, 2.0, 0.4);
}
END_TEST

START_TEST(a_change_of_driver_does_not_jerk_the_joints)
{
    struct robot_input input = told(0, 0, 0);
    struct robot_drive drive = {.stiffness_nm_per_rad = 170};
    double crouch_rad[3];

    walk(&input, 1);
    gait_leg_angles(0, (double[3]){0, GAIT_HIP_M, -0.22}, crouch_rad);
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        drive.joint_position_rad[i] = i % 3 == 0 ? 0 : crouch_rad[i % 3];
    for (unsigned turn = 0; turn < 4; turn++) {
        robot_drive(robot, turn % 2 == 0 ? &drive : NULL);
        for (unsigned step = 0; step < STEPS_PER_S; step++) {
            robot_step(robot, &input);
            robot_observe(robot, &state);
            for (unsigned i = 0; i < ROBOT_JOINTS; i++)
                ck_assert_float_lt(fabsf(state.joint_velocity_radps[i]), 8.0F);
        }
        ck_assert_double_eq_tol(state.position_m[2], turn % 2 == 0 ? 0.24 : 0.3, 0.03);
    }
}
END_TEST

START_TEST(the_same_commands_give_the_same_motion)
{
    struct robot_input input = told(0.4, 0.1, 0.5);
    struct robot_state first;

    walk(&input, 3);
    first = state;
    robot_destroy(robot);
    ck_assert_int_eq(robot_create(&robot), 0);
    walk(&input, 3);
    ck_assert_mem_eq(&first, &state, sizeof(state));
}
END_TEST

START_TEST(the_point_goes_where_it_is_told)
{
    struct kinematic point = {0};
    struct robot_input ahead = told(0.5, 0, 0);
    struct robot_input quarter_turn = told(0, 0, acos(-1) / 2);

    for (int64_t i = 0; i < 2 * STEPS_PER_S; i++)
        kinematic_step(&point, &ahead);
    for (int64_t i = 0; i < STEPS_PER_S; i++)
        kinematic_step(&point, &quarter_turn);
    for (int64_t i = 0; i < 2 * STEPS_PER_S; i++)
        kinematic_step(&point, &ahead);
    ahead.powered = false;
    kinematic_step(&point, &ahead);
    kinematic_observe(&point, &state);
    ck_assert_double_eq_tol(state.position_m[0], 1.0, 1e-9);
    ck_assert_double_eq_tol(state.position_m[1], 1.0, 1e-9);
    ck_assert_double_eq_tol(yaw_of(&state), acos(-1) / 2, 1e-9);
    ck_assert_float_eq(state.linear_velocity_mps[0], 0);
    ck_assert_uint_eq(state.magic, ROBOT_STATE_MAGIC);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("robot");
    TCase *tcase = tcase_create("robot");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, it_stands_still);
    tcase_add_loop_test(tcase, it_walks_straight_as_fast_as_told, 0,
                        (int)(sizeof(straight) / sizeof(straight[0])));
    tcase_add_loop_test(tcase, it_turns_on_the_spot_as_fast_as_told, 0, 2);
    tcase_add_loop_test(tcase, it_stops_when_told_and_when_its_power_is_taken, 0, 2);
    tcase_add_test(tcase, sudden_reversals_do_not_topple_it);
    tcase_add_test(tcase, it_walks_up_the_ramp_and_jumps_off_its_end);
    tcase_add_test(tcase, a_reset_puts_it_back_on_its_feet_while_time_goes_on);
    tcase_add_test(tcase, it_walks_when_driven_from_outside_and_when_its_driver_is_lost);
    tcase_add_test(tcase, a_change_of_driver_does_not_jerk_the_joints);
    tcase_add_test(tcase, the_same_commands_give_the_same_motion);
    tcase_add_test(tcase, the_point_goes_where_it_is_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
