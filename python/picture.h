/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an array of pixels goes into a slot with one copy: which layout the slot gets, and which
 * bytes go where. Whatever the slot's metadata can say is said instead of done: an array whose
 * rows lie upside down in memory becomes a bottom-up frame, and the first three channels of RGBA
 * become RGBX.
 *
 * Thread: any. Cost: planning is arithmetic; copying touches each byte once.
 */
#ifndef SIMCAST_PYTHON_PICTURE_H
#define SIMCAST_PYTHON_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/array.h"

/* What a camera promises about each of its frames. */
struct picture_shape {
    uint32_t fourcc; /* proto/pixel.h */
    uint32_t width;  /* pixels */
    uint32_t height; /* pixels, of one picture */
    uint32_t batch;  /* pictures in a frame, one above the other; 0: not a batch, one picture */
};

/* The shape of its arrays: [batch,] height, width [, channels]; NV12: the rows of both planes. */
struct picture_dims {
    int dims;
    int64_t shape[4];
};

struct picture_dims picture_dims(const struct picture_shape *shape);

/* Bytes that a slot needs: for RGB24 those of RGBX, so that either can be published. 0: too big. */
uint64_t picture_slot_bytes(const struct picture_shape *shape);

struct picture_plan {
    uint32_t fourcc; /* of the slot */
    bool bottom_up;
    uint32_t stride_bytes; /* in the slot */
    uint64_t payload_bytes;

    const uint8_t *first; /* source of the slot's first byte */
    uint32_t pictures;
    uint32_t rows; /* of one picture */
    int64_t picture_step;
    int64_t row_step; /* in the source; may be negative */
    /* Rows of row_bytes bytes each as they are; or, where channels > 0, pixel by pixel. */
    size_t row_bytes;
    uint32_t channels;
    uint32_t width;
    int64_t pixel_step;
    int64_t channel_step;
};

/*
 * Plans the copy of an array into a slot. `bottom_up`: the array's first row is the bottom row.
 * Errors: -EINVAL its shape is not the camera's; -ERANGE strides of gigabytes;
 * -EPROTONOSUPPORT NV12 cannot be bottom-up.
 */
int picture_plan(const struct picture_shape *shape, const struct array *array, bool bottom_up,
                 struct picture_plan *ret_plan);

/* Copies from host memory; `slot` has plan->payload_bytes bytes. */
void picture_copy(const struct picture_plan *plan, uint8_t *slot);

/* True: all rows of all pictures are one run of bytes in the source as they are in the slot. */
bool picture_is_one_run(const struct picture_plan *plan);

/* Bytes of that run; at most payload_bytes. */
uint64_t picture_run_bytes(const struct picture_plan *plan);

#endif
