/* SPDX-License-Identifier: Apache-2.0 */
/* Several renditions of one camera: each coded once, while it is wanted, and as it was asked. */
#include "proto/batch.h"
#include "tests/stage_kit.h"

#define JPEG STREAM "+jpeg"
#define SMALL STREAM "+small"

static struct ring_consumer *jpeg_viewer;
static struct ring_consumer *small_viewer;

/* The default rendition is H.264; beside it JPEG at full size, and JPEG to fit 160 x 160. */
static void set_up_three(void)
{
    set_up();
    world.config.others[0] = (struct rendition_spec){"jpeg", {.codec = VIDEO_CODEC_JPEG}};
    world.config.others[1] = (struct rendition_spec){
        "small", {.codec = VIDEO_CODEC_JPEG, .jpeg_quality = 60, .width = 160, .height = 160}};
    world.config.other_count = 2;
    jpeg_viewer = open_viewer_of(JPEG);
    small_viewer = open_viewer_of(SMALL);
}

static void tear_down_three(void)
{
    ring_consumer_close(jpeg_viewer);
    ring_consumer_close(small_viewer);
    tear_down();
}

static uint64_t encoded(unsigned rendition)
{
    return rendition_counts(stage_rendition(world.stage, rendition)).encoded;
}

static bool wanted(unsigned rendition)
{
    return rendition_wanted(stage_rendition(world.stage, rendition));
}

static void begin_wanting(bool default_one, bool jpeg, bool small)
{
    open_stage();
    ring_consumer_want(world.viewer, default_one);
    ring_consumer_want(jpeg_viewer, jpeg);
    ring_consumer_want(small_viewer, small);
    /* A viewer attaches when it looks. */
    struct ring_view view;
    TURN_UNTIL(ring_acquire(world.viewer, RING_NEXT, &view) == -EAGAIN &&
               ring_acquire(jpeg_viewer, RING_NEXT, &view) == -EAGAIN &&
               ring_acquire(small_viewer, RING_NEXT, &view) == -EAGAIN &&
               wanted(0) == default_one && wanted(1) == jpeg && wanted(2) == small &&
               simulator_demand().wanting == (default_one || jpeg || small));
}

static void check_packet(struct ring_consumer *viewer, uint32_t codec, uint32_t width,
                         uint32_t height)
{
    struct ring_view view;
    struct video_packet_view packet = next_packet_of(viewer, &view);

    ck_assert_uint_eq(packet.header.codec, codec);
    ck_assert_uint_eq(packet.header.frame_id, world.frame_id);
    ck_assert_uint_eq(view.frame.width, width);
    ck_assert_uint_eq(view.frame.height, height);
    for (unsigned i = 0; i < view.frame.user_bytes; i++)
        ck_assert_uint_eq(((const uint8_t *)view.user)[i], 0x5e);
    ck_assert_int_eq(ring_release(viewer, &view), 0);
}

START_TEST(one_frame_becomes_a_packet_of_each)
{
    begin_wanting(true, true, true);
    for (unsigned i = 0; i < 4; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, WIDTH, HEIGHT, 0, i);
        kit.frame.frame_id = ++world.frame_id;
        kit.frame.user_bytes = 77;
        publish(&kit, kit.frame);
        check_packet(world.viewer, VIDEO_CODEC_H264, WIDTH, HEIGHT);
        check_packet(jpeg_viewer, VIDEO_CODEC_JPEG, WIDTH, HEIGHT);
        check_packet(small_viewer, VIDEO_CODEC_JPEG, 160, 120);
        kit_frame_free(&kit);
    }
    ck_assert_uint_eq(stage_counts(world.stage).encoded, 12);
    ck_assert_uint_eq(stage_counts(world.stage).refused, 0);
}
END_TEST

START_TEST(what_nobody_wants_is_not_coded)
{
    begin_wanting(false, false, true);
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    check_packet(small_viewer, VIDEO_CODEC_JPEG, 160, 120);
    ck_assert_uint_eq(encoded(0) + encoded(1), 0);
    ring_consumer_want(small_viewer, false);
    TURN_UNTIL(simulator_demand().wanting == 0);
    show_and_turn(WIDTH, HEIGHT);
    ck_assert_uint_eq(encoded(2), 1);
    ring_consumer_want(jpeg_viewer, true);
    TURN_UNTIL(simulator_demand().wanting == 1);
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    check_packet(jpeg_viewer, VIDEO_CODEC_JPEG, WIDTH, HEIGHT);
    ck_assert_uint_eq(encoded(0), 0);
}
END_TEST

START_TEST(many_viewers_cost_one_coding)
{
    struct ring_consumer *second = open_viewer_of(SMALL);
    struct ring_view view;

    begin_wanting(false, false, true);
    TURN_UNTIL(ring_acquire(second, RING_NEXT, &view) == -EAGAIN);
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    check_packet(small_viewer, VIDEO_CODEC_JPEG, 160, 120);
    check_packet(second, VIDEO_CODEC_JPEG, 160, 120);
    ck_assert_uint_eq(encoded(2), 1);
    ring_consumer_close(second);
}
END_TEST

START_TEST(settings_of_a_rendition_are_its_own)
{
    struct stream_settings asked = {
        .codec = VIDEO_CODEC_H264, .jpeg_quality = 20, .width = 80, .height = 80, .fps = 200};

    begin_wanting(true, false, true);
    ring_consumer_settings(small_viewer, &asked);
    TURN_UNTIL(rendition_settings(stage_rendition(world.stage, 2))->fps == 200);
    ck_assert_uint_eq(rendition_settings(stage_rendition(world.stage, 2))->jpeg_quality, 20);
    ck_assert_uint_eq(rendition_settings(stage_rendition(world.stage, 0))->jpeg_quality, 80);
    ck_assert_uint_eq(simulator_demand().settings.width, 0); /* it renders as before */
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    check_packet(world.viewer, VIDEO_CODEC_H264, WIDTH, HEIGHT);
    check_packet(small_viewer, VIDEO_CODEC_JPEG, 80, 60); /* it stays what its name promises */
}
END_TEST

START_TEST(each_keeps_to_its_own_rate)
{
    struct stream_settings asked = {.fps = 10};

    begin_wanting(false, true, true);
    ring_consumer_settings(small_viewer, &asked);
    TURN_UNTIL(rendition_settings(stage_rendition(world.stage, 2))->fps == 10);
    int64_t begin_ns = clock_now_ns();
    while (clock_now_ns() - begin_ns < NS_PER_S)
        show_and_turn(WIDTH, HEIGHT);
    ck_assert_uint_ge(encoded(2), 8);
    ck_assert_uint_le(encoded(2), 13);
    ck_assert_uint_gt(encoded(1), 2 * encoded(2));
}
END_TEST

START_TEST(a_picture_is_never_enlarged)
{
    begin_wanting(false, false, true);
    show(PIXEL_NV12, 96, 64);
    check_packet(small_viewer, VIDEO_CODEC_JPEG, 96, 64);
}
END_TEST

START_TEST(one_that_fails_leaves_the_others_whole)
{
    /* The codec of the default rendition takes no depth; the scaler neither. */
    begin_wanting(true, true, true);
    show(PIXEL_DEPTH, WIDTH, HEIGHT);
    TURN_UNTIL(stage_counts(world.stage).refused >= 1);
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    check_packet(world.viewer, VIDEO_CODEC_H264, WIDTH, HEIGHT);
    check_packet(jpeg_viewer, VIDEO_CODEC_JPEG, WIDTH, HEIGHT);
    check_packet(small_viewer, VIDEO_CODEC_JPEG, 160, 120);
}
END_TEST

/* No frame is lost to the ring when a rendition gives its part of the view back late or never. */
START_TEST(views_are_given_back_whoever_took_part)
{
    begin_wanting(true, true, true);
    for (unsigned i = 0; i < 40; i++) {
        show(i % 3 == 0 ? PIXEL_DEPTH : PIXEL_RGB24, WIDTH + 2 * (i % 5), HEIGHT);
        turn();
    }
    show(PIXEL_RGB24, WIDTH, HEIGHT);
    TURN_UNTIL(encoded(2) > 0 && encoded(1) == encoded(2) && encoded(0) == encoded(2));
    struct ring_info info;
    ck_assert_int_eq(ring_inspect(world.dir, STREAM, RING_KIND_FRAMES, &info), 0);
    ck_assert_uint_eq(info.consumers[0].pinned, 0);
}
END_TEST

START_TEST(a_batch_comes_as_a_grid_in_every_rendition)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 64, 5 * 48, 0, 0);
    struct frame_batch batch = {.magic = FRAME_BATCH_MAGIC, .count = 5};
    struct ring_loan loan;
    struct ring_view view;

    begin_wanting(true, false, true);
    kit.frame.user_bytes = sizeof(batch);
    ck_assert_int_eq(ring_loan(world.simulator, &loan), 0);
    memcpy(loan.payload, kit.bytes, kit.mapped_bytes);
    memcpy(loan.user, &batch, sizeof(batch));
    ck_assert_int_gt(ring_publish(world.simulator, &loan, &kit.frame), 0);
    next_packet_of(world.viewer, &view);
    ck_assert_uint_eq(view.frame.width, 3 * 64);
    ck_assert_uint_eq(view.frame.height, 2 * 48);
    ck_assert_mem_eq(view.user, &batch, sizeof(batch));
    ring_release(world.viewer, &view);
    next_packet_of(small_viewer, &view);
    ck_assert_uint_eq(view.frame.width, 2 * 64); /* in this box they are larger in two columns */
    ck_assert_uint_eq(view.frame.height, 3 * 48);
    ring_release(small_viewer, &view);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(names_that_are_too_long_together_are_refused)
{
    world.config.stream = "a-camera-with-a-quite-long-name";
    ck_assert_int_eq(stage_open(&world.config, &world.stage), -ENAMETOOLONG);
    ck_assert_ptr_null(world.stage);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("renditions");
    TCase *cases = tcase_create("renditions");

    tcase_add_checked_fixture(cases, set_up_three, tear_down_three);
    tcase_add_test(cases, one_frame_becomes_a_packet_of_each);
    tcase_add_test(cases, what_nobody_wants_is_not_coded);
    tcase_add_test(cases, many_viewers_cost_one_coding);
    tcase_add_test(cases, settings_of_a_rendition_are_its_own);
    tcase_add_test(cases, each_keeps_to_its_own_rate);
    tcase_add_test(cases, a_picture_is_never_enlarged);
    tcase_add_test(cases, one_that_fails_leaves_the_others_whole);
    tcase_add_test(cases, views_are_given_back_whoever_took_part);
    tcase_add_test(cases, a_batch_comes_as_a_grid_in_every_rendition);
    tcase_add_test(cases, names_that_are_too_long_together_are_refused);
    tcase_set_timeout(cases, 30);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
