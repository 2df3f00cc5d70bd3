/* SPDX-License-Identifier: Apache-2.0 */
/* World and stream together, as an encoder sees them: through the frame ring. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "proto/batch.h"
#include "proto/pixel.h"
#include "proto/robot_state.h"
#include "shm/ring.h"
#include "sim/pattern.h"
#include "sim/stream.h"
#include "tests/support.h"

static char dir[SUPPORT_PATH_BYTES];
static struct world *world;
static struct stream *stream;
static struct ring_consumer *consumer;

static void start(unsigned envs)
{
    struct stream_config config = {
        .dir = dir,
        .name = "front",
        .size = {320, 240},
        .size_max = {640, 480},
        .fps = 100,
        .pattern = true,
        .envs = envs,
        .cameras = {{"front_2", RENDERER_HEAD, RENDERER_COLOUR},
                    {"front_depth", RENDERER_HEAD, RENDERER_DEPTH}},
        .camera_count = 2,
    };
    struct ring_consumer_config ring = {.dir = dir, .stream = "front", .kind = RING_KIND_FRAMES};

    ck_assert_int_eq(world_create(false, &world), 0);
    ck_assert_int_eq(stream_create(&config, &world, &stream), 0);
    ck_assert_int_eq(ring_consumer_open(&ring, &consumer), 0);
}

static void set_up(void)
{
    support_dir_make(dir);
    start(1);
}

static void tear_down(void)
{
    ring_consumer_close(consumer);
    stream_destroy(stream);
    world_destroy(world);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

static int acquire(struct ring_view *view)
{
    return ring_acquire(consumer, RING_LATEST, view);
}

static uint64_t frames(void)
{
    struct stream_status status;

    stream_status(stream, &status);
    return status.frames;
}

START_TEST(a_frame_says_what_it_is_and_carries_the_robots_state)
{
    struct ring_view view;
    struct robot_state state;

    ring_consumer_want(consumer, true);
    ck_assert(WAIT_UNTIL(acquire(&view) == 0, 5));
    ck_assert_uint_eq(view.frame.fourcc, PIXEL_RGB24);
    ck_assert_uint_eq(view.frame.width, 320);
    ck_assert_uint_eq(view.frame.height, 240);
    ck_assert_uint_eq(view.frame.stride_bytes, 960);
    ck_assert_uint_eq(view.frame.payload_bytes, UINT64_C(960) * 240);
    ck_assert_uint_eq(view.frame.flags, RING_FRAME_KEYFRAME);
    ck_assert_int_gt(view.frame.stamp_ns[RING_STAGE_RENDERED], 0);
    ck_assert_int_ge(view.frame.stamp_ns[RING_STAGE_PUBLISHED],
                     view.frame.stamp_ns[RING_STAGE_RENDERED]);
    ck_assert_uint_eq(view.frame.user_bytes, sizeof(state));
    memcpy(&state, view.user, sizeof(state));
    ck_assert_uint_eq(state.magic, ROBOT_STATE_MAGIC);
    ck_assert_int_eq(state.sim_time_ns, view.frame.sim_time_ns);
    ring_release(consumer, &view);
}
END_TEST

START_TEST(nothing_is_drawn_until_wanted_nor_after)
{
    struct ring_view view;

    ck_assert(WAIT_UNTIL(acquire(&view) == -EAGAIN, 5)); /* attached */
    poll(NULL, 0, 100);                                  /* ten periods */
    ck_assert_uint_eq(frames(), 0);
    ring_consumer_want(consumer, true);
    ck_assert(WAIT_UNTIL(frames() >= 3, 5));
    ring_consumer_want(consumer, false);
    struct stream_status status;
    ck_assert(WAIT_UNTIL((stream_status(stream, &status), status.watchers == 0), 5));
    uint64_t last = frames();
    poll(NULL, 0, 100);
    ck_assert_uint_le(frames(), last + 1); /* one may have been on its way */
}
END_TEST

/* Opens another ring, and returns its first frame. */
static struct ring_consumer *look(const char *name, struct ring_view *view)
{
    struct ring_consumer_config config = {.dir = dir, .stream = name, .kind = RING_KIND_FRAMES};
    struct ring_consumer *ring;

    ck_assert_int_eq(ring_consumer_open(&config, &ring), 0);
    ck_assert(WAIT_UNTIL(ring_acquire(ring, RING_LATEST, view) == -EAGAIN, 5)); /* attached */
    poll(NULL, 0, 50);                                                          /* five periods */
    ck_assert_int_eq(ring_acquire(ring, RING_LATEST, view), -EAGAIN);
    ring_consumer_want(ring, true);
    ck_assert(WAIT_UNTIL(ring_acquire(ring, RING_LATEST, view) == 0, 5));
    return ring;
}

START_TEST(further_cameras_are_drawn_each_only_while_it_is_wanted)
{
    struct ring_view second;
    struct ring_view depth;
    struct ring_consumer *second_ring = look("front_2", &second);
    struct ring_consumer *depth_ring = look("front_depth", &depth);
    const float *metres = depth.payload;

    ck_assert_uint_eq(second.frame.fourcc, PIXEL_RGB24);
    ck_assert_uint_eq(second.frame.width, 320);
    ck_assert_uint_eq(depth.frame.fourcc, PIXEL_DEPTH);
    ck_assert_uint_eq(depth.frame.stride_bytes, 320 * sizeof(float));
    ck_assert_uint_eq(depth.frame.payload_bytes, 320 * 240 * sizeof(float));
    ck_assert_float_eq(metres[0], PATTERN_DEPTH_M_MIN);
    ck_assert_float_eq_tol(metres[(size_t)320 * 240 - 1], PATTERN_DEPTH_M_MAX, 1e-4F);
    ck_assert_uint_eq(frames(), 0); /* the main camera is not wanted */
    ring_consumer_close(second_ring);
    ring_consumer_close(depth_ring);
}
END_TEST

START_TEST(environments_lie_below_each_other_in_one_frame)
{
    struct ring_view view;
    struct frame_batch batch;
    struct robot_state state;
    static uint8_t expected[3 * 320 * 240];

    ring_consumer_close(consumer);
    stream_destroy(stream);
    world_destroy(world);
    start(3);
    ring_consumer_want(consumer, true);
    ck_assert(WAIT_UNTIL(acquire(&view) == 0, 5));
    ck_assert_uint_eq(view.frame.width, 320);
    ck_assert_uint_eq(view.frame.height, 3 * 240);
    ck_assert_uint_eq(view.frame.payload_bytes, 3 * sizeof(expected));
    ck_assert_uint_eq(view.frame.user_bytes, sizeof(batch) + sizeof(state));
    memcpy(&batch, view.user, sizeof(batch));
    ck_assert_uint_eq(batch.magic, FRAME_BATCH_MAGIC);
    ck_assert_uint_eq(batch.count, 3);
    memcpy(&state, (const uint8_t *)view.user + sizeof(batch), sizeof(state));
    ck_assert_uint_eq(state.magic, ROBOT_STATE_MAGIC);
    for (unsigned env = 0; env < 3; env++) {
        pattern_draw(&(struct pattern){320, 240, view.frame.frame_id, env}, expected);
        ck_assert_mem_eq((const uint8_t *)view.payload + env * sizeof(expected), expected,
                         sizeof(expected));
    }
    ring_release(consumer, &view);
}
END_TEST

START_TEST(size_and_rate_change_while_running)
{
    struct stream_settings smaller = {.width = 160, .height = 120, .fps = 200};
    struct stream_settings larger = {.width = 1280, .height = 720};
    struct stream_status status;
    struct ring_view view = {.frame.width = 0};

    ring_consumer_want(consumer, true);
    ck_assert_int_eq(stream_apply(stream, &larger), -ERANGE);
    ck_assert_int_eq(stream_apply(stream, &smaller), 0);
    stream_status(stream, &status);
    ck_assert_uint_eq(status.fps, 200);
    bool resized = false;
    for (unsigned i = 0; i < 200 && !resized; i++) {
        ck_assert(WAIT_UNTIL(acquire(&view) == 0, 5));
        resized = view.frame.width == 160 && view.frame.payload_bytes == UINT64_C(3) * 160 * 120;
        ring_release(consumer, &view);
    }
    ck_assert(resized);
}
END_TEST

START_TEST(a_world_that_follows_does_nearly_the_same)
{
    struct world_orders orders = {.input = {{0.5, 0, 0}, .alpha = 1, .powered = true}};
    struct world_snapshot now;
    struct world *follower;

    ck_assert_int_eq(world_create(false, &follower), 0);
    world_follow(follower, world, 2);
    world_order(world, &orders);
    ck_assert(WAIT_UNTIL((world_observe(follower, &now), now.state.command[0] > 0), 5));
    ck_assert_float_gt(now.state.command[0], 0.3F);
    ck_assert_float_lt(now.state.command[0], 0.5F);
    orders.input.velocity[0] = 0;
    world_order(world, &orders);
    ck_assert(WAIT_UNTIL((world_observe(follower, &now), now.state.command[0] == 0), 5));
    ck_assert_float_eq(now.state.command[2], 0); /* who shall stand does not turn */
    world_destroy(follower);
}
END_TEST

START_TEST(the_world_obeys_pauses_and_resets)
{
    struct world_orders orders = {.input = {{0.5, 0, 0}, .alpha = 1, .powered = true}};
    struct world_snapshot now;

    world_order(world, &orders);
    ck_assert(WAIT_UNTIL((world_observe(world, &now), now.state.position_m[0] > 0.05), 5));
    ck_assert_float_eq_tol(now.state.command[0], 0.5F, 1e-6F);
    ck_assert_float_eq(now.state.alpha, 1); /* or a policy would be blended away */
    orders.paused = true;
    orders.cmd_seq = 77;
    world_order(world, &orders);
    ck_assert(WAIT_UNTIL((world_observe(world, &now), now.state.cmd_seq == 77), 5));
    uint64_t step = now.state.step;
    poll(NULL, 0, 20); /* ten steps */
    world_observe(world, &now);
    ck_assert_uint_eq(now.state.step, step);
    orders.resets++;
    world_order(world, &orders);
    ck_assert(WAIT_UNTIL((world_observe(world, &now), now.state.position_m[0] == 0), 5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tcase = tcase_create("stream");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_frame_says_what_it_is_and_carries_the_robots_state);
    tcase_add_test(tcase, nothing_is_drawn_until_wanted_nor_after);
    tcase_add_test(tcase, further_cameras_are_drawn_each_only_while_it_is_wanted);
    tcase_add_test(tcase, environments_lie_below_each_other_in_one_frame);
    tcase_add_test(tcase, size_and_rate_change_while_running);
    tcase_add_test(tcase, a_world_that_follows_does_nearly_the_same);
    tcase_add_test(tcase, the_world_obeys_pauses_and_resets);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
