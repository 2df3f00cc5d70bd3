/* SPDX-License-Identifier: Apache-2.0 */
/* The test pattern read back pixel by pixel, at sizes that divide by 32 and that do not. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "sim/pattern.h"

static const struct pattern sizes[] = {
    {.width = 640, .height = 480}, {.width = 1280, .height = 720}, {.width = 642, .height = 362},
    {.width = 64, .height = 64},   {.width = 94, .height = 480},
};

#define CANARY 0x5a

static uint8_t *draw(const struct pattern *size, uint64_t frame_id)
{
    struct pattern pattern = *size;
    size_t bytes = (size_t)3 * size->width * size->height;
    uint8_t *rgb = malloc(bytes + 1);

    ck_assert_ptr_nonnull(rgb);
    pattern.frame_id = frame_id;
    rgb[bytes] = CANARY;
    pattern_draw(&pattern, rgb);
    ck_assert_uint_eq(rgb[bytes], CANARY);
    return rgb;
}

static const uint8_t *pixel(const struct pattern *size, const uint8_t *rgb, uint32_t x, uint32_t y)
{
    return rgb + (size_t)3 * ((size_t)y * size->width + x);
}

/* Counts as one check only when it fails: there are millions of pixels. */
static void assert_colour(const uint8_t *at, uint8_t red, uint8_t green, uint8_t blue)
{
    if (at[0] != red || at[1] != green || at[2] != blue)
        ck_abort_msg("%u,%u,%u instead of %u,%u,%u", at[0], at[1], at[2], red, green, blue);
}

/* Every pixel of every block must agree with the block's bit. */
static uint32_t read_counter(const struct pattern *size, const uint8_t *rgb)
{
    uint32_t block = size->width / 32;
    uint32_t value = 0;

    for (uint32_t bit = 0; bit < 32; bit++) {
        uint8_t level = *pixel(size, rgb, bit * block, 0);
        ck_assert(level == 0 || level == 255);
        for (uint32_t i = 0; i < block * block; i++)
            assert_colour(pixel(size, rgb, bit * block + i % block, i / block), level, level,
                          level);
        value = value << 1 | (level == 255);
    }
    return value;
}

START_TEST(the_counter_is_the_low_32_bits_of_the_frame_number)
{
    static const uint64_t numbers[] = {0, 1, 0x80000000, 0xdeadbeef, 0xffffffff, 0x123456789abcdef};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint8_t *rgb = draw(&sizes[_i], numbers[i]);
        ck_assert_uint_eq(read_counter(&sizes[_i], rgb), (uint32_t)numbers[i]);
        free(rgb);
    }
}
END_TEST

START_TEST(six_equal_patches_fill_the_second_quarter)
{
    static const uint8_t expected[6][3] = {{255, 0, 0},   {0, 255, 0},   {0, 0, 255},
                                           {255, 255, 0}, {0, 255, 255}, {255, 0, 255}};
    const struct pattern *size = &sizes[_i];
    uint8_t *rgb = draw(size, 7);

    for (uint32_t y = size->height / 4; y < size->height / 2; y++) {
        for (uint32_t x = 0; x < size->width; x++) {
            uint32_t patch = 0;
            while (x >= (patch + 1) * size->width / 6)
                patch++;
            assert_colour(pixel(size, rgb, x, y), expected[patch][0], expected[patch][1],
                          expected[patch][2]);
        }
    }
    free(rgb);
}
END_TEST

START_TEST(a_bar_moves_four_pixels_per_frame_on_grey)
{
    const struct pattern *size = &sizes[_i];
    uint32_t bar = size->width / 32;

    for (uint64_t frame = 0; frame < UINT64_C(2) * size->width; frame += 13) {
        uint8_t *rgb = draw(size, frame);
        for (uint32_t x = 0; x < size->width; x++) {
            uint32_t behind = (x + size->width - (uint32_t)(4 * frame % size->width)) % size->width;
            uint8_t level = behind < bar ? 255 : 128;
            assert_colour(pixel(size, rgb, x, size->height / 2), level, level, level);
            assert_colour(pixel(size, rgb, x, size->height - 1), level, level, level);
        }
        free(rgb);
    }
}
END_TEST

START_TEST(between_counter_and_patches_all_is_grey)
{
    const struct pattern *size = &sizes[_i];
    uint8_t *rgb = draw(size, UINT64_MAX);

    for (uint32_t y = size->width / 32; y < size->height / 4; y++) {
        for (uint32_t x = 0; x < size->width; x++)
            assert_colour(pixel(size, rgb, x, y), 128, 128, 128);
    }
    for (uint32_t x = size->width / 32 * 32; x < size->width; x++)
        assert_colour(pixel(size, rgb, x, 0), 128, 128, 128);
    free(rgb);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *tcase = tcase_create("pattern");
    int count = (int)(sizeof(sizes) / sizeof(sizes[0]));

    tcase_add_loop_test(tcase, the_counter_is_the_low_32_bits_of_the_frame_number, 0, count);
    tcase_add_loop_test(tcase, six_equal_patches_fill_the_second_quarter, 0, count);
    tcase_add_loop_test(tcase, a_bar_moves_four_pixels_per_frame_on_grey, 0, count);
    tcase_add_loop_test(tcase, between_counter_and_patches_all_is_grey, 0, count);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
