/* SPDX-License-Identifier: Apache-2.0 */
/* The cost model of case `scale`: found again in numbers that were made from one. */
#include <errno.h>
#include <math.h>

#include <check.h>

#include "bench/scale_model.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct scale_model truth = {.picture_ns = 20000, .send_ns = 9000, .byte_ns = 0.12};

static double cost(double clients, double bytes)
{
    return truth.picture_ns + clients * (truth.send_ns + bytes * truth.byte_ns);
}

START_TEST(the_costs_are_found_again)
{
    struct scale_point points[] = {{1, 20e3, 0}, {10, 20e3, 0}, {1000, 20e3, 0}, {300, 100e3, 0}};
    struct scale_model model;

    for (size_t i = 0; i < COUNT(points); i++)
        points[i].cpu_ns = cost(points[i].clients, points[i].bytes);
    ck_assert_int_eq(scale_fit(points, COUNT(points), &model), 0);
    ck_assert_double_eq_tol(model.picture_ns, truth.picture_ns, 1);
    ck_assert_double_eq_tol(model.send_ns, truth.send_ns, 1);
    ck_assert_double_eq_tol(model.byte_ns, truth.byte_ns, 1e-5);
    ck_assert_double_lt(model.error, 1e-6);
    double clients = scale_clients_per_core(&model, 100e3, 30);
    ck_assert_double_eq_tol(30 * cost(clients, 100e3), 1e9, 1e4); /* a second of a core */
}
END_TEST

START_TEST(the_worst_point_is_the_error)
{
    struct scale_point points[] = {
        {1, 20e3, 0}, {10, 20e3, 0}, {100, 20e3, 0}, {1000, 20e3, 0}, {300, 100e3, 0}};
    struct scale_model model;

    for (size_t i = 0; i < COUNT(points); i++)
        points[i].cpu_ns = cost(points[i].clients, points[i].bytes) * (i == 2 ? 1.2 : 1);
    ck_assert_int_eq(scale_fit(points, COUNT(points), &model), 0);
    ck_assert_double_gt(model.error, 0.03);
    ck_assert_double_lt(model.error, 0.2);
}
END_TEST

START_TEST(points_that_tell_nothing_apart_are_refused)
{
    const struct scale_point same[] = {{1, 20e3, 1e5}, {1, 20e3, 1e5}, {1, 20e3, 1e5}};
    const struct scale_point one_size[] = {{1, 20e3, 1e5}, {10, 20e3, 3e5}, {100, 20e3, 2e6}};
    struct scale_model model;

    ck_assert_int_eq(scale_fit(same, 2, &model), -EINVAL);
    ck_assert_int_eq(scale_fit(same, COUNT(same), &model), -EINVAL);
    ck_assert_int_eq(scale_fit(one_size, COUNT(one_size), &model), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale_model");
    TCase *cases = tcase_create("fit");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, the_costs_are_found_again);
    tcase_add_test(cases, the_worst_point_is_the_error);
    tcase_add_test(cases, points_that_tell_nothing_apart_are_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
