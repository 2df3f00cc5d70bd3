/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures to I420, BT.601 limited range: what H.264 encoders take, and what pictures are scaled
 * in. Home of libyuv.
 *
 * 4:2:0 needs even sides. An odd picture loses its last column or its bottom row: nothing is
 * invented, and the pixels that stay keep their place.
 *
 * Thread: any. Cost: one pass over the pixels; libyuv allocates two rows for RGB24.
 */
#ifndef SIMCAST_ENCODER_CONVERT_H
#define SIMCAST_ENCODER_CONVERT_H

#include <stdint.h>

#include "encoder/picture.h"

/* The caller's memory: width x height bytes of Y, half of each side for Cb and Cr. */
struct i420 {
    uint8_t *planes[3];
    int strides_bytes[3];
    uint32_t width;  /* pixels, even */
    uint32_t height; /* pixels, even */
};

/* The even size that a picture of `pixels` columns or rows is coded with. */
static inline uint32_t convert_even(uint32_t pixels)
{
    return pixels & ~UINT32_C(1);
}

/*
 * Converts the picture's first into->height rows and into->width columns, which it must have.
 * Errors: -EPROTONOSUPPORT an unknown layout.
 */
int convert_to_i420(const struct picture *picture, const struct i420 *into);

/* Scales one to the other's size, smaller or equal, each pixel the mean of those that it covers. */
void convert_scale(const struct i420 *from, const struct i420 *into);

/* Weaves planes of Cb and Cr into one of pairs, as NV12 has it. */
void convert_weave_chroma(const struct i420 *from, uint8_t *into, int into_stride_bytes);

/* Takes a row of NV12's pairs apart. */
void convert_split_pairs(const uint8_t *from, uint32_t pairs, uint8_t *into_cb, uint8_t *into_cr);

#endif
