/* SPDX-License-Identifier: Apache-2.0 */
/* How fast and how abruptly a robot may be told to go, at the limits and under random targets. */
#include <math.h>
#include <stdlib.h>

#include <check.h>

#include "safety/limits.h"
#include "tests/support.h"

#define DT_S 0.02
#define SLACK 1e-9 /* of the arithmetic */
#define STEPS 100000

static const struct limits limits = {
    .speed_max = {1.0, 0.5, 2.0},
    .accel_max = {2.0, 1.0, 0},
    .jerk_max = {10.0, 0, 30.0},
};

START_TEST(cuts_what_is_too_fast_and_says_so)
{
    double velocity[LIMITS_AXES] = {1.5, -0.6, 2.0};

    ck_assert(limits_cut(&limits, velocity));
    ck_assert_double_eq(velocity[0], 1.0);
    ck_assert_double_eq(velocity[1], -0.5);
    ck_assert_double_eq(velocity[2], 2.0);
    ck_assert(!limits_cut(&limits, velocity)); /* exactly the limit is allowed */
}
END_TEST

START_TEST(cuts_each_axis_alone)
{
    double velocity[LIMITS_AXES] = {0.1, 0.1, 0.1};

    velocity[_i] = -9;
    ck_assert(limits_cut(&limits, velocity));
    for (int i = 0; i < LIMITS_AXES; i++)
        ck_assert_double_eq(velocity[i], i == _i ? -limits.speed_max[i] : 0.1);
}
END_TEST

START_TEST(no_number_becomes_zero_and_no_limit_leaves_all)
{
    double velocity[LIMITS_AXES] = {NAN, INFINITY, 1e9};

    ck_assert(limits_cut(&(struct limits){.speed_max = {0, 3, 0}}, velocity));
    ck_assert_double_eq(velocity[0], 0);
    ck_assert_double_eq(velocity[1], 3);
    ck_assert_double_eq(velocity[2], 1e9);
}
END_TEST

START_TEST(without_limits_the_target_is_reached_at_once)
{
    struct glide glide = {{0}, {0}};

    limits_approach(&(struct limits){.speed_max = {0}}, &glide, (double[]){1, -2, 3}, DT_S);
    ck_assert_double_eq(glide.velocity[0], 1);
    ck_assert_double_eq(glide.velocity[1], -2);
    ck_assert_double_eq(glide.velocity[2], 3);
}
END_TEST

START_TEST(arrives_without_passing_the_target_by)
{
    const double target[LIMITS_AXES] = {0.8, -0.4, 1.7};
    struct glide glide = {{0}, {0}};

    for (unsigned step = 0; step < 200; step++) {
        limits_approach(&limits, &glide, target, DT_S);
        for (unsigned i = 0; i < LIMITS_AXES; i++)
            ck_assert_double_le(fabs(glide.velocity[i]), fabs(target[i]) + SLACK);
    }
    for (unsigned i = 0; i < LIMITS_AXES; i++) {
        ck_assert_double_eq_tol(glide.velocity[i], target[i], 1e-6);
        ck_assert_double_eq_tol(glide.accel[i], 0, 1e-3);
    }
}
END_TEST

/* 0.4 m/s at 1 m/s2 without jerk is 0.4 s; a limit that slows down too much fails here. */
START_TEST(takes_no_longer_than_the_limits_ask_for)
{
    struct glide glide = {{0}, {0}};
    unsigned steps = 0;

    while (fabs(glide.velocity[1] - 0.4) > SLACK && steps++ < 100)
        limits_approach(&limits, &glide, (double[]){0, 0.4, 0}, DT_S);
    ck_assert_uint_eq(steps, 20);
    /* 1 m/s at 2 m/s2 and 10 m/s3: 1/2 + 2/10 s, and the last step's remainder. */
    for (steps = 0; fabs(glide.velocity[0] - 1) > 1e-3 && steps < 100; steps++)
        limits_approach(&limits, &glide, (double[]){1, 0.4, 0}, DT_S);
    ck_assert_uint_ge(steps, 33);
    ck_assert_uint_le(steps, 38);
}
END_TEST

START_TEST(keeps_every_limit_under_random_targets)
{
    struct glide glide = {{0}, {0}};
    double target[LIMITS_AXES] = {0};
    uint64_t seed = support_seed("limits");

    srand48((long)seed);
    for (unsigned step = 0; step < STEPS; step++) {
        struct glide before = glide;

        for (unsigned i = 0; i < LIMITS_AXES && drand48() < 0.05; i++)
            target[i] = 4 * drand48() - 2;
        limits_cut(&limits, target);
        limits_approach(&limits, &glide, target, DT_S);
        for (unsigned i = 0; i < LIMITS_AXES; i++) {
            double accel = (glide.velocity[i] - before.velocity[i]) / DT_S;
            double jerk = (glide.accel[i] - before.accel[i]) / DT_S;
            ck_assert_double_eq_tol(accel, glide.accel[i], SLACK);
            if (limits.accel_max[i] > 0)
                ck_assert_double_le(fabs(accel), limits.accel_max[i] + SLACK);
            if (limits.jerk_max[i] > 0)
                ck_assert_double_le(fabs(jerk), limits.jerk_max[i] + SLACK);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *cases = tcase_create("limits");

    tcase_add_test(cases, cuts_what_is_too_fast_and_says_so);
    tcase_add_loop_test(cases, cuts_each_axis_alone, 0, LIMITS_AXES);
    tcase_add_test(cases, no_number_becomes_zero_and_no_limit_leaves_all);
    tcase_add_test(cases, without_limits_the_target_is_reached_at_once);
    tcase_add_test(cases, arrives_without_passing_the_target_by);
    tcase_add_test(cases, takes_no_longer_than_the_limits_ask_for);
    tcase_add_test(cases, keeps_every_limit_under_random_targets);
    suite_add_tcase(suite, cases);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
