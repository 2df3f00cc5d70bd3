/* SPDX-License-Identifier: Apache-2.0 */
/* A pure function on the caller's pixels: each of the four kinds of row is drawn once, then copied.
 */
#include "sim/pattern.h"

#include <assert.h>
#include <string.h>

#define COUNTER_BITS 32

static void fill(uint8_t *row, uint32_t from, uint32_t to, const uint8_t colour[3])
{
    for (uint32_t x = from; x < to; x++)
        memcpy(row + (size_t)3 * x, colour, 3);
}

static void draw_counter(const struct pattern *pattern, uint8_t *row)
{
    uint32_t block = pattern->width / COUNTER_BITS;

    for (uint32_t bit = 0; bit < COUNTER_BITS; bit++) {
        uint8_t level = pattern->frame_id >> (COUNTER_BITS - 1 - bit) & 1 ? 255 : 0;
        fill(row, bit * block, (bit + 1) * block, (const uint8_t[3]){level, level, level});
    }
}

static void draw_patches(const struct pattern *pattern, uint8_t *row)
{
    static const uint8_t colours[PATTERN_PATCHES][3] = {
        {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 0}, {0, 255, 255}, {255, 0, 255},
    };

    for (uint32_t i = 0; i < PATTERN_PATCHES; i++)
        fill(row, i * pattern->width / PATTERN_PATCHES, (i + 1) * pattern->width / PATTERN_PATCHES,
             colours[(i + pattern->env) % PATTERN_PATCHES]);
}

/* The bar leaves at the right edge and comes back at the left one. */
static void draw_bar(const struct pattern *pattern, uint8_t *row)
{
    uint64_t begin = (uint64_t)pattern->env * pattern->width / 8;
    uint32_t left = (uint32_t)((begin + pattern->frame_id * PATTERN_BAR_STEP) % pattern->width);

    for (uint32_t i = 0; i < pattern->width / COUNTER_BITS; i++)
        memset(row + (size_t)3 * ((left + i) % pattern->width), 255, 3);
}

static void repeat_row(const struct pattern *pattern, uint8_t *rgb, uint32_t from, uint32_t to)
{
    size_t stride = (size_t)3 * pattern->width;

    for (uint32_t y = from + 1; y < to; y++)
        memcpy(rgb + y * stride, rgb + from * stride, stride);
}

void pattern_draw(const struct pattern *pattern, uint8_t *rgb)
{
    size_t stride = (size_t)3 * pattern->width;
    uint32_t block = pattern->width / COUNTER_BITS;
    uint32_t quarter = pattern->height / 4;
    uint32_t half = pattern->height / 2;

    assert(pattern->width >= PATTERN_WIDTH_MIN && block < quarter);
    memset(rgb, PATTERN_GREY, stride);
    draw_counter(pattern, rgb);
    repeat_row(pattern, rgb, 0, block);
    memset(rgb + block * stride, PATTERN_GREY, stride);
    repeat_row(pattern, rgb, block, quarter);
    draw_patches(pattern, rgb + quarter * stride);
    repeat_row(pattern, rgb, quarter, half);
    memset(rgb + half * stride, PATTERN_GREY, stride);
    draw_bar(pattern, rgb + half * stride);
    repeat_row(pattern, rgb, half, pattern->height);
}

void pattern_draw_floats(const struct pattern *pattern, bool depth, float *values)
{
    float step_m = (PATTERN_DEPTH_M_MAX - PATTERN_DEPTH_M_MIN) / (float)(pattern->width - 1);

    for (uint32_t y = 0; y < pattern->height; y++) {
        float confidence = y < pattern->height / 2 ? 1 : 0.5F;
        for (uint32_t x = 0; x < pattern->width; x++)
            *values++ = depth ? PATTERN_DEPTH_M_MIN + step_m * (float)x : confidence;
    }
}
