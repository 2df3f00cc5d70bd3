/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing; any thread. libyuv names a layout as a little-endian word, from the highest byte
 * down, with one exception of its own: memory R, G, B is its RAW, memory R, G, B, A its ABGR,
 * memory B, G, R, A its ARGB.
 */
#include "encoder/convert.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <libyuv.h>

#include "proto/pixel.h"

#define CHROMA_NEUTRAL 128
#define CHROMA_OFFSET (CHROMA_NEUTRAL * (65536U - 57568U) + 32768U) /* 128 stays 128 */

typedef int (*rgb_converter)(const uint8_t *from, int from_stride, uint8_t *y, int y_stride,
                             uint8_t *u, int u_stride, uint8_t *v, int v_stride, int width,
                             int height);

/* 0..255 to 16..235, rounded: 219/255 is 56283/65536. */
static void compress_luma_row(const uint8_t *from, uint8_t *into, uint32_t width)
{
    for (uint32_t x = 0; x < width; x++)
        into[x] = (uint8_t)(16 + ((from[x] * 56283U + 32768U) >> 16));
}

/* 0..255 around 128 to 16..240 around 128, rounded: 224/255 is 57568/65536. */
static void compress_chroma_plane(uint8_t *plane, int stride_bytes, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++, plane += stride_bytes) {
        for (uint32_t x = 0; x < width; x++)
            plane[x] = (uint8_t)((plane[x] * 57568U + CHROMA_OFFSET) >> 16);
    }
}

static void compress_luma(const struct picture *picture, const struct i420 *into)
{
    const uint8_t *from = picture->top;
    uint8_t *row = into->planes[0];

    for (uint32_t y = 0; y < into->height; y++) {
        compress_luma_row(from, row, into->width);
        from += picture->stride_bytes;
        row += into->strides_bytes[0];
    }
}

static void convert_grey(const struct picture *picture, const struct i420 *into)
{
    compress_luma(picture, into);
    for (unsigned plane = 1; plane < 3; plane++) {
        for (uint32_t y = 0; y < into->height / 2; y++)
            memset(into->planes[plane] + (ptrdiff_t)y * into->strides_bytes[plane], CHROMA_NEUTRAL,
                   into->width / 2);
    }
}

static void convert_nv12(const struct picture *picture, const struct i420 *into)
{
    NV12ToI420(picture->top, (int)picture->stride_bytes, picture->chroma_top,
               (int)picture->chroma_stride_bytes, into->planes[0], into->strides_bytes[0],
               into->planes[1], into->strides_bytes[1], into->planes[2], into->strides_bytes[2],
               (int)into->width, (int)into->height);
    if (picture->limited_range)
        return;
    compress_luma(picture, into);
    for (unsigned plane = 1; plane < 3; plane++)
        compress_chroma_plane(into->planes[plane], into->strides_bytes[plane], into->width / 2,
                              into->height / 2);
}

static rgb_converter converter_for(uint32_t fourcc)
{
    switch (fourcc) {
    case PIXEL_RGB24:
        return RAWToI420;
    case PIXEL_RGBA:
    case PIXEL_RGBX:
        return ABGRToI420;
    case PIXEL_BGRA:
        return ARGBToI420;
    default:
        return NULL;
    }
}

int convert_to_i420(const struct picture *picture, const struct i420 *into)
{
    assert(into->width <= picture->width && into->height <= picture->height);
    if (picture->fourcc == PIXEL_GREY) {
        convert_grey(picture, into);
        return 0;
    }
    if (picture->fourcc == PIXEL_NV12) {
        convert_nv12(picture, into);
        return 0;
    }
    rgb_converter convert = converter_for(picture->fourcc);
    if (!convert)
        return -EPROTONOSUPPORT;
    convert(picture->top, (int)picture->stride_bytes, into->planes[0], into->strides_bytes[0],
            into->planes[1], into->strides_bytes[1], into->planes[2], into->strides_bytes[2],
            (int)into->width, (int)into->height);
    return 0;
}

void convert_scale(const struct i420 *from, const struct i420 *into)
{
    I420Scale(from->planes[0], from->strides_bytes[0], from->planes[1], from->strides_bytes[1],
              from->planes[2], from->strides_bytes[2], (int)from->width, (int)from->height,
              into->planes[0], into->strides_bytes[0], into->planes[1], into->strides_bytes[1],
              into->planes[2], into->strides_bytes[2], (int)into->width, (int)into->height,
              kFilterBox);
}

void convert_weave_chroma(const struct i420 *from, uint8_t *into, int into_stride_bytes)
{
    MergeUVPlane(from->planes[1], from->strides_bytes[1], from->planes[2], from->strides_bytes[2],
                 into, into_stride_bytes, (int)from->width / 2, (int)from->height / 2);
}

void convert_split_pairs(const uint8_t *from, uint32_t pairs, uint8_t *into_cb, uint8_t *into_cr)
{
    SplitUVPlane(from, 0, into_cb, 0, into_cr, 0, (int)pairs, 1);
}
