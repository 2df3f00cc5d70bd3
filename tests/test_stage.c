/* SPDX-License-Identifier: Apache-2.0 */
/* One camera, one rendition: what becomes of frames, wishes and lies. */
#include "encoder/trouble.h"
#include "shm/layout.h"
#include "tests/stage_kit.h"

/* ---- the log ------------------------------------------------------------------------------- */

static struct {
    FILE *file;
    int stderr_fd;
    char text[8192];
} captured;

static void capture_log(void)
{
    captured.file = tmpfile();
    captured.stderr_fd = dup(STDERR_FILENO);
    ck_assert_ptr_nonnull(captured.file);
    ck_assert_int_ge(dup2(fileno(captured.file), STDERR_FILENO), 0);
}

/* How many lines since capture_log have this in them. */
static unsigned logged(const char *words)
{
    ssize_t bytes = pread(fileno(captured.file), captured.text, sizeof(captured.text) - 1, 0);
    unsigned count = 0;

    ck_assert_int_ge(bytes, 0);
    captured.text[bytes] = '\0';
    for (const char *at = captured.text; (at = strstr(at, words)); at = strchr(at, '\n'))
        count++;
    return count;
}

static void release_log(void)
{
    dup2(captured.stderr_fd, STDERR_FILENO);
    close(captured.stderr_fd);
    fputs(captured.text, stderr); /* for who reads the test's own output */
    fclose(captured.file);
}

/* ---- frames -------------------------------------------------------------------------------- */

START_TEST(a_frame_becomes_a_packet_and_keeps_its_story)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, WIDTH, HEIGHT, RING_FRAME_BOTTOM_UP, 0);
    struct ring_frame frame = kit.frame;
    struct ring_view view;

    begin();
    frame.frame_id = 4711;
    frame.user_bytes = 77;
    frame.sim_time_ns = 123456789;
    frame.stamp_ns[RING_STAGE_RENDERED] = clock_now_ns();
    publish(&kit, frame);
    struct video_packet_view packet = next_packet(&view);
    ck_assert_uint_eq(packet.header.frame_id, 4711);
    ck_assert_uint_eq(packet.header.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(packet.header.flags, VIDEO_FLAG_KEYFRAME);
    ck_assert_uint_eq(packet.header.reserved,
                      (uint32_t)(view.frame.stamp_ns[RING_STAGE_PUBLISHED] / 1000));
    ck_assert_uint_eq(view.frame.frame_id, 4711);
    ck_assert_uint_eq(view.frame.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(view.frame.fourcc, 0);
    ck_assert_int_eq(view.frame.sim_time_ns, 123456789);
    ck_assert_uint_eq(view.frame.user_bytes, 77);
    for (unsigned i = 0; i < 77; i++)
        ck_assert_uint_eq(((const uint8_t *)view.user)[i], 0x5e);
    ck_assert_int_eq(view.frame.stamp_ns[RING_STAGE_RENDERED], frame.stamp_ns[RING_STAGE_RENDERED]);
    for (unsigned stage = 1; stage < RING_STAGE_COUNT; stage++)
        ck_assert_int_ge(view.frame.stamp_ns[stage], view.frame.stamp_ns[stage - 1]);
    ring_release(world.viewer, &view);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(packets_are_numbered_without_gaps_and_after_those_of_an_earlier_run)
{
    begin();
    uint64_t seq = header_after(WIDTH, HEIGHT).frame_seq;
    for (unsigned i = 1; i < 5; i++)
        ck_assert_uint_eq(header_after(WIDTH, HEIGHT).frame_seq, seq + i);
    stage_close(world.stage);
    begin();
    ck_assert_uint_gt(header_after(WIDTH, HEIGHT).frame_seq, seq + 4);
}
END_TEST

START_TEST(nobody_watching_is_told_to_the_simulator_and_costs_nothing)
{
    begin();
    header_after(WIDTH, HEIGHT);
    ring_consumer_want(world.viewer, false);
    TURN_UNTIL(simulator_demand().wanting == 0);
    uint64_t encoded = stage_counts(world.stage).encoded;
    for (unsigned i = 0; i < 10; i++)
        show_and_turn(WIDTH, HEIGHT);
    ck_assert_uint_eq(stage_counts(world.stage).encoded, encoded);
    ring_consumer_want(world.viewer, true);
    TURN_UNTIL(simulator_demand().wanting == 1);
    show_and_turn(WIDTH, HEIGHT);
    TURN_UNTIL(stage_counts(world.stage).encoded == encoded + 1);
}
END_TEST

START_TEST(a_viewer_that_asks_gets_a_keyframe)
{
    begin();
    ck_assert(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME);
    ck_assert(!(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME));
    int64_t asked_ns = clock_now_ns();
    ring_consumer_request_keyframe(world.viewer);
    while (!(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME))
        ck_assert_int_lt(clock_now_ns() - asked_ns, NS_PER_S); /* long before one is due */
}
END_TEST

START_TEST(settings_switch_the_codec_and_reach_the_simulator)
{
    struct stream_settings asked = {
        .codec = VIDEO_CODEC_JPEG, .jpeg_quality = 40, .width = 640, .height = 480, .fps = 20};

    begin();
    ck_assert_uint_eq(header_after(WIDTH, HEIGHT).codec, VIDEO_CODEC_H264);
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings.width == 640);
    ck_assert_uint_eq(simulator_demand().settings.height, 480);
    ck_assert_uint_eq(simulator_demand().settings.fps, 20);
    struct video_header header = header_after(WIDTH, HEIGHT);
    ck_assert_uint_eq(header.codec, VIDEO_CODEC_JPEG);
    ck_assert(header.flags & VIDEO_FLAG_KEYFRAME);
    asked = (struct stream_settings){.codec = VIDEO_CODEC_H264, .fps = 240};
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings.fps == 240);
    header = header_after(WIDTH, HEIGHT);
    ck_assert_uint_eq(header.codec, VIDEO_CODEC_H264);
    ck_assert(header.flags & VIDEO_FLAG_KEYFRAME);
}
END_TEST

START_TEST(settings_that_cannot_be_kept_leave_the_stream_as_it_is)
{
    struct stream_settings asked = {
        .codec = VIDEO_CODEC_HEVC, .jpeg_quality = 999, .preset = "nosuch", .fps = 240};

    begin();
    header_after(WIDTH, HEIGHT);
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings.fps == 240);
    struct video_header header = header_after(WIDTH, HEIGHT);
    ck_assert_uint_eq(header.codec, VIDEO_CODEC_H264);
    ck_assert(!(header.flags & VIDEO_FLAG_KEYFRAME));
}
END_TEST

START_TEST(another_bitrate_or_quality_needs_no_keyframe)
{
    struct stream_settings asked = {.bitrate_bps = 1000000, .jpeg_quality = 20, .fps = 240};

    begin();
    header_after(WIDTH, HEIGHT);
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings.fps == 240);
    ck_assert(!(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME));
}
END_TEST

START_TEST(another_picture_size_begins_with_a_keyframe)
{
    begin();
    header_after(WIDTH, HEIGHT);
    ck_assert(!(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME));
    ck_assert(header_after(640, 480).flags & VIDEO_FLAG_KEYFRAME);
    ck_assert(!(header_after(640, 480).flags & VIDEO_FLAG_KEYFRAME));
    ck_assert(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME);
}
END_TEST

START_TEST(a_restarted_simulator_begins_with_a_keyframe)
{
    begin();
    uint64_t seq = header_after(WIDTH, HEIGHT).frame_seq;
    ck_assert(!(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME));
    ring_producer_close(world.simulator);
    turn();
    open_simulator();
    TURN_UNTIL(simulator_demand().wanting == 1);
    struct video_header header = header_after(WIDTH, HEIGHT);
    ck_assert(header.flags & VIDEO_FLAG_KEYFRAME);
    ck_assert_uint_eq(header.frame_seq, seq + 2);
}
END_TEST

static void lie_of_height(struct ring_frame *frame)
{
    frame->height *= 2;
}

static void lie_of_stride(struct ring_frame *frame)
{
    frame->stride_bytes = 1;
}

static void lie_of_layout(struct ring_frame *frame)
{
    frame->fourcc = 0;
}

static void lie_of_width(struct ring_frame *frame)
{
    frame->width = UINT32_MAX;
}

static void lie_of_payload(struct ring_frame *frame)
{
    frame->payload_bytes = UINT64_MAX;
}

static void lie_of_user_bytes(struct ring_frame *frame)
{
    frame->user_bytes = RING_USER_BYTES + 1;
}

static void (*const lies[])(struct ring_frame *) = {
    lie_of_height, lie_of_stride, lie_of_layout, lie_of_width, lie_of_payload, lie_of_user_bytes};

/* A simulator that does not use ring_publish can write any header; here it is put in afterwards. */
static void publish_lie(void (*lie)(struct ring_frame *))
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, WIDTH, HEIGHT, 0, 0);
    struct ring_loan loan;

    ck_assert_int_eq(ring_loan(world.simulator, &loan), 0);
    memcpy(loan.payload, kit.bytes, kit.mapped_bytes);
    ck_assert_int_gt(ring_publish(world.simulator, &loan, &kit.frame), 0);
    uint8_t *slot = (uint8_t *)loan.user - offsetof(struct ring_slot, user);
    lie(&((struct ring_slot *)slot)->frame);
    kit_frame_free(&kit);
}

START_TEST(frames_that_lie_are_refused_counted_and_named_once)
{
    begin();
    capture_log();
    for (unsigned i = 1; i <= 2; i++) {
        publish_lie(lies[_i]);
        TURN_UNTIL(stage_counts(world.stage).refused == i);
    }
    ck_assert_uint_eq(stage_counts(world.stage).encoded, 0);
    ck_assert(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME);
    publish_lie(lies[_i]); /* nor is it named again after a good one */
    TURN_UNTIL(stage_counts(world.stage).refused == 3);
    unsigned refusals = logged("is refused: ");
    release_log();
    ck_assert_uint_eq(refusals, 1);
    ck_assert_uint_eq(stage_counts(world.stage).encoded, 1);
}
END_TEST

START_TEST(what_goes_wrong_is_told_once_a_minute)
{
    const int64_t start_ns = clock_now_ns();
    struct trouble trouble = {0};

    begin();
    header_after(WIDTH, HEIGHT);
    capture_log();
    for (unsigned second = 0; second < 300; second++) {
        if (second == 10 || second == 20 || second == 200) { /* told at 70 and at 260 */
            uint64_t before = stage_counts(world.stage).refused;
            publish_lie(lie_of_stride);
            TURN_UNTIL(stage_counts(world.stage).refused > before);
        }
        struct rendition_counts counts = stage_counts(world.stage);
        trouble_tell(&trouble, STREAM, &counts, start_ns + second * NS_PER_S);
    }
    ck_assert_uint_eq(stage_counts(world.stage).refused, 3);
    unsigned told = logged("of the last minute");
    unsigned first = logged("2 refused, 0 coded worse than asked, 0 lost; in all 2, 0 and 0");
    unsigned second = logged("1 refused, 0 coded worse than asked, 0 lost; in all 3, 0 and 0");
    release_log();
    ck_assert_uint_eq(told, 2);
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(second, 1);
}
END_TEST

START_TEST(a_slot_too_small_makes_worse_pictures_or_counts_them)
{
    struct stream_settings asked = {.codec = VIDEO_CODEC_JPEG, .jpeg_quality = 95};

    struct kit_frame noise = kit_frame_make(PIXEL_GREY, 640, 480, 0, 0);
    unsigned seed = 3;

    printf("seed %u\n", seed);
    mprotect(noise.bytes, noise.mapped_bytes, PROT_READ | PROT_WRITE);
    for (size_t at = 0; at < noise.mapped_bytes; at++)
        noise.bytes[at] = (uint8_t)(rand_r(&seed) >> 8);
    world.config.packet_bytes_max = 8192;
    begin();
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings_changes > 0);
    ck_assert_uint_eq(header_after(WIDTH, HEIGHT).codec, VIDEO_CODEC_JPEG);
    ck_assert_uint_eq(stage_counts(world.stage).degraded, 1);
    publish(&noise, noise.frame); /* no quality fits */
    TURN_UNTIL(stage_counts(world.stage).lost == 1);
    header_after(WIDTH, HEIGHT);
    kit_frame_free(&noise);
}
END_TEST

START_TEST(no_more_than_the_asked_fps_are_encoded)
{
    begin();
    struct stream_settings asked = {.fps = 10};
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings.fps == 10);
    int64_t begin_ns = clock_now_ns();
    while (clock_now_ns() - begin_ns < NS_PER_S)
        show_and_turn(WIDTH, HEIGHT);
    struct rendition_counts counts = stage_counts(world.stage);
    ck_assert_uint_ge(counts.encoded, 8);
    ck_assert_uint_le(counts.encoded, 13);
    ck_assert_uint_gt(counts.over_rate, counts.encoded);
}
END_TEST

/* Slices of a coded picture: NAL units of type 1 or 5. */
static unsigned slices_of(const struct video_packet_view *packet)
{
    const uint8_t *at = packet->payload;
    unsigned count = 0;

    for (uint32_t i = 0; i + 3 < packet->header.size; i++)
        count += at[i] == 0 && at[i + 1] == 0 && at[i + 2] == 1 &&
                 ((at[i + 3] & 0x1f) == 1 || (at[i + 3] & 0x1f) == 5);
    return count;
}

static unsigned slices_after(bool *ret_keyframe)
{
    struct ring_view view;

    show(PIXEL_GREY, 1280, 720);
    struct video_packet_view packet = next_packet(&view);
    unsigned count = slices_of(&packet);
    *ret_keyframe = packet.header.flags & VIDEO_FLAG_KEYFRAME;
    ring_release(world.viewer, &view);
    return count;
}

START_TEST(only_a_lone_camera_shares_its_pictures_among_threads)
{
    atomic_uint busy = 0;
    bool keyframe;
    unsigned alone = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;

    world.config.busy = &busy;
    begin();
    ck_assert_uint_eq(atomic_load(&busy), 1);
    ck_assert_uint_eq(slices_after(&keyframe), alone);
    atomic_fetch_add(&busy, 1); /* another camera is watched */
    ck_assert_uint_eq(slices_after(&keyframe), 1);
    ck_assert(keyframe);
    ck_assert_uint_eq(slices_after(&keyframe), 1);
    ck_assert(!keyframe);
    atomic_fetch_sub(&busy, 1);
    ck_assert_uint_eq(slices_after(&keyframe), alone);
    ring_consumer_want(world.viewer, false);
    TURN_UNTIL(atomic_load(&busy) == 0);
    ring_consumer_want(world.viewer, true);
    TURN_UNTIL(atomic_load(&busy) == 1);
    stage_close(world.stage);
    world.stage = NULL;
    ck_assert_uint_eq(atomic_load(&busy), 0);
}
END_TEST

START_TEST(a_second_encoder_for_the_same_stream_is_refused)
{
    struct stage *second = NULL;

    begin();
    ck_assert_int_eq(stage_open(&world.config, &second), -EADDRINUSE);
    ck_assert_ptr_null(second);
    ck_assert(header_after(WIDTH, HEIGHT).flags & VIDEO_FLAG_KEYFRAME); /* the first lives on */
}
END_TEST

START_TEST(without_nvenc_auto_encodes_with_libx264)
{
    char text[256];

    world.config.choice = CODER_AUTO;
    begin();
    ck_assert_uint_eq(header_after(WIDTH, HEIGHT).codec, VIDEO_CODEC_H264);
    stage_describe(world.stage, text, sizeof(text));
    ck_assert_msg(strstr(text, "encoding 320x240") && strstr(text, "h264"), "\"%s\"", text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stage");
    TCase *cases = tcase_create("stage");

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_frame_becomes_a_packet_and_keeps_its_story);
    tcase_add_test(cases, packets_are_numbered_without_gaps_and_after_those_of_an_earlier_run);
    tcase_add_test(cases, nobody_watching_is_told_to_the_simulator_and_costs_nothing);
    tcase_add_test(cases, a_viewer_that_asks_gets_a_keyframe);
    tcase_add_test(cases, settings_switch_the_codec_and_reach_the_simulator);
    tcase_add_test(cases, settings_that_cannot_be_kept_leave_the_stream_as_it_is);
    tcase_add_test(cases, another_bitrate_or_quality_needs_no_keyframe);
    tcase_add_test(cases, another_picture_size_begins_with_a_keyframe);
    tcase_add_test(cases, a_restarted_simulator_begins_with_a_keyframe);
    tcase_add_loop_test(cases, frames_that_lie_are_refused_counted_and_named_once, 0,
                        sizeof(lies) / sizeof(lies[0]));
    tcase_add_test(cases, what_goes_wrong_is_told_once_a_minute);
    tcase_add_test(cases, a_slot_too_small_makes_worse_pictures_or_counts_them);
    tcase_add_test(cases, no_more_than_the_asked_fps_are_encoded);
    tcase_add_test(cases, only_a_lone_camera_shares_its_pictures_among_threads);
    tcase_add_test(cases, a_second_encoder_for_the_same_stream_is_refused);
    tcase_add_test(cases, without_nvenc_auto_encodes_with_libx264);
    tcase_set_timeout(cases, 30);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
