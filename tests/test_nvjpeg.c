/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nvJPEG back end writes, decoded again and compared with the source, and what it does
 * when the GPU does not. Runs against stand-ins (tests/fake_cuda, tests/fake_nvjpeg), or with
 * SIMCAST_TEST_GPU=1 against a real GPU, as far as that can be asked.
 */
#include <errno.h>

#include "tests/fake_nvjpeg/fake_nvjpeg.h"
#include "tests/gpu_kit.h"
#include "tests/jpeg_kit.h"

#define PACKET_BYTES (2UL << 20)
#define GUARD_BYTES 64
#define GUARD_VALUE 0xA5

static uint8_t memory[PACKET_BYTES + GUARD_BYTES];

static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX,
                                   PIXEL_BGRA,  PIXEL_NV12, PIXEL_GREY};

#define LAYOUTS 6

static struct fake_nvjpeg_state nvjpeg_state(void)
{
    void *symbol = gpu_fake_symbol("libnvjpeg.so.12", "fake_nvjpeg_state");
    struct fake_nvjpeg_state state = {0};
    fake_nvjpeg_state_function *ask;

    memcpy(&ask, &symbol, sizeof(ask));
    if (ask)
        ask(&state);
    return state;
}

static void assert_nothing_is_left(void)
{
    struct fake_nvjpeg_state state = nvjpeg_state();

    gpu_assert_nothing_is_left();
    ck_assert_int_eq(state.handles, 0);
    ck_assert_int_eq(state.states, 0);
    ck_assert_int_eq(state.params, 0);
}

static struct codec_config config_for(uint32_t width, uint32_t height, uint32_t quality)
{
    return (struct codec_config){.settings = {.codec = VIDEO_CODEC_JPEG,
                                              .jpeg_quality = quality,
                                              .width = width,
                                              .height = height},
                                 .packet_bytes_max = PACKET_BYTES};
}

static struct codec *codec_open(uint32_t width, uint32_t height, uint32_t quality)
{
    struct codec_config config = config_for(width, height, quality);
    struct codec *codec = NULL;

    ck_assert_msg(codec_nvjpeg.open(&config, &codec) == 0, "%s", codec_complaint());
    return codec;
}

/* Codes into `bytes_max` bytes of memory and checks that not one more was written. */
static int encode(struct codec *codec, const struct picture *picture, size_t bytes_max,
                  struct codec_packet *ret_packet)
{
    struct codec_packet packet = {.bytes = memory, .bytes_max = bytes_max};

    memset(memory, GUARD_VALUE, sizeof(memory));
    int rc = codec_nvjpeg.load(codec, picture);
    if (rc == 0)
        rc = codec_nvjpeg.encode(codec, false, &packet);
    for (unsigned i = 0; i < GUARD_BYTES; i++)
        ck_assert_uint_eq(memory[bytes_max + i], GUARD_VALUE);
    *ret_packet = packet;
    return rc;
}

static void check_image(const struct codec_packet *packet, const struct kit_frame *kit)
{
    const struct ring_frame *frame = &kit->frame;
    int sampling;
    struct kit_image image = kit_jpeg_decode(packet, &sampling);

    ck_assert_int_eq(sampling, 22); /* 4:2:0 */
    ck_assert_uint_eq(image.width, frame->width);
    ck_assert_uint_eq(image.height, frame->height);
    kit_check_image(&image, frame, 5);
    free(image.pixels);
}

static void check_picture(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, width, height, flags, 5);
    struct codec *codec = codec_open(width, height, 90);
    struct codec_packet packet;
    struct gpu gpu;

    gpu_open(&gpu);
    for (enum ring_memory where = RING_MEMORY_HOST; where <= RING_MEMORY_CUDA; where++) {
        struct picture picture =
            where == RING_MEMORY_CUDA ? gpu_picture(&gpu, &kit) : kit_picture(&kit);
        ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), 0);
        ck_assert(packet.keyframe && !packet.degraded);
        check_image(&packet, &kit);
    }
    gpu_close(&gpu);
    codec_nvjpeg.close(codec);
    kit_frame_free(&kit);
}

START_TEST(every_layout_of_both_memories_keeps_each_plane)
{
    static const struct {
        uint32_t width, height;
    } sizes[] = {{640, 480}, {199, 161}, {321, 242}};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_picture(layouts[_i], sizes[i].width, sizes[i].height, 0);
        if (layouts[_i] != PIXEL_NV12 || sizes[i].height % 2 == 0)
            check_picture(layouts[_i], sizes[i].width, sizes[i].height, RING_FRAME_BOTTOM_UP);
    }
}
END_TEST

START_TEST(quality_changes_while_running)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, 0, 5);
    struct picture picture = kit_picture(&kit);
    struct codec_config config = config_for(640, 480, 90);
    struct codec *codec = codec_open(640, 480, 90);
    struct codec_packet fine;
    struct codec_packet coarse;

    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &fine), 0);
    config.settings.jpeg_quality = 20;
    ck_assert(codec_nvjpeg.adapt(codec, &config.settings));
    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &coarse), 0);
    ck_assert_uint_lt(coarse.size_bytes, fine.size_bytes);
    config.settings.width = 320;
    ck_assert(!codec_nvjpeg.adapt(codec, &config.settings));
    codec_nvjpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(a_small_slot_gets_a_worse_picture_or_none)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, 0, 5);
    struct picture picture = kit_picture(&kit);
    struct codec *codec = codec_open(640, 480, 95);
    struct codec_packet packet;

    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), 0);
    ck_assert_int_eq(encode(codec, &picture, packet.size_bytes / 2, &packet), 0);
    ck_assert(packet.degraded);
    ck_assert_int_eq(encode(codec, &picture, 100, &packet), -EMSGSIZE);
    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), 0);
    ck_assert(!packet.degraded);
    check_image(&packet, &kit);
    codec_nvjpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(rgb24_of_the_gpu_is_read_where_it_lies)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, 0, 5);
    struct codec *codec = codec_open(640, 480, 90);
    struct codec_packet packet;
    struct gpu gpu;

    gpu_open(&gpu);
    struct picture picture = gpu_picture(&gpu, &kit);
    struct fake_cuda_state before = cuda_state();
    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), 0);
    struct fake_cuda_state after = cuda_state();
    ck_assert_uint_eq(after.kernels, before.kernels);
    ck_assert_uint_eq(after.pinned_bytes + after.pageable_bytes + after.device_bytes,
                      before.pinned_bytes + before.pageable_bytes + before.device_bytes);
    gpu_close(&gpu);
    codec_nvjpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

static const struct gpu_failure open_failures[] = {
    {"FAKE_CUDA_DEVICES", "0", "nvidia-smi"},
    {"FAKE_CUDA_FAIL", "cuMemAlloc:2", "out of memory"},
    {"FAKE_NVJPEG_FAIL", "nvjpegCreateSimple:7", "nvjpegCreateSimple failed with 7"},
    {"FAKE_NVJPEG_FAIL", "nvjpegEncoderStateCreate:5", "nvjpegEncoderStateCreate"},
    {"FAKE_NVJPEG_FAIL", "nvjpegEncoderParamsCreate:5", "nvjpegEncoderParamsCreate"},
    {"FAKE_NVJPEG_FAIL", "nvjpegEncoderParamsSetSamplingFactors:2", "SamplingFactors"},
};

START_TEST(what_does_not_open_says_why_and_leaves_nothing)
{
    const struct gpu_failure *failure = &open_failures[_i];
    struct codec_config config = config_for(320, 240, 80);
    struct codec *codec = NULL;

    setenv(failure->variable, failure->value, 1);
    ck_assert_int_eq(codec_nvjpeg.open(&config, &codec), -ENODEV);
    gpu_assert_told(failure);
    unsetenv(failure->variable);
    assert_nothing_is_left();
    codec_nvjpeg.close(codec_open(320, 240, 80)); /* and opens when it can */
}
END_TEST

static const struct gpu_failure losses[] = {
    {"FAKE_NVJPEG_FAIL", "nvjpegEncodeImage:6", "nvjpegEncodeImage failed with 6"},
    {"FAKE_NVJPEG_FAIL", "nvjpegEncodeRetrieveBitstream:6", "RetrieveBitstream"},
    {"FAKE_NVJPEG_FAIL", "nvjpegEncoderParamsSetQuality:6", "SetQuality"},
    {"FAKE_CUDA_FAIL", "cuStreamSynchronize:719", "cuStreamSynchronize"},
    {"FAKE_CUDA_FAIL", "cuLaunchKernel:719", "cuLaunchKernel"},
    {"FAKE_CUDA_FAIL", "*:719", "719"},
};

START_TEST(a_gpu_lost_in_mid_stream_is_an_error_and_no_more)
{
    struct kit_frame kit = kit_frame_make(PIXEL_BGRA, 640, 480, 0, 5);
    struct picture picture = kit_picture(&kit);
    struct codec_config config = config_for(640, 480, 85);
    struct codec *codec = codec_open(640, 480, 90);
    struct codec_packet packet;

    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), 0);
    ck_assert(codec_nvjpeg.adapt(codec, &config.settings));
    setenv(losses[_i].variable, losses[_i].value, 1);
    ck_assert_int_eq(encode(codec, &picture, PACKET_BYTES, &packet), -EIO);
    gpu_assert_told(&losses[_i]);
    codec_nvjpeg.close(codec);
    kit_frame_free(&kit);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    const char *missing = gpu_missing(&codec_nvjpeg);

    if (missing) {
        printf("skipped: %s\n", missing);
        return GPU_SKIPPED;
    }
    Suite *suite = suite_create("nvjpeg");
    TCase *cases = tcase_create("pictures");
    TCase *lost = tcase_create("losses");
    bool is_real = getenv("SIMCAST_TEST_GPU") != NULL;

    if (!is_real)
        tcase_add_checked_fixture(cases, NULL, assert_nothing_is_left);
    tcase_add_loop_test(cases, every_layout_of_both_memories_keeps_each_plane, 0, LAYOUTS);
    tcase_add_test(cases, quality_changes_while_running);
    tcase_add_test(cases, a_small_slot_gets_a_worse_picture_or_none);
    if (!is_real) {
        tcase_add_test(cases, rgb24_of_the_gpu_is_read_where_it_lies);
        tcase_add_loop_test(cases, what_does_not_open_says_why_and_leaves_nothing, 0,
                            COUNT(open_failures));
        tcase_add_loop_test(lost, a_gpu_lost_in_mid_stream_is_an_error_and_no_more, 0,
                            COUNT(losses));
    }
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, lost);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
