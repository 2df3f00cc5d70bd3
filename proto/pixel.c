/* SPDX-License-Identifier: Apache-2.0 */
/* One constant table. */
#include "proto/pixel.h"

#include <stddef.h>

#define FRAME_BYTES_MAX (UINT64_C(1) << 40)

static const struct {
    uint32_t fourcc;
    unsigned bytes;
    const char *name;
} layouts[] = {
    {PIXEL_RGB24, 3, "rgb24"}, {PIXEL_RGBA, 4, "rgba"}, {PIXEL_RGBX, 4, "rgbx"},
    {PIXEL_BGRA, 4, "bgra"},   {PIXEL_NV12, 1, "nv12"}, {PIXEL_GREY, 1, "grey"},
    {PIXEL_DEPTH, 4, "depth"},
};

#define LAYOUT_COUNT (sizeof(layouts) / sizeof(layouts[0]))

unsigned pixel_bytes(uint32_t fourcc)
{
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        if (layouts[i].fourcc == fourcc)
            return layouts[i].bytes;
    }
    return 0;
}

uint64_t pixel_frame_bytes(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t stride_bytes)
{
    uint64_t row_bytes = (uint64_t)width * pixel_bytes(fourcc);

    if (row_bytes == 0 || height == 0 || stride_bytes < row_bytes)
        return 0;
    uint64_t rows = fourcc == PIXEL_NV12 ? height + ((uint64_t)height + 1) / 2 : height;
    uint64_t bytes = rows * stride_bytes;
    return bytes <= FRAME_BYTES_MAX ? bytes : 0;
}

const char *pixel_name(uint32_t fourcc)
{
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        if (layouts[i].fourcc == fourcc)
            return layouts[i].name;
    }
    return "unknown";
}
