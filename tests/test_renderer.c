/* SPDX-License-Identifier: Apache-2.0 */
/* The world's picture, drawn for real by whatever OpenGL this machine has. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "sim/renderer.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>

/*
 * Mesa leaves 240 bytes behind on eglTerminate and unloads the driver that held them, so that no
 * suppression can name it. Addresses are still checked.
 */
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

#define CANARY 0x5a

static const struct renderer_size size_max = {800, 600};
static struct robot *robot;
static struct renderer *renderer;
static struct robot_pose pose;

static void set_up(void)
{
    ck_assert_int_eq(robot_create(&robot), 0);
    ck_assert_int_eq(renderer_create(robot, size_max, &renderer), 0);
    robot_pose(robot, &pose);
}

static void tear_down(void)
{
    renderer_destroy(renderer);
    robot_destroy(robot);
}

static uint8_t *draw(struct renderer_size size, const struct renderer_camera *camera)
{
    size_t bytes = (size_t)3 * size.width * size.height;
    uint8_t *rgb = malloc(bytes + 1);

    ck_assert_ptr_nonnull(rgb);
    rgb[bytes] = CANARY;
    renderer_draw(renderer, &pose, camera, size, rgb);
    ck_assert_uint_eq(rgb[bytes], CANARY);
    return rgb;
}

/* Pixels as orange as the robot's hips and back. */
static unsigned count_orange(const uint8_t *rgb, struct renderer_size size)
{
    unsigned count = 0;

    for (size_t i = 0; i < (size_t)size.width * size.height; i++) {
        const uint8_t *at = rgb + 3 * i;
        count += at[0] > 150 && at[1] > at[0] / 4 && at[1] < at[0] * 2 / 3 && at[2] < at[0] / 3;
    }
    return count;
}

START_TEST(floor_is_below_sky_above_and_the_robot_between)
{
    static const struct renderer_size sizes[] = {{640, 480}, {642, 362}, {800, 600}, {64, 64}};
    struct renderer_size size = sizes[_i];
    struct renderer_camera chase = {.fixed = false};
    uint8_t *rgb = draw(size, &chase);
    const uint8_t *last = rgb + (size_t)3 * size.width * (size.height - 1);
    bool bottom_up = renderer_is_bottom_up(renderer);
    const uint8_t *top = bottom_up ? last : rgb;
    const uint8_t *bottom = bottom_up ? rgb : last;

    for (size_t x = 0; x < size.width; x++) {
        ck_assert_int_gt(top[3 * x + 2], top[3 * x] + 20);            /* blue */
        ck_assert_int_lt(abs(bottom[3 * x + 2] - bottom[3 * x]), 45); /* greyish */
    }
    ck_assert_uint_gt(count_orange(rgb, size), size.width * size.height / 400);
    free(rgb);
}
END_TEST

START_TEST(a_fixed_camera_looks_where_it_is_told)
{
    struct renderer_size size = {320, 240};
    struct renderer_camera at_robot = {
        .fixed = true, .position_m = {-0.8, 0.6, 0.7}, .lookat_m = {0, 0, 0.3}};
    struct renderer_camera away = at_robot;

    memcpy(away.lookat_m, (const double[3]){-3.0, 2.0, 0.6}, sizeof(away.lookat_m));
    uint8_t *robot_view = draw(size, &at_robot);
    uint8_t *other_view = draw(size, &away);
    ck_assert_uint_gt(count_orange(robot_view, size), 200);
    ck_assert_uint_lt(count_orange(other_view, size), 20);
    free(robot_view);
    free(other_view);
}
END_TEST

static float *draw_floats(struct renderer_size size, const struct renderer_camera *camera)
{
    float *values = malloc(sizeof(float) * size.width * size.height);

    ck_assert_ptr_nonnull(values);
    renderer_draw(renderer, &pose, camera, size, values);
    return values;
}

START_TEST(depth_is_metres_along_the_axis_with_the_top_row_first)
{
    struct renderer_size size = {320, 240};
    size_t centre = (size_t)320 * 120 + 160;
    struct renderer_camera down = {.fixed = true,
                                   .position_m = {5, 5, 3},
                                   .lookat_m = {5.001, 5, 0},
                                   .channel = RENDERER_DEPTH};
    struct renderer_camera ahead = {.mount = RENDERER_HEAD, .channel = RENDERER_DEPTH};
    float *depth = draw_floats(size, &down);

    ck_assert_float_eq_tol(depth[centre], 3, 0.02F); /* the floor, from three metres above */
    ck_assert_float_eq_tol(depth[0], 3, 0.02F);      /* the same plane, not further at the edge */
    free(depth);
    depth = draw_floats(size, &ahead);
    float bottom = depth[(size_t)320 * 239 + 160];
    ck_assert_float_gt(bottom, 0.2F); /* the floor before its feet */
    ck_assert_float_lt(bottom, 1.0F);
    ck_assert_float_eq(depth[160], 0); /* the sky */
    ahead.channel = RENDERER_CONFIDENCE;
    float *confidence = draw_floats(size, &ahead);
    for (size_t i = 0; i < (size_t)320 * 240; i++)
        ck_assert_float_eq(confidence[i], depth[i] > 0 ? 1 : 0);
    free(confidence);
    free(depth);
}
END_TEST

START_TEST(the_robots_own_cameras_look_forward_and_back)
{
    struct renderer_size size = {320, 240};
    size_t bytes = (size_t)3 * size.width * size.height;
    struct renderer_camera camera = {.mount = RENDERER_HEAD};
    uint8_t *head = draw(size, &camera);

    camera.mount = RENDERER_REAR;
    uint8_t *rear = draw(size, &camera);
    ck_assert_mem_ne(head, rear, bytes);
    /* The ball before it is orange, and so are its hips, which must not be in the way. */
    ck_assert_uint_lt(count_orange(head, size), 320 * 240 / 50);
    ck_assert_uint_lt(count_orange(rear, size), 320 * 240 / 50);
    free(head);
    free(rear);
}
END_TEST

START_TEST(the_same_pose_gives_the_same_picture_and_another_pose_another)
{
    struct renderer_size size = {320, 240};
    struct renderer_camera fixed = {
        .fixed = true, .position_m = {-0.8, 0.6, 0.7}, .lookat_m = {0, 0, 0.3}};
    size_t bytes = (size_t)3 * size.width * size.height;
    uint8_t *first = draw(size, &fixed);
    uint8_t *second = draw(size, &fixed);

    ck_assert_mem_eq(first, second, bytes);
    pose.value[0] += 0.2;
    free(second);
    second = draw(size, &fixed);
    ck_assert_mem_ne(first, second, bytes);
    free(first);
    free(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("renderer");
    TCase *tcase = tcase_create("renderer");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, floor_is_below_sky_above_and_the_robot_between, 0, 4);
    tcase_add_test(tcase, a_fixed_camera_looks_where_it_is_told);
    tcase_add_test(tcase, depth_is_metres_along_the_axis_with_the_top_row_first);
    tcase_add_test(tcase, the_robots_own_cameras_look_forward_and_back);
    tcase_add_test(tcase, the_same_pose_gives_the_same_picture_and_another_pose_another);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
