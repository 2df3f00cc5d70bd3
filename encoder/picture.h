/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw picture to encode: a checked frame, seen from its top row. A bottom-up frame is only a
 * negative stride, so nobody downstream flips anything.
 *
 * Thread: any. Cost: arithmetic; the pixels are not touched.
 */
#ifndef SIMCAST_ENCODER_PICTURE_H
#define SIMCAST_ENCODER_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/ring.h"

#define PICTURE_SIDE_MIN 16   /* pixels; one macroblock */
#define PICTURE_SIDE_MAX 8192 /* pixels */

struct picture {
    const uint8_t *top;            /* first byte of the top row */
    ptrdiff_t stride_bytes;        /* from a row to the one below it in the picture */
    const uint8_t *chroma_top;     /* NV12: top row of Cb, Cr pairs; else NULL */
    ptrdiff_t chroma_stride_bytes; /* NV12: from a row of pairs to the one below it */
    uint32_t fourcc;               /* proto/pixel.h */
    uint32_t width;                /* pixels */
    uint32_t height;               /* pixels */
    bool limited_range;            /* NV12: luma 16 to 235; other layouts are full range */
    enum ring_memory memory;       /* RING_MEMORY_CUDA: the pointers are the GPU's, not ours */
    int cuda_device;               /* RING_MEMORY_CUDA: the GPU's number in this process */
};

/*
 * Looks at a frame of another process. On success the picture points into `pixels`, which stay
 * the caller's. Errors, with a sentence fragment in *ret_reason (a string constant):
 * -EPROTONOSUPPORT a layout or matrix that no codec here takes; -EPROTO the header contradicts
 * itself or payload_bytes. The caller refuses the frame and goes on.
 */
int picture_from_view(const struct ring_view *view, struct picture *ret_picture,
                      const char **ret_reason);

/* The same for pixels in our own memory. */
int picture_from_frame(const struct ring_frame *frame, const void *pixels,
                       struct picture *ret_picture, const char **ret_reason);

#endif
