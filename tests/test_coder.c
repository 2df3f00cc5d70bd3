/* SPDX-License-Identifier: Apache-2.0 */
/* Which codec runs for which wish, and when a change interrupts the stream. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "encoder/coder.h"
#include "proto/pixel.h"

static const struct stream_settings h264 = {.codec = VIDEO_CODEC_H264,
                                            .jpeg_quality = 80,
                                            .bitrate_bps = 4000000,
                                            .fps = 30,
                                            .width = 320,
                                            .height = 240,
                                            .preset = "ultrafast"};

static struct coder coder = {.name = "test"};

static void set_up(void)
{
    coder = (struct coder){.name = "test", .choice = CODER_X264, .packet_bytes_max = 256UL * 1024};
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, &codec_x264);
}

static void tear_down(void)
{
    coder_close(&coder);
}

START_TEST(quality_bitrate_and_fps_change_without_interruption)
{
    struct stream_settings wish = h264;
    const struct codec *codec = coder.codec;

    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
    wish.bitrate_bps = 1000000;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
    wish.fps = 60;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
    wish.jpeg_quality = 10;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
    ck_assert_ptr_eq(coder.codec, codec);
}
END_TEST

START_TEST(codec_size_and_preset_open_another)
{
    struct stream_settings wish = h264;

    wish.width = 640;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_NEW);
    strcpy(wish.preset, "veryfast");
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_NEW);
    wish.codec = VIDEO_CODEC_JPEG;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, &codec_jpeg);
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
}
END_TEST

START_TEST(after_close_the_same_wish_opens_anew)
{
    coder_close(&coder);
    ck_assert_ptr_null(coder.backend);
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
}
END_TEST

START_TEST(a_wish_that_no_encoder_fulfils_is_tried_once)
{
    struct stream_settings wish = h264;

    wish.width = 0;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), -ENODEV);
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), -ENODEV);
    ck_assert_ptr_null(coder.backend);
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
}
END_TEST

START_TEST(jpeg_stands_in_only_if_allowed)
{
    struct stream_settings wish = h264;

    wish.width = 0; /* libx264 refuses it, the JPEG codec does not look before the first picture */
    coder.jpeg_instead = true;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, &codec_jpeg);
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
}
END_TEST

START_TEST(nvenc_is_tried_once_and_libx264_stands_in)
{
    coder_close(&coder);
    coder.choice = CODER_NVENC;
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
    ck_assert(coder.backend == (coder.absent ? &codec_x264 : &codec_nvenc));
    const struct codec_backend *first = coder.backend;
    coder_close(&coder);
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, first);
}
END_TEST

START_TEST(hevc_that_nobody_encodes_is_h264_and_changes_nothing)
{
    struct stream_settings wish = h264;
    const struct codec *codec = coder.codec;

    wish.codec = VIDEO_CODEC_HEVC;
    ck_assert_int_eq(coder_fulfil(&coder, &wish, NULL), CODER_SAME);
    ck_assert_ptr_eq(coder.codec, codec);
    ck_assert_ptr_eq(coder.backend, &codec_x264);
}
END_TEST

START_TEST(pictures_of_a_gpu_are_for_those_that_take_them)
{
    struct picture there = {.memory = RING_MEMORY_CUDA, .fourcc = PIXEL_RGBA};
    struct picture here = {.memory = RING_MEMORY_HOST, .fourcc = PIXEL_RGBA};

    ck_assert_int_eq(coder_fulfil(&coder, &h264, &there), -ENODEV);
    ck_assert_int_eq(coder_fulfil(&coder, &h264, &there), -ENODEV);
    ck_assert_ptr_null(coder.backend);
    ck_assert_ptr_nonnull(strstr(coder_reason(&coder), "GPU memory"));
    ck_assert_int_eq(coder_fulfil(&coder, &h264, &here), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, &codec_x264);
}
END_TEST

START_TEST(an_encoder_of_the_processor_that_fails_is_opened_anew)
{
    coder_lost(&coder);
    ck_assert_ptr_null(coder.backend);
    ck_assert_uint_eq(coder.gpu_losses, 0);
    ck_assert_int_eq(coder_fulfil(&coder, &h264, NULL), CODER_NEW);
    ck_assert_ptr_eq(coder.backend, &codec_x264);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coder");
    TCase *cases = tcase_create("coder");

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, quality_bitrate_and_fps_change_without_interruption);
    tcase_add_test(cases, codec_size_and_preset_open_another);
    tcase_add_test(cases, after_close_the_same_wish_opens_anew);
    tcase_add_test(cases, a_wish_that_no_encoder_fulfils_is_tried_once);
    tcase_add_test(cases, jpeg_stands_in_only_if_allowed);
    tcase_add_test(cases, nvenc_is_tried_once_and_libx264_stands_in);
    tcase_add_test(cases, hevc_that_nobody_encodes_is_h264_and_changes_nothing);
    tcase_add_test(cases, pictures_of_a_gpu_are_for_those_that_take_them);
    tcase_add_test(cases, an_encoder_of_the_processor_that_fails_is_opened_anew);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
