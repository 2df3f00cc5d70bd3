/* SPDX-License-Identifier: Apache-2.0 */
/* Row by row, from the top of the picture down, wherever that row lies in memory. */
#include "cli/still.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/pixel.h"

static uint32_t channels_of(uint32_t fourcc)
{
    switch (fourcc) {
    case PIXEL_GREY:
    case PIXEL_DEPTH:
        return 1;
    case PIXEL_RGB24:
    case PIXEL_RGBX:
    case PIXEL_NV12:
        return 3;
    case PIXEL_RGBA:
    case PIXEL_BGRA:
        return 4;
    default:
        return 0;
    }
}

/* Row y of a plane of `rows` rows, counted from the picture's top. */
static const uint8_t *row_of(const struct ring_frame *frame, const uint8_t *plane, uint32_t y,
                             uint32_t rows)
{
    uint32_t row = (frame->flags & RING_FRAME_BOTTOM_UP) ? rows - 1 - y : y;

    return plane + (size_t)row * frame->stride_bytes;
}

static void copy_packed_row(uint32_t fourcc, const uint8_t *from, uint8_t *to, uint32_t width)
{
    for (uint32_t x = 0; x < width; x++, from += 4) {
        to[0] = fourcc == PIXEL_BGRA ? from[2] : from[0];
        to[1] = from[1];
        to[2] = fourcc == PIXEL_BGRA ? from[0] : from[2];
        if (fourcc == PIXEL_BGRA)
            to[3] = from[3];
        to += fourcc == PIXEL_BGRA ? 4 : 3;
    }
}

/* ---- NV12 --------------------------------------------------------------------------------- */

/* Y'CbCr to R'G'B': the weights of Cr in red, of Cb and Cr in green, of Cb in blue. */
struct matrix {
    double luma_zero, luma_gain, chroma_gain;
    double red_cr, green_cb, green_cr, blue_cb;
};

static struct matrix matrix_of(const struct ring_frame *frame)
{
    /* Weights of red and blue in luma; BT.601 unless the frame says BT.709. */
    double red = frame->matrix == RING_MATRIX_BT709 ? 0.2126 : 0.299;
    double blue = frame->matrix == RING_MATRIX_BT709 ? 0.0722 : 0.114;
    double green = 1 - red - blue;
    bool limited = frame->range == RING_RANGE_LIMITED;

    return (struct matrix){
        .luma_zero = limited ? 16 : 0,
        .luma_gain = limited ? 255.0 / 219 : 1,
        .chroma_gain = limited ? 255.0 / 224 : 1,
        .red_cr = 2 * (1 - red),
        .green_cb = -2 * (1 - blue) * blue / green,
        .green_cr = -2 * (1 - red) * red / green,
        .blue_cb = 2 * (1 - blue),
    };
}

static uint8_t clamp(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : value + 0.5);
}

static void convert_row(const struct matrix *matrix, const uint8_t *luma, const uint8_t *chroma,
                        uint8_t *to, uint32_t width)
{
    for (uint32_t x = 0; x < width; x++, to += 3) {
        const uint8_t *pair = chroma + (x & ~1u);
        double y = (luma[x] - matrix->luma_zero) * matrix->luma_gain;
        double cb = (pair[0] - 128.0) * matrix->chroma_gain;
        double cr = (pair[1] - 128.0) * matrix->chroma_gain;
        to[0] = clamp(y + matrix->red_cr * cr);
        to[1] = clamp(y + matrix->green_cb * cb + matrix->green_cr * cr);
        to[2] = clamp(y + matrix->blue_cb * cb);
    }
}

static void copy_nv12(struct still *still, const struct ring_frame *frame, const uint8_t *luma)
{
    const uint8_t *chroma = luma + (size_t)frame->height * frame->stride_bytes;
    struct matrix matrix = matrix_of(frame);

    for (uint32_t y = 0; y < still->height; y++)
        convert_row(&matrix, row_of(frame, luma, y, frame->height),
                    row_of(frame, chroma, y / 2, (frame->height + 1) / 2),
                    still->pixels + (size_t)y * still->width * still->channels, still->width);
}

/* ---- the picture -------------------------------------------------------------------------- */

static void copy_packed(struct still *still, const struct ring_frame *frame, const uint8_t *payload)
{
    size_t row_bytes = (size_t)still->width * still->channels * still->sample_bytes;

    for (uint32_t y = 0; y < still->height; y++) {
        const uint8_t *from = row_of(frame, payload, y, frame->height);
        uint8_t *to = still->pixels + y * row_bytes;
        if (frame->fourcc == PIXEL_RGBX || frame->fourcc == PIXEL_BGRA)
            copy_packed_row(frame->fourcc, from, to, still->width);
        else
            memcpy(to, from, row_bytes);
    }
}

int still_init(struct still *still, const struct ring_frame *frame, const void *payload)
{
    struct still made = {
        .width = frame->width,
        .height = frame->height,
        .channels = channels_of(frame->fourcc),
        .sample_bytes = frame->fourcc == PIXEL_DEPTH ? sizeof(float) : 1,
    };
    uint64_t needed_bytes =
        pixel_frame_bytes(frame->fourcc, frame->width, frame->height, frame->stride_bytes);
    /* An odd width's last chroma pair, or a bottom-up picture with half a chroma row: unusual. */
    bool odd = frame->fourcc == PIXEL_NV12 && (frame->width % 2 != 0 || frame->height % 2 != 0);

    if (made.channels == 0 || odd)
        return -EPROTONOSUPPORT;
    if (frame->width == 0 || frame->height == 0 || needed_bytes == 0 ||
        needed_bytes > frame->payload_bytes)
        return -EPROTO;
    made.pixels = malloc((size_t)made.width * made.height * made.channels * made.sample_bytes);
    if (!made.pixels)
        return -ENOMEM;
    if (frame->fourcc == PIXEL_NV12)
        copy_nv12(&made, frame, payload);
    else
        copy_packed(&made, frame, payload);
    *still = made;
    return 0;
}

void still_fini(struct still *still)
{
    free(still->pixels);
    *still = (struct still){0};
}
