/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures seen right (stride, row order, lies refused) and converted to I420 as BT.601 says. */
#include <errno.h>

#include <check.h>

#include "encoder/convert.h"
#include "tests/picture_kit.h"

struct planes {
    struct i420 i420;
    uint8_t *bytes;
};

static struct planes planes_make(uint32_t width, uint32_t height)
{
    struct planes planes = {.i420 = {.width = width, .height = height}};
    size_t luma = (size_t)width * height;

    planes.bytes = malloc(luma * 3 / 2);
    ck_assert_ptr_nonnull(planes.bytes);
    planes.i420.planes[0] = planes.bytes;
    planes.i420.planes[1] = planes.bytes + luma;
    planes.i420.planes[2] = planes.bytes + luma + luma / 4;
    planes.i420.strides_bytes[0] = (int)width;
    planes.i420.strides_bytes[1] = planes.i420.strides_bytes[2] = (int)width / 2;
    return planes;
}

static struct kit_image image_from(const struct planes *planes)
{
    const struct i420 *i420 = &planes->i420;
    struct kit_image image = kit_image_make(i420->width, i420->height);

    for (uint32_t y = 0; y < i420->height; y++) {
        for (uint32_t x = 0; x < i420->width; x++) {
            size_t chroma = (size_t)(y / 2) * (i420->width / 2) + x / 2;
            image.pixels[(size_t)y * i420->width + x] =
                kit_rgb_from_yuv(i420->planes[0][(size_t)y * i420->width + x],
                                 i420->planes[1][chroma], i420->planes[2][chroma]);
        }
    }
    return image;
}

static void check_conversion(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t flags)
{
    struct kit_frame kit = kit_frame_make(fourcc, width, height, flags, 3);
    struct picture picture = kit_picture(&kit);
    struct planes planes = planes_make(convert_even(width), convert_even(height));

    ck_assert_int_eq(convert_to_i420(&picture, &planes.i420), 0);
    struct kit_image image = image_from(&planes);
    ck_assert_msg(kit_patch_error(&image) <= 3, "%s %ux%u: a patch is off by %d",
                  pixel_name(fourcc), width, height, kit_patch_error(&image));
    ck_assert_msg(kit_psnr(&image, &kit.frame, 3) >= 30, "%s %ux%u: PSNR %.1f dB",
                  pixel_name(fourcc), width, height, kit_psnr(&image, &kit.frame, 3));
    free(image.pixels);
    free(planes.bytes);
    kit_frame_free(&kit);
}

static const uint32_t colour_layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX, PIXEL_BGRA,
                                          PIXEL_NV12};

START_TEST(every_colour_layout_keeps_its_colours)
{
    check_conversion(colour_layouts[_i], 320, 240, 0);
}
END_TEST

START_TEST(bottom_up_rows_come_out_upright)
{
    check_conversion(colour_layouts[_i], 320, 240, RING_FRAME_BOTTOM_UP);
}
END_TEST

START_TEST(an_odd_picture_loses_only_its_last_column_and_bottom_row)
{
    check_conversion(PIXEL_RGB24, 321, 241, 0);
    check_conversion(PIXEL_RGBA, 323, 243, RING_FRAME_BOTTOM_UP);
    check_conversion(PIXEL_NV12, 323, 241, 0);
}
END_TEST

START_TEST(grey_becomes_luma_in_limited_range_without_colour)
{
    uint8_t grey[16 * 16];
    struct ring_frame frame = {.fourcc = PIXEL_GREY,
                               .width = 16,
                               .height = 16,
                               .stride_bytes = 16,
                               .payload_bytes = sizeof(grey)};
    struct picture picture;
    const char *reason;
    struct planes planes = planes_make(16, 16);

    for (unsigned i = 0; i < sizeof(grey); i++)
        grey[i] = (uint8_t)i;
    ck_assert_int_eq(picture_from_frame(&frame, grey, &picture, &reason), 0);
    ck_assert_int_eq(convert_to_i420(&picture, &planes.i420), 0);
    for (unsigned i = 0; i < sizeof(grey); i++)
        ck_assert_uint_eq(planes.i420.planes[0][i], (unsigned)lround(16 + i * 219.0 / 255));
    for (unsigned i = 0; i < 64; i++) {
        ck_assert_uint_eq(planes.i420.planes[1][i], 128);
        ck_assert_uint_eq(planes.i420.planes[2][i], 128);
    }
    free(planes.bytes);
}
END_TEST

START_TEST(full_range_nv12_is_compressed_to_limited_range)
{
    uint8_t nv12[16 * 24];
    struct ring_frame frame = {.fourcc = PIXEL_NV12,
                               .width = 16,
                               .height = 16,
                               .stride_bytes = 16,
                               .matrix = RING_MATRIX_BT601,
                               .range = RING_RANGE_FULL,
                               .payload_bytes = sizeof(nv12)};
    struct picture picture;
    const char *reason;
    struct planes planes = planes_make(16, 16);

    memset(nv12, 255, sizeof(nv12));
    nv12[0] = 0;
    nv12[16 * 16] = 0;
    nv12[16 * 16 + 3] = 128;
    ck_assert_int_eq(picture_from_frame(&frame, nv12, &picture, &reason), 0);
    ck_assert_int_eq(convert_to_i420(&picture, &planes.i420), 0);
    ck_assert_uint_eq(planes.i420.planes[0][0], 16);
    ck_assert_uint_eq(planes.i420.planes[0][1], 235);
    ck_assert_uint_eq(planes.i420.planes[1][0], 16);
    ck_assert_uint_eq(planes.i420.planes[2][0], 240);
    ck_assert_uint_eq(planes.i420.planes[2][1], 128);
    free(planes.bytes);
}
END_TEST

static int view(struct ring_frame frame)
{
    static const uint8_t pixels[64 * 64 * 3];
    struct picture picture = {0};
    const char *reason = NULL;
    int rc = picture_from_frame(&frame, pixels, &picture, &reason);

    ck_assert_msg((rc < 0) == (reason != NULL), "a refusal has a reason, and only a refusal");
    ck_assert_msg(rc == 0 || picture.top == NULL, "outputs are untouched on failure");
    return rc;
}

START_TEST(a_header_that_lies_is_refused)
{
    struct ring_frame honest = {.fourcc = PIXEL_RGB24,
                                .width = 64,
                                .height = 64,
                                .stride_bytes = 64 * 3,
                                .payload_bytes = 64UL * 64 * 3};
    struct ring_frame lie = honest;

    ck_assert_int_eq(view(honest), 0);
    lie.payload_bytes--;
    ck_assert_int_eq(view(lie), -EPROTO);
    lie = honest;
    lie.stride_bytes--;
    ck_assert_int_eq(view(lie), -EPROTO);
    lie = honest;
    lie.stride_bytes = UINT32_MAX;
    ck_assert_int_eq(view(lie), -EPROTO);
    lie = honest;
    lie.fourcc = PIXEL_FOURCC('?', '?', '?', '?');
    ck_assert_int_eq(view(lie), -EPROTONOSUPPORT);
    lie = honest;
    lie.width = 0;
    ck_assert_int_eq(view(lie), -EPROTONOSUPPORT);
    lie = honest;
    lie.height = UINT32_MAX;
    ck_assert_int_eq(view(lie), -EPROTONOSUPPORT);
    lie = honest;
    lie.matrix = RING_MATRIX_BT709;
    ck_assert_int_eq(view(lie), -EPROTONOSUPPORT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("convert");
    TCase *cases = tcase_create("pictures");
    int layouts = sizeof(colour_layouts) / sizeof(colour_layouts[0]);

    tcase_add_loop_test(cases, every_colour_layout_keeps_its_colours, 0, layouts);
    tcase_add_loop_test(cases, bottom_up_rows_come_out_upright, 0, layouts);
    tcase_add_test(cases, an_odd_picture_loses_only_its_last_column_and_bottom_row);
    tcase_add_test(cases, grey_becomes_luma_in_limited_range_without_colour);
    tcase_add_test(cases, full_range_nv12_is_compressed_to_limited_range);
    tcase_add_test(cases, a_header_that_lies_is_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
