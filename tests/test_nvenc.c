/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the NVENC back ends write, decoded again and compared with the source; which copies they
 * make; and what they do when the GPU does not. Runs FFmpeg's own h264_nvenc and hevc_nvenc
 * against stand-ins (tests/fake_cuda, tests/fake_nvenc), or with SIMCAST_TEST_GPU=1 against a real
 * GPU, as far as that can be asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "encoder/cuda.h"
#include "shm/cuda_pin.h"
#include "tests/gpu_kit.h"
#include "tests/video_kit.h"

#define RC_CBR 2     /* NV_ENC_PARAMS_RC_CBR */
#define TUNING_ULL 3 /* NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY */

static const struct codec_backend *const backends[] = {&codec_nvenc, &codec_nvenc_hevc};

#define BACKENDS 2

static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX,
                                   PIXEL_BGRA,  PIXEL_NV12, PIXEL_GREY};

#define LAYOUTS 6

static const struct kit_size {
    uint32_t width;
    uint32_t height;
} sizes[] = {{160, 128}, {199, 161}, {322, 243}, {640, 480}};

/* ---- quality ------------------------------------------------------------------------------- */

static void check_decoded(struct session *session, const struct codec_packet *packet,
                          const struct kit_frame *kit, unsigned phase)
{
    const struct ring_frame *frame = &kit->frame;
    struct kit_image image = decode(session, packet);

    ck_assert_uint_eq(image.width, frame->width & ~1u);
    ck_assert_uint_eq(image.height, frame->height & ~1u);
    kit_check_image(&image, frame, phase);
    free(image.pixels);
}

/* Three pictures of one layout, from the memory asked for. */
static void check_pictures(const struct codec_backend *backend, const struct kit_frame *likes,
                           enum ring_memory memory)
{
    const struct ring_frame *frame = &likes->frame;
    struct picture like = kit_picture(likes);
    struct gpu gpu;

    if (memory == RING_MEMORY_CUDA)
        gpu_open(&gpu);
    like.memory = memory;
    struct session session =
        session_open_with(backend, &like, frame->width, frame->height, PACKET_BYTES);
    session.settings.bitrate_bps = 60000000;
    ck_assert(backend->adapt(session.codec, &session.settings));
    for (unsigned phase = 0; phase < 3; phase++) {
        struct kit_frame kit =
            kit_frame_make(frame->fourcc, frame->width, frame->height, frame->flags, phase);
        struct picture picture = kit_picture(&kit);
        struct codec_packet packet = {.bytes_max = PACKET_BYTES};
        if (memory == RING_MEMORY_CUDA)
            picture = gpu_picture(&gpu, &kit);
        ck_assert_int_eq(encode_picture(&session, &picture, phase == 0, &packet), 0);
        check_decoded(&session, &packet, &kit, phase);
        kit_frame_free(&kit);
    }
    session_close(&session);
    if (memory == RING_MEMORY_CUDA)
        gpu_close(&gpu);
}

static void check_layout(const struct codec_backend *backend, uint32_t fourcc,
                         enum ring_memory memory)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned flags = 0; flags <= RING_FRAME_BOTTOM_UP; flags += RING_FRAME_BOTTOM_UP) {
            if (flags && fourcc == PIXEL_NV12 && sizes[i].height % 2 != 0)
                continue; /* picture.h: refused */
            struct kit_frame kit =
                kit_frame_make(fourcc, sizes[i].width, sizes[i].height, flags, 0);
            check_pictures(backend, &kit, memory);
            kit_frame_free(&kit);
        }
    }
}

START_TEST(pictures_of_the_host_keep_each_plane)
{
    check_layout(backends[_i % BACKENDS], layouts[_i / BACKENDS], RING_MEMORY_HOST);
}
END_TEST

START_TEST(pictures_of_the_gpu_keep_each_plane)
{
    check_layout(backends[_i % BACKENDS], layouts[_i / BACKENDS], RING_MEMORY_CUDA);
}
END_TEST

START_TEST(full_range_nv12_keeps_its_colours)
{
    for (enum ring_memory memory = RING_MEMORY_HOST; memory <= RING_MEMORY_CUDA; memory++) {
        struct kit_frame kit = kit_frame_make(PIXEL_NV12, 640, 480, 0, 0);
        struct gpu gpu;
        gpu_open(&gpu);
        struct picture picture =
            memory == RING_MEMORY_CUDA ? gpu_picture(&gpu, &kit) : kit_picture(&kit);
        struct codec_packet packet = {.bytes_max = PACKET_BYTES};
        picture.limited_range = false; /* so its middle grey, 126, means less than it says */
        struct session session = session_open_with(&codec_nvenc, &picture, 640, 480, PACKET_BYTES);
        ck_assert_int_eq(encode_picture(&session, &picture, true, &packet), 0);
        struct kit_image image = decode(&session, &packet);
        /* The red patch: Y 81, Cb 90, Cr 240, read as full range. */
        struct kit_rgb red = image.pixels[(size_t)640 * 180 + 53];
        ck_assert_msg(abs(red.r - 238) <= 4 && abs(red.g - 14) <= 4 && abs(red.b - 14) <= 4,
                      "red is %u %u %u", red.r, red.g, red.b);
        free(image.pixels);
        session_close(&session);
        gpu_close(&gpu);
        kit_frame_free(&kit);
    }
}
END_TEST

START_TEST(a_4k_picture_comes_out_whole)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 4096, 2160, 0, 0);

    check_pictures(&codec_nvenc, &kit, RING_MEMORY_HOST);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(another_layout_goes_on_with_a_keyframe)
{
    static const uint32_t changing[] = {PIXEL_NV12, PIXEL_NV12, PIXEL_BGRA, PIXEL_RGB24,
                                        PIXEL_RGBA};
    struct session session = session_open_with(&codec_nvenc, NULL, 640, 480, PACKET_BYTES);

    for (unsigned i = 0; i < sizeof(changing) / sizeof(changing[0]); i++) {
        struct kit_frame kit = kit_frame_make(changing[i], 640, 480, 0, i);
        struct codec_packet packet = {.bytes_max = PACKET_BYTES};
        ck_assert_int_eq(encode(&session, &kit, false, &packet), 0);
        /* RGB24 and RGBA are the same to the encoder. */
        ck_assert_int_eq(packet.keyframe, i == 0 || i == 2 || i == 3);
        check_decoded(&session, &packet, &kit, i);
        kit_frame_free(&kit);
    }
    session_close(&session);
}
END_TEST

/* ---- the stream ---------------------------------------------------------------------------- */

START_TEST(only_a_picture_that_we_ask_for_is_an_idr)
{
    struct session session = session_open_with(backends[_i], NULL, 320, 240, PACKET_BYTES);

    for (unsigned i = 0; i < 100; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, i);
        struct codec_packet packet = encode_ok(&session, &kit, i % 31 == 0);
        ck_assert(decoded_psnr(&session, &packet, &kit.frame, i) >= 24);
        kit_frame_free(&kit);
    }
    ck_assert_int_eq(session.decoded->colorspace, AVCOL_SPC_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_primaries, AVCOL_PRI_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_trc, AVCOL_TRC_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_range, AVCOL_RANGE_MPEG);
    session_close(&session);
}
END_TEST

START_TEST(a_packet_too_large_is_lost_and_the_stream_goes_on)
{
    struct session session = session_open_with(backends[_i], NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);
    struct codec_packet packet = {.bytes_max = 100};

    encode_ok(&session, &kit, true);
    ck_assert_int_eq(encode(&session, &kit, false, &packet), -EMSGSIZE);
    ck_assert_int_eq(encode(&session, &kit, false, &packet), -EMSGSIZE);
    for (unsigned i = 0; i < 5; i++) {
        packet = encode_ok(&session, &kit, i == 0);
        ck_assert(decoded_psnr(&session, &packet, &kit.frame, 0) >= 24);
    }
    kit_frame_free(&kit);
    session_close(&session);
}
END_TEST

START_TEST(layouts_that_nobody_knows_are_refused)
{
    struct session session = session_open_with(&codec_nvenc, NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);
    struct picture picture = kit_picture(&kit);

    picture.fourcc = PIXEL_DEPTH;
    ck_assert_int_eq(codec_nvenc.load(session.codec, &picture), -EPROTONOSUPPORT);
    encode_ok(&session, &kit, true);
    kit_frame_free(&kit);
    session_close(&session);
}
END_TEST

START_TEST(libx264_takes_no_pictures_of_the_gpu)
{
    struct session session = session_open_with(&codec_x264, NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);
    struct picture picture = kit_picture(&kit);

    picture.memory = RING_MEMORY_CUDA;
    ck_assert(!codec_x264.takes_cuda);
    ck_assert_int_eq(codec_x264.load(session.codec, &picture), -EPROTONOSUPPORT);
    session_close(&session);
    kit_frame_free(&kit);
}
END_TEST

/* ---- what only the stand-ins can tell ------------------------------------------------------ */

START_TEST(the_encoder_is_asked_for_the_lowest_latency)
{
    struct session session = session_open_with(backends[_i], NULL, 640, 480, PACKET_BYTES);
    struct fake_nvenc_state nvenc = nvenc_state();

    ck_assert_uint_eq(nvenc.preset, 1);
    ck_assert_uint_eq(nvenc.tuning, TUNING_ULL);
    ck_assert_uint_eq(nvenc.rate_control, RC_CBR);
    ck_assert_uint_eq(nvenc.p_interval, 1);
    ck_assert_uint_eq(nvenc.zero_delay, 1);
    ck_assert_uint_eq(nvenc.has_stream, 1);
    ck_assert_uint_eq(nvenc.bitstreams, 1); /* surfaces=1 */
    ck_assert_uint_eq(nvenc.bitrate_bps / 30, nvenc.vbv_bits);
    session_close(&session);
}
END_TEST

START_TEST(a_picture_of_the_gpu_is_encoded_where_it_lies)
{
    static const uint32_t direct[] = {PIXEL_RGBA, PIXEL_RGBX, PIXEL_BGRA, PIXEL_NV12};
    struct kit_frame kit = kit_frame_make(direct[_i], 640, 480, 0, 0);
    struct gpu gpu;

    gpu_open(&gpu);
    struct picture picture = gpu_picture(&gpu, &kit);
    struct fake_cuda_state before = cuda_state();
    struct session session = session_open_with(&codec_nvenc, &picture, 640, 480, PACKET_BYTES);
    for (unsigned i = 0; i < 10; i++) {
        struct codec_packet packet = {.bytes_max = PACKET_BYTES};
        ck_assert_int_eq(encode_picture(&session, &picture, i == 0, &packet), 0);
        check_decoded(&session, &packet, &kit, 0);
    }
    struct fake_cuda_state after = cuda_state();
    ck_assert_uint_eq(after.pinned_bytes, before.pinned_bytes);
    ck_assert_uint_eq(after.pageable_bytes, before.pageable_bytes);
    ck_assert_uint_eq(after.device_bytes, before.device_bytes);
    ck_assert_uint_eq(after.kernels, before.kernels);
    ck_assert_uint_eq(nvenc_state().registered, 1); /* once, not once per picture */
    session_close(&session);
    gpu_close(&gpu);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(rgb24_of_the_gpu_costs_one_kernel_and_no_copy)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 640, 480, RING_FRAME_BOTTOM_UP, 0);
    struct codec_packet packet = {.bytes_max = PACKET_BYTES};
    struct gpu gpu;

    gpu_open(&gpu);
    struct picture picture = gpu_picture(&gpu, &kit);
    struct fake_cuda_state before = cuda_state();
    struct session session = session_open_with(&codec_nvenc, &picture, 640, 480, PACKET_BYTES);
    ck_assert_int_eq(encode_picture(&session, &picture, true, &packet), 0);
    struct fake_cuda_state after = cuda_state();
    ck_assert_uint_eq(after.pinned_bytes + after.pageable_bytes + after.device_bytes,
                      before.pinned_bytes + before.pageable_bytes + before.device_bytes);
    ck_assert_uint_eq(after.kernels, before.kernels + 1);
    check_decoded(&session, &packet, &kit, 0);
    session_close(&session);
    gpu_close(&gpu);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(pinned_memory_is_fetched_by_the_gpu_and_read_late)
{
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 640, 480, 0, 0);
    struct kit_frame later = kit_frame_make(PIXEL_RGBA, 640, 480, 0, 40);
    struct picture picture = kit_picture(&kit);
    struct codec_packet packet = {.bytes = session_memory, .bytes_max = PACKET_BYTES};
    struct cuda_pin pin;

    ck_assert(cuda_pin_init(&pin, 0, kit.bytes, kit.mapped_bytes, true));
    struct session session = session_open_with(&codec_nvenc, &picture, 640, 480, PACKET_BYTES);
    struct fake_cuda_state before = cuda_state();
    ck_assert_int_eq(codec_nvenc.load(session.codec, &picture), 0);
    /* Who gives the frame back now, gives the GPU another: hence borrows_picture. */
    ck_assert(codec_nvenc.borrows_picture);
    ck_assert_int_eq(mprotect(kit.bytes, kit.mapped_bytes, PROT_READ | PROT_WRITE), 0);
    memcpy(kit.bytes, later.bytes, kit.mapped_bytes);
    ck_assert_int_eq(codec_nvenc.encode(session.codec, true, &packet), 0);
    ck_assert_uint_eq(cuda_state().pinned_bytes - before.pinned_bytes, 640UL * 480 * 4);
    ck_assert_uint_eq(cuda_state().pageable_bytes, before.pageable_bytes);
    check_decoded(&session, &packet, &later, 40);
    session_close(&session);
    cuda_pin_fini(&pin);
    kit_frame_free(&kit);
    kit_frame_free(&later);
}
END_TEST

START_TEST(another_bitrate_reconfigures_the_encoder)
{
    struct session session = session_open_with(backends[_i], NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);

    encode_ok(&session, &kit, true);
    session.settings.bitrate_bps = 3900000; /* too little for an IDR, which FFmpeg makes of it */
    ck_assert(backends[_i]->adapt(session.codec, &session.settings));
    encode_ok(&session, &kit, false);
    ck_assert_uint_eq(nvenc_state().reconfigured, 0);
    session.settings.bitrate_bps = 1000000;
    ck_assert(backends[_i]->adapt(session.codec, &session.settings));
    encode_ok(&session, &kit, true);
    ck_assert_uint_eq(nvenc_state().reconfigured, 1);
    ck_assert_uint_eq(nvenc_state().bitrate_bps / 10, 99999); /* whole bits per picture */
    session.settings.fps = 60; /* at the nominal rate, a picture gets half as much */
    ck_assert(backends[_i]->adapt(session.codec, &session.settings));
    encode_ok(&session, &kit, true);
    ck_assert_uint_eq(nvenc_state().bitrate_bps / 100, 4999);
    ck_assert_uint_eq(nvenc_state().opened, 1);
    struct codec_packet packet = encode_ok(&session, &kit, false);
    ck_assert(packet.size_bytes > 0);
    session_close(&session);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(a_refused_bitrate_is_had_by_opening_anew)
{
    struct session session = session_open_with(&codec_nvenc, NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);

    encode_ok(&session, &kit, true);
    setenv("FAKE_NVENC_FAIL", "nvEncReconfigureEncoder:8", 1);
    session.settings.bitrate_bps = 1000000;
    ck_assert(codec_nvenc.adapt(session.codec, &session.settings));
    encode_ok(&session, &kit, false);
    ck_assert_uint_eq(nvenc_state().opened, 1);
    encode_ok(&session, &kit, true); /* not asked for: the session is another */
    ck_assert_uint_eq(nvenc_state().opened, 2);
    ck_assert_uint_eq(nvenc_state().bitrate_bps / 10, 99999);
    encode_ok(&session, &kit, false);
    ck_assert_uint_eq(nvenc_state().opened, 2);
    session_close(&session);
    kit_frame_free(&kit);
}
END_TEST

START_TEST(another_stride_on_the_gpu_registers_anew)
{
    struct session session = session_open_with(&codec_nvenc, NULL, 320, 240, PACKET_BYTES);
    struct kit_frame narrow = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 1);
    struct kit_frame wide = kit_frame_make(PIXEL_RGBA, 400, 240, 0, 1);
    struct codec_packet packet = {.bytes_max = PACKET_BYTES};
    struct gpu gpu;

    gpu_open(&gpu);
    struct picture picture = gpu_picture(&gpu, &narrow);
    ck_assert_int_eq(encode_picture(&session, &picture, false, &packet), 0);
    check_decoded(&session, &packet, &narrow, 1);
    /* The same address: the left part of a wider picture. */
    picture = gpu_picture(&gpu, &wide);
    picture.width = 320;
    ck_assert_int_eq(encode_picture(&session, &picture, false, &packet), 0);
    ck_assert(packet.keyframe);
    struct kit_image image = decode(&session, &packet);
    struct kit_rgb want = kit_scene(150, 40, &wide.frame, 1);
    struct kit_rgb got = image.pixels[(size_t)40 * 320 + 150];
    ck_assert_int_le(abs(want.r - got.r), 4);
    want = kit_scene(300, 20, &wide.frame, 1);
    got = image.pixels[(size_t)20 * 320 + 300];
    ck_assert_int_le(abs(want.r - got.r), 4);
    free(image.pixels);
    gpu_close(&gpu);
    session_close(&session);
    kit_frame_free(&narrow);
    kit_frame_free(&wide);
}
END_TEST

/* ---- what fails ---------------------------------------------------------------------------- */

static const struct gpu_failure open_failures[] = {
    {"FAKE_CUDA_DEVICES", "0", "nvidia-smi"},
    {"FAKE_CUDA_FAIL", "cuInit:803", "reboot"},
    {"FAKE_CUDA_FAIL", "cuDevicePrimaryCtxRetain:2", "out of memory"},
    {"FAKE_CUDA_FAIL", "cuStreamCreate:2", "cuStreamCreate"},
    {"FAKE_CUDA_FAIL", "cuModuleLoadData:218", "kernels"},
    {"FAKE_CUDA_FAIL", "cuModuleGetFunction:500", "cuModuleGetFunction"},
    {"FAKE_CUDA_FAIL", "cuMemAlloc:2", "cuMemAlloc"},
    {"FAKE_CUDA_FAIL", "cuCtxPushCurrent:201", "cuCtxPushCurrent"},
    {"FAKE_NVENC_VERSION", "10.0", "minimum required Nvidia driver"},
    {"FAKE_NVENC_SESSIONS", "0", "out of memory"},
    {"FAKE_NVENC_CODECS", "vp9", "NVENC features"},
    {"FAKE_NVENC_FAIL", "nvEncOpenEncodeSessionEx:1", "no encode device"},
    {"FAKE_NVENC_FAIL", "nvEncOpenEncodeSessionEx:2", "unsupported device"},
    {"FAKE_NVENC_FAIL", "nvEncGetEncodePresetConfigEx:12", "preset"},
    {"FAKE_NVENC_FAIL", "nvEncInitializeEncoder:8", "InitializeEncoder"},
    {"FAKE_NVENC_FAIL", "nvEncSetIOCudaStreams:8", "SetIOCudaStreams"},
    {"FAKE_NVENC_FAIL", "nvEncCreateBitstreamBuffer:10", "CreateBitstreamBuffer"},
};

#define OPEN_FAILURES ((int)(sizeof(open_failures) / sizeof(open_failures[0])))

static int open_backend(const struct codec_backend *backend, struct codec **ret_codec)
{
    struct codec_config config = {.settings = {.codec = backend->codec,
                                               .bitrate_bps = 4000000,
                                               .fps = 30,
                                               .width = 320,
                                               .height = 240,
                                               .preset = "p1"},
                                  .packet_bytes_max = PACKET_BYTES};

    return backend->open(&config, ret_codec);
}

START_TEST(what_does_not_open_says_why_and_leaves_nothing)
{
    const struct gpu_failure *failure = &open_failures[_i];
    struct codec *codec = NULL;

    setenv(failure->variable, failure->value, 1);
    ck_assert_int_eq(open_backend(&codec_nvenc, &codec), -ENODEV);
    ck_assert_ptr_null(codec);
    gpu_assert_told(failure);
    unsetenv(failure->variable);
    gpu_assert_nothing_is_left();
    ck_assert_int_eq(open_backend(&codec_nvenc, &codec), 0); /* and opens when it can */
    codec_nvenc.close(codec);
}
END_TEST

START_TEST(a_driver_without_its_encoder_says_what_to_install)
{
    struct codec *codec;

    ck_assert_int_eq(open_backend(&codec_nvenc, &codec), -ENODEV);
    ck_assert_msg(strstr(codec_complaint(), "NVIDIA_DRIVER_CAPABILITIES") != NULL, "\"%s\"",
                  codec_complaint());
    gpu_assert_nothing_is_left();
}
END_TEST

START_TEST(a_gpu_may_have_only_one_of_the_codecs)
{
    struct codec *codec;

    setenv("FAKE_NVENC_CODECS", "h264", 1);
    ck_assert_int_eq(open_backend(&codec_nvenc_hevc, &codec), -ENODEV);
    ck_assert_int_eq(open_backend(&codec_nvenc, &codec), 0);
    codec_nvenc.close(codec);
}
END_TEST

static const struct gpu_failure losses[] = {
    {"FAKE_NVENC_FAIL", "nvEncEncodePicture:5", "device does not exist"},
    {"FAKE_NVENC_FAIL", "nvEncEncodePicture:20", "generic"},
    {"FAKE_NVENC_FAIL", "nvEncLockBitstream:5", "device does not exist"},
    {"FAKE_CUDA_FAIL", "*:719", "719"},
};

START_TEST(a_gpu_lost_in_mid_stream_is_an_error_and_no_more)
{
    const struct gpu_failure *loss = &losses[_i];

    if (strcmp(loss->variable, "FAKE_CUDA_FAIL") == 0)
        gpu_allow_leaks();
    struct session session = session_open_with(&codec_nvenc, NULL, 320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_RGBA, 320, 240, 0, 0);
    struct picture picture = kit_picture(&kit);
    struct codec_packet packet = {.bytes = session_memory, .bytes_max = PACKET_BYTES};

    encode_ok(&session, &kit, true);
    setenv(loss->variable, loss->value, 1);
    int rc = codec_nvenc.load(session.codec, &picture);
    if (rc == 0)
        rc = codec_nvenc.encode(session.codec, false, &packet);
    ck_assert_int_eq(rc, -EIO);
    gpu_assert_told(loss);
    codec_nvenc.close(session.codec);
    session.codec = NULL;
    session_close(&session);
    kit_frame_free(&kit);
}
END_TEST

static void add_fake_cases(TCase *cases)
{
    tcase_add_loop_test(cases, the_encoder_is_asked_for_the_lowest_latency, 0, BACKENDS);
    tcase_add_loop_test(cases, a_picture_of_the_gpu_is_encoded_where_it_lies, 0, 4);
    tcase_add_test(cases, rgb24_of_the_gpu_costs_one_kernel_and_no_copy);
    tcase_add_test(cases, pinned_memory_is_fetched_by_the_gpu_and_read_late);
    tcase_add_loop_test(cases, another_bitrate_reconfigures_the_encoder, 0, BACKENDS);
    tcase_add_test(cases, a_refused_bitrate_is_had_by_opening_anew);
    tcase_add_test(cases, another_stride_on_the_gpu_registers_anew);
    tcase_add_loop_test(cases, what_does_not_open_says_why_and_leaves_nothing, 0, OPEN_FAILURES);
    tcase_add_test(cases, a_gpu_may_have_only_one_of_the_codecs);
}

static void add_cases(TCase *cases)
{
    tcase_add_loop_test(cases, pictures_of_the_host_keep_each_plane, 0, LAYOUTS * BACKENDS);
    tcase_add_loop_test(cases, pictures_of_the_gpu_keep_each_plane, 0, LAYOUTS * BACKENDS);
    tcase_add_test(cases, full_range_nv12_keeps_its_colours);
    tcase_add_test(cases, a_4k_picture_comes_out_whole);
    tcase_add_test(cases, another_layout_goes_on_with_a_keyframe);
    tcase_add_loop_test(cases, only_a_picture_that_we_ask_for_is_an_idr, 0, BACKENDS);
    tcase_add_loop_test(cases, a_packet_too_large_is_lost_and_the_stream_goes_on, 0, BACKENDS);
    tcase_add_test(cases, layouts_that_nobody_knows_are_refused);
    tcase_add_test(cases, libx264_takes_no_pictures_of_the_gpu);
}

/* With a driver but no NVENC: SIMCAST_TEST_NO_NVENC=1. */
static const char *missing(bool is_without)
{
    if (!is_without)
        return gpu_missing(&codec_nvenc);
    return dlopen("libnvidia-encode.so.1", RTLD_LAZY) ? "this machine has NVENC" : NULL;
}

int main(void)
{
    bool is_real = getenv("SIMCAST_TEST_GPU") != NULL;
    bool is_without = getenv("SIMCAST_TEST_NO_NVENC") != NULL;
    const char *why = missing(is_without);

    if (why) {
        printf("skipped: %s\n", why);
        return GPU_SKIPPED;
    }
    Suite *suite = suite_create("nvenc");
    TCase *cases = tcase_create("pictures");
    TCase *lost = tcase_create("losses");
    if (is_without)
        tcase_add_test(lost, a_driver_without_its_encoder_says_what_to_install);
    else
        add_cases(cases);
    if (!is_real && !is_without) {
        tcase_add_checked_fixture(cases, NULL, gpu_assert_nothing_is_left);
        add_fake_cases(cases);
        tcase_add_loop_test(lost, a_gpu_lost_in_mid_stream_is_an_error_and_no_more, 0,
                            (int)(sizeof(losses) / sizeof(losses[0])));
    }
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, lost);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
