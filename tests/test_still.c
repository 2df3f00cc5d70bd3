/* SPDX-License-Identifier: Apache-2.0 */
/* A frame of any layout as a picture, and what does not fit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "cli/still.h"
#include "proto/pixel.h"

#define WIDTH 2
#define HEIGHT 2

static struct still still;

static struct ring_frame frame_of(uint32_t fourcc, uint32_t stride_bytes)
{
    return (struct ring_frame){
        .payload_bytes = pixel_frame_bytes(fourcc, WIDTH, HEIGHT, stride_bytes),
        .fourcc = fourcc,
        .width = WIDTH,
        .height = HEIGHT,
        .stride_bytes = stride_bytes,
    };
}

static void expect(uint32_t pixel_bytes_expected, const void *pixels)
{
    ck_assert_uint_eq(still.width, WIDTH);
    ck_assert_uint_eq(still.height, HEIGHT);
    ck_assert_uint_eq(still.channels * still.sample_bytes, pixel_bytes_expected);
    ck_assert_mem_eq(still.pixels, pixels, (size_t)WIDTH * HEIGHT * pixel_bytes_expected);
    still_fini(&still);
    ck_assert_ptr_null(still.pixels);
}

START_TEST(padding_between_rows_is_left_out)
{
    struct ring_frame frame = frame_of(PIXEL_RGB24, 8);

    ck_assert_int_eq(still_init(&still, &frame, "abcdef--ghijkl--"), 0);
    expect(3, "abcdefghijkl");
    frame = frame_of(PIXEL_GREY, 3);
    ck_assert_int_eq(still_init(&still, &frame, "ab-cd-"), 0);
    expect(1, "abcd");
}
END_TEST

START_TEST(a_bottom_up_frame_is_turned_over)
{
    struct ring_frame frame = frame_of(PIXEL_RGB24, 6);

    frame.flags = RING_FRAME_BOTTOM_UP;
    ck_assert_int_eq(still_init(&still, &frame, "abcdefghijkl"), 0);
    expect(3, "ghijklabcdef");
}
END_TEST

START_TEST(alpha_stays_and_an_unused_byte_goes)
{
    struct ring_frame frame = frame_of(PIXEL_RGBA, 8);

    ck_assert_int_eq(still_init(&still, &frame, "rgbaRGBA1234wxyz"), 0);
    expect(4, "rgbaRGBA1234wxyz");
    frame = frame_of(PIXEL_BGRA, 8);
    ck_assert_int_eq(still_init(&still, &frame, "bgraBGRA3214yxwz"), 0);
    expect(4, "rgbaRGBA1234wxyz");
    frame = frame_of(PIXEL_RGBX, 8);
    ck_assert_int_eq(still_init(&still, &frame, "rgb-RGB-123-wxy-"), 0);
    expect(3, "rgbRGB123wxy");
}
END_TEST

START_TEST(depth_keeps_its_floats)
{
    struct ring_frame frame = frame_of(PIXEL_DEPTH, 12);

    frame.flags = RING_FRAME_BOTTOM_UP;
    ck_assert_int_eq(still_init(&still, &frame, "abcdefgh----ijklmnop----"), 0);
    ck_assert_uint_eq(still.sample_bytes, 4);
    expect(4, "ijklmnopabcdefgh");
}
END_TEST

/* Each colour as every table of BT.601 and BT.709 has it: the three primaries at full strength. */
START_TEST(nv12_becomes_rgb_by_its_matrix_and_range)
{
    const struct {
        uint32_t matrix;
        uint32_t range;
        uint8_t y, cb, cr;
        uint8_t rgb[3];
    } colours[] = {
        {RING_MATRIX_BT601, RING_RANGE_LIMITED, 81, 90, 240, {255, 0, 0}},
        {RING_MATRIX_BT601, RING_RANGE_LIMITED, 145, 54, 34, {0, 255, 0}},
        {RING_MATRIX_BT601, RING_RANGE_LIMITED, 41, 240, 110, {0, 0, 255}},
        {RING_MATRIX_BT709, RING_RANGE_LIMITED, 63, 102, 240, {255, 0, 0}},
        {RING_MATRIX_BT709, RING_RANGE_LIMITED, 173, 42, 26, {0, 255, 0}},
        {RING_MATRIX_BT709, RING_RANGE_LIMITED, 32, 240, 118, {0, 0, 255}},
        {RING_MATRIX_BT601, RING_RANGE_FULL, 76, 85, 255, {255, 0, 0}},
        {RING_MATRIX_BT601, RING_RANGE_FULL, 128, 128, 128, {128, 128, 128}},
    };

    for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
        uint8_t payload[6];
        struct ring_frame frame = frame_of(PIXEL_NV12, 2);
        frame.matrix = colours[i].matrix;
        frame.range = colours[i].range;
        memset(payload, colours[i].y, 4);
        payload[4] = colours[i].cb;
        payload[5] = colours[i].cr;
        ck_assert_int_eq(still_init(&still, &frame, payload), 0);
        for (size_t k = 0; k < (size_t)3 * WIDTH * HEIGHT; k++)
            ck_assert_msg(abs(still.pixels[k] - colours[i].rgb[k % 3]) <= 2,
                          "colour %zu: channel %zu is %u", i, k % 3, still.pixels[k]);
        still_fini(&still);
    }
}
END_TEST

START_TEST(a_frame_that_contradicts_itself_is_refused)
{
    static const uint8_t payload[64];
    struct ring_frame frame = frame_of(PIXEL_RGB24, 6);

    frame.payload_bytes--;
    ck_assert_int_eq(still_init(&still, &frame, payload), -EPROTO);
    frame = frame_of(PIXEL_RGB24, 6);
    frame.stride_bytes = 5;
    ck_assert_int_eq(still_init(&still, &frame, payload), -EPROTO);
    frame = frame_of(PIXEL_RGB24, 6);
    frame.width = UINT32_MAX;
    ck_assert_int_eq(still_init(&still, &frame, payload), -EPROTO);
    frame = frame_of(PIXEL_RGB24, 6);
    frame.height = 0;
    ck_assert_int_eq(still_init(&still, &frame, payload), -EPROTO);
    frame = frame_of(PIXEL_RGB24, 6);
    frame.fourcc = 1;
    ck_assert_int_eq(still_init(&still, &frame, payload), -EPROTONOSUPPORT);
    ck_assert_ptr_null(still.pixels);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("still");
    TCase *cases = tcase_create("still");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, padding_between_rows_is_left_out);
    tcase_add_test(cases, a_bottom_up_frame_is_turned_over);
    tcase_add_test(cases, alpha_stays_and_an_unused_byte_goes);
    tcase_add_test(cases, depth_keeps_its_floats);
    tcase_add_test(cases, nv12_becomes_rgb_by_its_matrix_and_range);
    tcase_add_test(cases, a_frame_that_contradicts_itself_is_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
