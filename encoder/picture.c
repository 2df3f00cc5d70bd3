/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's structs; what a frame says of itself is not believed. */
#include "encoder/picture.h"

#include <errno.h>

#include "proto/pixel.h"

static bool side_fits(uint32_t pixels)
{
    return pixels >= PICTURE_SIDE_MIN && pixels <= PICTURE_SIDE_MAX;
}

static const char *unsupported(const struct ring_frame *frame)
{
    if (pixel_bytes(frame->fourcc) == 0)
        return "its pixel layout is unknown";
    if (!side_fits(frame->width) || !side_fits(frame->height))
        return "its sides are not within 16 to 8192 pixels";
    if (frame->fourcc != PIXEL_NV12)
        return frame->matrix == RING_MATRIX_SRGB ? NULL : "its layout has no colour matrix";
    if (frame->matrix == RING_MATRIX_BT709)
        return "NV12 must come in BT.601, not BT.709";
    if ((frame->flags & RING_FRAME_BOTTOM_UP) && frame->height % 2 != 0)
        return "bottom-up NV12 of odd height has no defined chroma rows";
    return NULL;
}

int picture_from_frame(const struct ring_frame *frame, const void *pixels,
                       struct picture *ret_picture, const char **ret_reason)
{
    const char *reason = unsupported(frame);

    if (reason) {
        *ret_reason = reason;
        return -EPROTONOSUPPORT;
    }
    uint64_t bytes =
        pixel_frame_bytes(frame->fourcc, frame->width, frame->height, frame->stride_bytes);
    if (bytes == 0 || bytes > frame->payload_bytes || frame->stride_bytes > INT32_MAX) {
        *ret_reason =
            bytes == 0 ? "its stride is smaller than a row" : "its rows reach past its payload";
        return -EPROTO;
    }

    const uint8_t *first = pixels;
    ptrdiff_t stride = (ptrdiff_t)frame->stride_bytes;
    ptrdiff_t rows = (ptrdiff_t)frame->height;
    ptrdiff_t chroma_rows = (rows + 1) / 2;
    bool bottom_up = frame->flags & RING_FRAME_BOTTOM_UP;
    struct picture picture = {
        .top = bottom_up ? first + (rows - 1) * stride : first,
        .stride_bytes = bottom_up ? -stride : stride,
        .fourcc = frame->fourcc,
        .width = frame->width,
        .height = frame->height,
        .limited_range = frame->range == RING_RANGE_LIMITED,
    };
    if (frame->fourcc == PIXEL_NV12) {
        const uint8_t *chroma = first + rows * stride;
        picture.chroma_top = bottom_up ? chroma + (chroma_rows - 1) * stride : chroma;
        picture.chroma_stride_bytes = picture.stride_bytes;
    }
    *ret_picture = picture;
    return 0;
}

int picture_from_view(const struct ring_view *view, struct picture *ret_picture,
                      const char **ret_reason)
{
    int rc = picture_from_frame(&view->frame, view->payload, ret_picture, ret_reason);

    if (rc == 0) {
        ret_picture->memory = view->memory;
        ret_picture->cuda_device = view->cuda_device;
    }
    return rc;
}
