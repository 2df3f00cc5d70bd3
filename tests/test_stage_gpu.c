/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage on a GPU, of which tests/fake_cuda, fake_nvenc and fake_nvjpeg play the part: what it
 * copies, what it encodes with, and that the stream goes on when the GPU does not.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "encoder/keyframes.h"
#include "tests/gpu_kit.h"
#include "tests/stage_kit.h"
#include "tests/video_kit.h"

#define PICTURE_BYTES ((uint64_t)WIDTH * HEIGHT * 4)
#define STRIDE_BYTES (WIDTH * 4U)

static struct session viewer; /* the decoder of world.viewer */

/* Of the last packet that it saw. */
static struct {
    int64_t keyframe_ns; /* when the newest keyframe was begun; 0: none yet */
    char work[256];      /* what the stage said that it does */
} last;

static void set_up_gpu(void)
{
    set_up();
    world.config.choice = CODER_AUTO;
    viewer = (struct session){0};
    memset(&last, 0, sizeof(last));
}

static void tear_down_gpu(void)
{
    session_close(&viewer);
    tear_down();
}

/* The simulator's ring anew, in GPU memory. */
static void open_cuda_simulator(void)
{
    struct ring_producer_config config = {.dir = world.dir,
                                          .stream = STREAM,
                                          .kind = RING_KIND_FRAMES,
                                          .payload_bytes_max = PICTURE_BYTES,
                                          .memory = RING_MEMORY_CUDA};

    ring_producer_close(world.simulator);
    ck_assert_msg(ring_producer_open(&config, &world.simulator) == 0, "%s", ring_cuda_reason());
}

/* Renders a picture where the ring lies. */
static struct kit_frame render(unsigned phase)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, WIDTH, HEIGHT, 0, phase);
    struct ring_frame frame = kit.frame;
    struct ring_loan loan;
    struct cuda cuda;

    frame.frame_id = ++world.frame_id;
    frame.stride_bytes = STRIDE_BYTES;
    frame.payload_bytes = PICTURE_BYTES;
    ck_assert_int_eq(ring_loan(world.simulator, &loan), 0);
    struct cuda_copy copy = {
        .from_memory = RING_MEMORY_HOST,
        .from = kit.bytes,
        .from_stride_bytes = kit.frame.stride_bytes,
        .into = (uint64_t)(uintptr_t)loan.payload,
        .into_stride_bytes = STRIDE_BYTES,
        .width_bytes = STRIDE_BYTES,
        .rows = HEIGHT,
    };
    ck_assert_int_eq(cuda_open(0, &cuda), 0);
    ck_assert_int_eq(cuda_enter(&cuda), 0);
    ck_assert_int_eq(cuda_copy(&cuda, &copy), 0);
    ck_assert_int_eq(cuda_wait(&cuda), 0);
    cuda_leave(&cuda);
    cuda_close(&cuda);
    ck_assert_int_gt(ring_publish(world.simulator, &loan, &frame), 0);
    return kit;
}

/* A packet as a viewer sees it. */
struct seen {
    uint32_t codec;
    bool keyframe;
    bool goes_on; /* no keyframe that came for nothing */
};

/* On a slow machine a keyframe falls due by its age, and NVENC makes one when the rate changes. */
static struct seen see(const struct video_header *header, const struct ring_frame *coded)
{
    int64_t age_ns = coded->stamp_ns[RING_STAGE_ENCODE_END] - last.keyframe_ns;
    struct seen seen = {.codec = header->codec, .keyframe = header->flags & VIDEO_FLAG_KEYFRAME};
    char work[sizeof(last.work)];

    stage_describe(world.stage, work, sizeof(work));
    bool other_rate = strcmp(work, last.work) != 0;
    bool due = last.keyframe_ns > 0 && (other_rate || age_ns >= KEYFRAMES_INTERVAL_NS);
    seen.goes_on = !seen.keyframe || due;
    if (seen.keyframe)
        last.keyframe_ns = coded->stamp_ns[RING_STAGE_ENCODE_BEGIN];
    memcpy(last.work, work, sizeof(work));
    return seen;
}

/* The packet of the newest frame, which must show the scene of that phase. */
static struct seen decode_next(const struct ring_frame *frame, unsigned phase)
{
    struct ring_view view;
    struct video_packet_view packet = next_packet(&view);
    struct codec_packet coded = {.bytes = (uint8_t *)(uintptr_t)packet.payload,
                                 .size_bytes = packet.header.size};

    if (!viewer.decoder)
        session_open_decoder(&viewer, packet.header.codec);
    ck_assert_uint_eq(view.frame.frame_id, world.frame_id);
    bool is_flagged = view.frame.flags & RING_FRAME_GPU_LOST; /* simcastd makes a metric of it */
    ck_assert_int_eq(is_flagged, stage_counts(world.stage).gpu_lost > 0);
    double psnr = decoded_psnr(&viewer, &coded, frame, phase);
    ck_assert_msg(psnr >= 24, "phase %u: PSNR %.1f dB", phase, psnr);
    struct seen seen = see(&packet.header, &view.frame);
    ring_release(world.viewer, &view);
    return seen;
}

static struct seen rendered_and_decoded(unsigned phase)
{
    struct kit_frame kit = render(phase);
    struct seen seen = decode_next(&kit.frame, phase);

    kit_frame_free(&kit);
    return seen;
}

static struct seen shown_and_decoded(unsigned phase)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, WIDTH, HEIGHT, 0, phase);

    kit.frame.frame_id = ++world.frame_id;
    publish(&kit, kit.frame);
    struct seen seen = decode_next(&kit.frame, phase);
    kit_frame_free(&kit);
    return seen;
}

static void assert_describes(const char *what)
{
    char text[256];

    stage_describe(world.stage, text, sizeof(text));
    ck_assert_msg(strstr(text, what) != NULL, "\"%s\" does not say \"%s\"", text, what);
}

START_TEST(the_processor_copies_no_picture_of_a_host_ring)
{
    begin();
    shown_and_decoded(0);
    struct fake_cuda_state before = cuda_state();
    for (unsigned i = 1; i < 20; i++)
        shown_and_decoded(i);
    struct fake_cuda_state after = cuda_state();
    assert_describes("h264_nvenc");
    ck_assert_uint_eq(after.pageable_bytes, 0);
    ck_assert_uint_eq(after.pinned_bytes - before.pinned_bytes, 19 * PICTURE_BYTES);
    ck_assert_uint_eq(after.kernels, 0);
}
END_TEST

START_TEST(nobody_copies_a_picture_of_a_cuda_ring)
{
    open_cuda_simulator();
    begin();
    rendered_and_decoded(0);
    struct fake_cuda_state before = cuda_state();
    struct kit_frame kit = render(1);
    struct fake_cuda_state rendered = cuda_state();
    decode_next(&kit.frame, 1);
    struct fake_cuda_state after = cuda_state();
    ck_assert_uint_gt(rendered.pageable_bytes, before.pageable_bytes); /* the simulator's */
    ck_assert_uint_eq(after.pageable_bytes, rendered.pageable_bytes);
    ck_assert_uint_eq(after.pinned_bytes, rendered.pinned_bytes);
    ck_assert_uint_eq(after.device_bytes, rendered.device_bytes);
    ck_assert_uint_eq(after.kernels, 0);
    kit_frame_free(&kit);
    for (unsigned i = 2; i < 40; i++)
        rendered_and_decoded(i);
    /* Each slot was registered when it first came, and never again. */
    ck_assert_uint_le(nvenc_state().registered, 8 + 2);
    ck_assert_uint_eq(nvenc_state().opened, 1);
}
END_TEST

#define PHASES 8U

/* A simulator that never waits: whatever is not pinned is overwritten at once. */
struct flood {
    struct kit_frame kits[PHASES];
    atomic_bool over;
};

static void *publish_without_pause(void *context)
{
    struct flood *flood = context;

    for (uint64_t id = 1; !atomic_load_explicit(&flood->over, memory_order_relaxed); id++) {
        struct kit_frame *kit = &flood->kits[id % PHASES];
        struct ring_frame frame = kit->frame;
        frame.frame_id = id;
        publish(kit, frame);
    }
    return NULL;
}

START_TEST(a_frame_stays_until_the_gpu_has_read_it)
{
    struct flood flood = {.over = false};
    struct ring_view view;
    pthread_t thread;

    for (unsigned i = 0; i < PHASES; i++)
        flood.kits[i] = kit_frame_make(PIXEL_RGBA, WIDTH, HEIGHT, 0, 9 * i);
    begin();
    session_open_decoder(&viewer, VIDEO_CODEC_H264);
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_without_pause, &flood), 0);
    for (unsigned i = 0; i < 60; i++) {
        struct video_packet_view packet = next_packet(&view);
        struct codec_packet coded = {.bytes = (uint8_t *)(uintptr_t)packet.payload,
                                     .size_bytes = packet.header.size};
        unsigned which = (unsigned)(view.frame.frame_id % PHASES);
        double psnr = decoded_psnr(&viewer, &coded, &flood.kits[which].frame, 9 * which);
        ck_assert_msg(psnr >= 24, "frame %u: PSNR %.1f dB", i, psnr);
        ring_release(world.viewer, &view);
    }
    atomic_store_explicit(&flood.over, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(stage_counts(world.stage).lost, 0);
    ck_assert_uint_eq(cuda_state().pageable_bytes, 0);
    for (unsigned i = 0; i < PHASES; i++)
        kit_frame_free(&flood.kits[i]);
}
END_TEST

START_TEST(another_simulator_with_a_cuda_ring_begins_anew)
{
    open_cuda_simulator();
    begin();
    rendered_and_decoded(0);
    ck_assert(rendered_and_decoded(1).goes_on);
    open_cuda_simulator();
    TURN_UNTIL(simulator_demand().wanting == 1);
    ck_assert(rendered_and_decoded(2).keyframe);
    ck_assert(rendered_and_decoded(3).goes_on);
    ck_assert_uint_eq(nvenc_state().opened, 2);
    ck_assert_uint_eq(nvenc_state().sessions, 1);
    ck_assert_uint_eq(nvenc_state().forgotten, 0);
}
END_TEST

START_TEST(hevc_is_encoded_where_it_is_asked_for)
{
    struct stream_settings asked = {.codec = VIDEO_CODEC_HEVC};

    begin();
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings_changes > 0);
    struct seen seen = shown_and_decoded(0);
    ck_assert_uint_eq(seen.codec, VIDEO_CODEC_HEVC);
    ck_assert(seen.keyframe);
    for (unsigned i = 1; i < 10; i++)
        ck_assert(shown_and_decoded(i).goes_on);
    assert_describes("hevc_nvenc");
}
END_TEST

/* The codec of the first packet of a rendition that is to be HEVC, the only one that is watched. */
static uint32_t codec_of_hevc_rendition(void)
{
    struct ring_view view;

    world.config.others[0] = (struct rendition_spec){"best", {.codec = VIDEO_CODEC_HEVC}};
    world.config.other_count = 1;
    ring_consumer_close(world.viewer);
    world.viewer = open_viewer_of(STREAM "+best");
    open_stage();
    ring_consumer_want(world.viewer, true);
    TURN_UNTIL(ring_acquire(world.viewer, RING_NEXT, &view) == -EAGAIN &&
               rendition_wanted(stage_rendition(world.stage, 1)) &&
               simulator_demand().wanting == 1);
    return shown_and_decoded(0).codec;
}

START_TEST(a_rendition_may_be_hevc)
{
    ck_assert_uint_eq(codec_of_hevc_rendition(), VIDEO_CODEC_HEVC);
    assert_describes("hevc_nvenc");
}
END_TEST

START_TEST(a_rendition_of_hevc_that_the_gpu_has_not_is_h264)
{
    setenv("FAKE_NVENC_CODECS", "h264", 1);
    ck_assert_uint_eq(codec_of_hevc_rendition(), VIDEO_CODEC_H264);
    assert_describes("h264_nvenc");
}
END_TEST

START_TEST(hevc_that_the_gpu_has_not_is_h264)
{
    struct stream_settings asked = {.codec = VIDEO_CODEC_HEVC};

    setenv("FAKE_NVENC_CODECS", "h264", 1);
    begin();
    ring_consumer_settings(world.viewer, &asked);
    TURN_UNTIL(simulator_demand().settings_changes > 0);
    ck_assert_uint_eq(shown_and_decoded(0).codec, VIDEO_CODEC_H264);
    assert_describes("h264_nvenc");
}
END_TEST

static const struct {
    const char *variable;
    const char *value;
} losses[] = {
    {"FAKE_NVENC_FAIL", "nvEncEncodePicture:5"},
    {"FAKE_NVENC_FAIL", "nvEncLockBitstream:20"},
    {"FAKE_CUDA_FAIL", "*:719"},
};

START_TEST(a_gpu_lost_in_mid_stream_is_replaced_within_a_second)
{
    if (strcmp(losses[_i].variable, "FAKE_CUDA_FAIL") == 0)
        gpu_allow_leaks();
    begin();
    for (unsigned i = 0; i < 5; i++)
        shown_and_decoded(i);
    assert_describes("h264_nvenc");
    setenv(losses[_i].variable, losses[_i].value, 1);
    int64_t lost_ns = clock_now_ns();
    show(PIXEL_RGBA, WIDTH, HEIGHT);
    TURN_UNTIL(stage_counts(world.stage).lost == 1);
    struct seen seen = shown_and_decoded(6); /* with the decoder that saw the GPU's */
    ck_assert_int_lt(clock_now_ns() - lost_ns, NS_PER_S);
    ck_assert(seen.keyframe);
    assert_describes("libx264");
    unsetenv(losses[_i].variable); /* a GPU that comes back is left alone */
    for (unsigned i = 7; i < 12; i++)
        ck_assert(shown_and_decoded(i).goes_on);
    assert_describes("libx264");
    ck_assert_uint_eq(stage_counts(world.stage).gpu_lost, 1);
    ck_assert_uint_eq(stage_counts(world.stage).lost, 1);
}
END_TEST

/* A data-centre GPU: memory and kernels, but no NVENC. */
START_TEST(a_cuda_ring_without_nvenc_is_sent_as_jpeg_where_that_is_allowed)
{
    setenv("FAKE_NVENC_FAIL", "nvEncOpenEncodeSessionEx:2", 1);
    world.config.jpeg_instead = true;
    open_cuda_simulator();
    begin();
    struct kit_frame kit = render(0);
    struct ring_view view;
    ck_assert_uint_eq(next_packet(&view).header.codec, VIDEO_CODEC_JPEG);
    assert_describes("nvJPEG");
    ring_release(world.viewer, &view);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(a_cuda_ring_that_nothing_can_encode_is_refused)
{
    setenv("FAKE_NVENC_FAIL", "nvEncOpenEncodeSessionEx:2", 1);
    open_cuda_simulator();
    begin();
    for (unsigned i = 0; i < 3; i++) {
        struct kit_frame kit = render(i);
        TURN_UNTIL(stage_counts(world.stage).refused == i + 1);
        kit_frame_free(&kit);
    }
    ck_assert_uint_eq(stage_counts(world.stage).encoded, 0);
    ring_producer_close(world.simulator); /* and one in host memory is taken */
    open_simulator();
    TURN_UNTIL(simulator_demand().wanting == 1);
    ck_assert(shown_and_decoded(4).keyframe);
    assert_describes("libx264");
}
END_TEST

START_TEST(who_asks_for_libx264_gets_no_gpu)
{
    world.config.choice = CODER_X264;
    begin();
    shown_and_decoded(0);
    assert_describes("libx264");
    ck_assert_uint_eq(cuda_state().contexts, 0); /* and the ring is not pinned */
}
END_TEST

int main(void)
{
    const char *missing = gpu_missing(&codec_nvenc);

    if (missing) {
        printf("skipped: %s\n", missing);
        return GPU_SKIPPED;
    }
    Suite *suite = suite_create("stage_gpu");
    TCase *cases = tcase_create("stage_gpu");

    tcase_add_checked_fixture(cases, set_up_gpu, tear_down_gpu);
    tcase_add_test(cases, the_processor_copies_no_picture_of_a_host_ring);
    tcase_add_test(cases, nobody_copies_a_picture_of_a_cuda_ring);
    tcase_add_test(cases, a_frame_stays_until_the_gpu_has_read_it);
    tcase_add_test(cases, another_simulator_with_a_cuda_ring_begins_anew);
    tcase_add_test(cases, hevc_is_encoded_where_it_is_asked_for);
    tcase_add_test(cases, hevc_that_the_gpu_has_not_is_h264);
    tcase_add_test(cases, a_rendition_may_be_hevc);
    tcase_add_test(cases, a_rendition_of_hevc_that_the_gpu_has_not_is_h264);
    tcase_add_loop_test(cases, a_gpu_lost_in_mid_stream_is_replaced_within_a_second, 0,
                        (int)(sizeof(losses) / sizeof(losses[0])));
    tcase_add_test(cases, a_cuda_ring_without_nvenc_is_sent_as_jpeg_where_that_is_allowed);
    tcase_add_test(cases, a_cuda_ring_that_nothing_can_encode_is_refused);
    tcase_add_test(cases, who_asks_for_libx264_gets_no_gpu);
    tcase_set_timeout(cases, 30);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
