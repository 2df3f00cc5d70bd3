/* SPDX-License-Identifier: Apache-2.0 */
/* What the libx264 back end writes, decoded again with libavcodec and compared with the source. */
#include <errno.h>

#include <check.h>

#include "tests/video_kit.h"

enum nal { NAL_SLICE = 1, NAL_IDR = 5, NAL_SEI = 6, NAL_SPS = 7, NAL_PPS = 8 };

static struct session session_open(uint32_t width, uint32_t height, size_t packet_bytes_max)
{
    return session_open_with(&codec_x264, NULL, width, height, packet_bytes_max);
}

/* NAL units that hold a part of the picture. */
static unsigned slice_count(const struct codec_packet *packet)
{
    unsigned count = 0;

    for (size_t i = 0; i + 3 < packet->size_bytes; i++) {
        const uint8_t *at = packet->bytes + i;
        unsigned type = at[3] & 0x1f;
        count += at[0] == 0 && at[1] == 0 && at[2] == 1 && (type == NAL_SLICE || type == NAL_IDR);
    }
    return count;
}

/* Pictures of the session's size; `slices`: how many each has, 0: as many as it likes. */
static void check_session(struct session *session, uint32_t fourcc, uint32_t flags, unsigned slices)
{
    uint32_t width = session->settings.width;
    uint32_t height = session->settings.height;
    int worst_patch = 0;

    for (unsigned phase = 0; phase < 12; phase++) {
        struct kit_frame kit = kit_frame_make(fourcc, width, height, flags, phase);
        struct codec_packet packet = encode_ok(session, &kit, phase == 0);
        struct kit_image image = decode(session, &packet);
        double psnr = kit_psnr(&image, &kit.frame, phase);
        if (slices > 0)
            ck_assert_uint_eq(slice_count(&packet), slices);
        worst_patch = kit_patch_error(&image);
        ck_assert_uint_eq(image.width, width & ~1u);
        ck_assert_uint_eq(image.height, height & ~1u);
        ck_assert_msg(psnr >= 28, "phase %u: PSNR %.1f dB", phase, psnr);
        free(image.pixels);
        kit_frame_free(&kit);
    }
    ck_assert_msg(worst_patch <= 3, "a patch is off by %d", worst_patch);
}

static void check_pictures(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t flags)
{
    struct session session = session_open(width, height, PACKET_BYTES);

    check_session(&session, fourcc, flags, 0);
    session_close(&session);
}

START_TEST(pictures_keep_their_colours)
{
    static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_BGRA, PIXEL_NV12};

    check_pictures(layouts[_i], 640, 480, 0);
}
END_TEST

START_TEST(bottom_up_and_odd_pictures_come_out_upright)
{
    check_pictures(PIXEL_RGB24, 640, 480, RING_FRAME_BOTTOM_UP);
    check_pictures(PIXEL_RGB24, 321, 243, RING_FRAME_BOTTOM_UP);
    check_pictures(PIXEL_RGBA, 323, 241, 0);
}
END_TEST

/* The first picture of a stream with bits to spare: what is lost then is lost by us. */
static void check_quality(uint32_t fourcc, struct kit_shape shape, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, shape.width, shape.height, flags, 5);
    struct session session = session_open(shape.width, shape.height, PACKET_BYTES);

    session.settings.bitrate_bps = 100000000;
    ck_assert(codec_x264.adapt(session.codec, &session.settings));
    struct codec_packet packet = encode_ok(&session, &kit, true);
    struct kit_image image = decode(&session, &packet);
    ck_assert_uint_eq(image.width, shape.width & ~1u);
    ck_assert_uint_eq(image.height, shape.height & ~1u);
    kit_check_image(&image, &kit.frame, 5);
    free(image.pixels);
    session_close(&session);
    kit_frame_free(&kit);
}

START_TEST(every_layout_and_size_keeps_each_plane)
{
    kit_every_shape(kit_layouts[_i], check_quality);
}
END_TEST

START_TEST(a_4k_picture_keeps_each_plane)
{
    check_quality(PIXEL_RGB24, (struct kit_shape){4096, 2160}, RING_FRAME_BOTTOM_UP);
    check_quality(PIXEL_NV12, (struct kit_shape){4096, 2160}, 0);
}
END_TEST

START_TEST(pictures_in_several_slices_come_out_whole)
{
    struct session session = session_open(1280, 720, PACKET_BYTES);
    struct codec_config config = {
        .settings = session.settings, .packet_bytes_max = PACKET_BYTES, .h264_threads = 2};

    codec_x264.close(session.codec);
    ck_assert_int_eq(codec_x264.open(&config, &session.codec), 0);
    check_session(&session, PIXEL_RGB24, 0, 2);
    session_close(&session);
}
END_TEST

START_TEST(every_idr_brings_its_parameter_sets_and_nothing_else_is_one)
{
    struct session session = session_open(320, 240, PACKET_BYTES);

    for (unsigned i = 0; i < 200; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, i);
        bool keyframe = i % 61 == 0;
        struct codec_packet packet = encode_ok(&session, &kit, keyframe);
        unsigned types = nal_types(&packet);
        unsigned needed = 1u << NAL_IDR | 1u << NAL_SPS | 1u << NAL_PPS;
        if (keyframe)
            ck_assert_uint_eq(types & needed, needed);
        else
            ck_assert_uint_eq(types & (needed | 1u << NAL_SLICE), 1u << NAL_SLICE);
        ck_assert_uint_eq(packet.bytes[0] | packet.bytes[1] | packet.bytes[2], 0);
        ck_assert_uint_eq(packet.bytes[3], 1); /* Annex-B */
        kit_frame_free(&kit);
    }
    session_close(&session);
}
END_TEST

START_TEST(pictures_come_in_order_and_tagged)
{
    struct session session = session_open(320, 240, PACKET_BYTES);

    for (unsigned i = 0; i < 30; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, i);
        struct codec_packet packet = encode_ok(&session, &kit, i == 0);
        /* Each picture shows its own phase: none is reordered, none is late. */
        ck_assert(decoded_psnr(&session, &packet, &kit.frame, i) >= 27);
        ck_assert_int_ne(session.decoded->pict_type, AV_PICTURE_TYPE_B);
        kit_frame_free(&kit);
    }
    ck_assert_int_eq(session.decoder->has_b_frames, 0);
    ck_assert_int_eq(session.decoded->colorspace, AVCOL_SPC_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_primaries, AVCOL_PRI_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_trc, AVCOL_TRC_SMPTE170M);
    ck_assert_int_eq(session.decoded->color_range, AVCOL_RANGE_MPEG);
    session_close(&session);
}
END_TEST

/* Two hundred pictures of noise in motion: bytes that the coder would rather not spend. */
static uint64_t noise_bytes(struct session *session, unsigned count, unsigned *seed)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_GREY, 320, 240, 0, i);
        mprotect(kit.bytes, kit.mapped_bytes, PROT_READ | PROT_WRITE);
        for (size_t at = 0; at < kit.mapped_bytes; at++)
            kit.bytes[at] = (uint8_t)(rand_r(seed) >> 8);
        bytes += encode_ok(session, &kit, false).size_bytes;
        kit_frame_free(&kit);
    }
    return bytes;
}

START_TEST(bitrate_and_fps_change_without_a_keyframe)
{
    struct session session = session_open(320, 240, PACKET_BYTES);
    struct kit_frame kit = kit_frame_make(PIXEL_GREY, 320, 240, 0, 0);
    unsigned seed = 1;

    printf("seed %u\n", seed);
    encode_ok(&session, &kit, true);
    noise_bytes(&session, 30, &seed);
    double at_4_mbit = (double)noise_bytes(&session, 60, &seed);
    session.settings.bitrate_bps = 2000000;
    ck_assert(codec_x264.adapt(session.codec, &session.settings));
    noise_bytes(&session, 30, &seed);
    double at_2_mbit = (double)noise_bytes(&session, 60, &seed);
    session.settings.fps = 60;
    ck_assert(codec_x264.adapt(session.codec, &session.settings));
    noise_bytes(&session, 30, &seed);
    double at_60_fps = (double)noise_bytes(&session, 60, &seed);
    /* 60 pictures: 2 s at 30 fps, 1 s at 60 fps. */
    ck_assert_msg(fabs(at_4_mbit / 1e6 - 1) < 0.25, "%.0f bytes in 2 s at 4 Mbit/s", at_4_mbit);
    ck_assert_msg(fabs(at_2_mbit / 5e5 - 1) < 0.25, "%.0f bytes in 2 s at 2 Mbit/s", at_2_mbit);
    ck_assert_msg(fabs(at_60_fps / 2.5e5 - 1) < 0.25, "%.0f bytes in 1 s at 2 Mbit/s", at_60_fps);
    kit_frame_free(&kit);
    session_close(&session);
}
END_TEST

START_TEST(another_size_or_preset_needs_another_codec)
{
    struct session session = session_open(320, 240, PACKET_BYTES);
    struct stream_settings settings = session.settings;

    settings.height = 242;
    ck_assert(!codec_x264.adapt(session.codec, &settings));
    settings = session.settings;
    strcpy(settings.preset, "veryfast");
    ck_assert(!codec_x264.adapt(session.codec, &settings));
    ck_assert(codec_x264.adapt(session.codec, &session.settings));
    session_close(&session);
    ck_assert(codec_x264.has_preset("veryfast"));
    ck_assert(!codec_x264.has_preset("p1"));
    ck_assert(codec_nvenc.has_preset("p1"));
}
END_TEST

START_TEST(every_preset_codes_without_delay_or_b_frames)
{
    static const char *const presets[] = {"superfast", "veryfast", "medium", "slow"};
    struct session session = session_open(320, 240, PACKET_BYTES);
    struct codec_config config = {session.settings, PACKET_BYTES};

    codec_x264.close(session.codec);
    snprintf(config.settings.preset, sizeof(config.settings.preset), "%s", presets[_i]);
    ck_assert_int_eq(codec_x264.open(&config, &session.codec), 0);
    for (unsigned i = 0; i < 10; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, i);
        struct codec_packet packet = encode_ok(&session, &kit, i == 0);
        ck_assert(decoded_psnr(&session, &packet, &kit.frame, i) >= 27);
        kit_frame_free(&kit);
    }
    session_close(&session);
}
END_TEST

START_TEST(a_lost_picture_is_healed_by_the_next_idr)
{
    struct session session = session_open(320, 240, PACKET_BYTES);
    struct kit_frame first = kit_frame_make(PIXEL_RGB24, 320, 240, 0, 0);
    struct kit_frame second = kit_frame_make(PIXEL_RGB24, 320, 240, 0, 9);
    struct codec_packet packet = {.bytes_max = 100};

    encode_ok(&session, &first, true);
    ck_assert_int_eq(encode(&session, &second, true, &packet), -EMSGSIZE);
    packet.bytes_max = 0;
    ck_assert_int_eq(encode(&session, &second, true, &packet), -EMSGSIZE);
    packet = encode_ok(&session, &second, true);
    ck_assert(!packet.degraded);
    ck_assert(decoded_psnr(&session, &packet, &second.frame, 9) >= 28);
    kit_frame_free(&first);
    kit_frame_free(&second);
    session_close(&session);
}
END_TEST

/* A wave of intra blocks instead of keyframes: one picture is lost, and nobody asks for an IDR. */
START_TEST(intra_refresh_heals_without_an_idr)
{
    struct session session = session_open(320, 240, PACKET_BYTES);
    struct codec_config config = {
        .settings = session.settings, .packet_bytes_max = PACKET_BYTES, .intra_refresh = true};
    double psnr = 0;

    codec_x264.close(session.codec);
    ck_assert_int_eq(codec_x264.open(&config, &session.codec), 0);
    for (unsigned i = 0; i < 150; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, i);
        bool asked = i == 0 || i == 140;
        struct codec_packet packet = encode_ok(&session, &kit, asked); /* and only then it is one */
        ck_assert_uint_eq((nal_types(&packet) >> NAL_IDR) & 1, asked);
        if (i != 3)
            psnr = decoded_psnr(&session, &packet, &kit.frame, i);
        if (i == 130 || i == 149)
            ck_assert_msg(psnr >= 28, "picture %u has %.1f dB", i, psnr);
        kit_frame_free(&kit);
    }
    session_close(&session);
}
END_TEST

START_TEST(a_small_slot_gets_worse_pictures_instead_of_none)
{
    struct session session = session_open(320, 240, 8192);
    unsigned lost = 0;

    for (unsigned i = 0; i < 60; i++) {
        struct kit_frame kit = kit_frame_make(PIXEL_RGB24, 320, 240, 0, i);
        struct codec_packet packet = {.bytes_max = 8192};
        lost += encode(&session, &kit, i % 30 == 0, &packet) < 0;
        ck_assert(packet.degraded);
        kit_frame_free(&kit);
    }
    ck_assert_uint_eq(lost, 0);
    session_close(&session);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("h264");
    TCase *cases = tcase_create("x264");

    tcase_add_loop_test(cases, pictures_keep_their_colours, 0, 4);
    tcase_add_test(cases, bottom_up_and_odd_pictures_come_out_upright);
    tcase_add_test(cases, pictures_in_several_slices_come_out_whole);
    tcase_add_loop_test(cases, every_layout_and_size_keeps_each_plane, 0, KIT_LAYOUTS);
    tcase_add_test(cases, a_4k_picture_keeps_each_plane);
    tcase_add_test(cases, every_idr_brings_its_parameter_sets_and_nothing_else_is_one);
    tcase_add_test(cases, pictures_come_in_order_and_tagged);
    tcase_add_test(cases, bitrate_and_fps_change_without_a_keyframe);
    tcase_add_test(cases, another_size_or_preset_needs_another_codec);
    tcase_add_loop_test(cases, every_preset_codes_without_delay_or_b_frames, 0, 4);
    tcase_add_test(cases, a_lost_picture_is_healed_by_the_next_idr);
    tcase_add_test(cases, intra_refresh_heals_without_an_idr);
    tcase_add_test(cases, a_small_slot_gets_worse_pictures_instead_of_none);
    tcase_set_timeout(cases, 60);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
