/* SPDX-License-Identifier: Apache-2.0 */
/* A pure function on the caller's pixels. */
#include "cli/source_pattern.h"

#include <stddef.h>
#include <string.h>

#define BITS 32u
#define PATCHES 6u
#define GREY 128

static const uint8_t colours[PATCHES][3] = {{255, 0, 0},   {0, 255, 0},   {0, 0, 255},
                                            {255, 255, 0}, {0, 255, 255}, {255, 0, 255}};

void source_pattern_draw(uint8_t *rgb, uint32_t width, uint32_t height, uint64_t number)
{
    uint32_t block = width / BITS;
    size_t stride_bytes = (size_t)3 * width;

    memset(rgb, GREY, stride_bytes * height);
    for (uint32_t y = 0; y < block && y < height; y++) {
        for (uint32_t x = 0; x < block * BITS; x++) {
            uint64_t bit = number >> (BITS - 1 - x / block) & 1;
            memset(rgb + y * stride_bytes + (size_t)3 * x, bit ? 255 : 0, 3);
        }
    }
    for (uint32_t y = height / 4; y < height / 2; y++) {
        for (uint32_t x = 0; x < width; x++)
            memcpy(rgb + y * stride_bytes + (size_t)3 * x, colours[x * PATCHES / width], 3);
    }
}
