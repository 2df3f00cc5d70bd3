/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the pictures of a camera smaller, and lays those of a batch out as a grid: once per size
 * and frame, whichever renditions want that size.
 *
 *     scaler_begin(scaler);
 *     for each rendition: scaler_fit(scaler, &mosaic, box, &picture);
 *
 * Thread: one. Cost: a pass over the frame and one over the result; memory is allocated when a
 * size is seen first, and kept.
 */
#ifndef SIMCAST_ENCODER_SCALE_H
#define SIMCAST_ENCODER_SCALE_H

#include "encoder/mosaic.h"

struct scaler;

/* On success the caller owns *ret_scaler. Errors: -ENOMEM. */
int scaler_create(struct scaler **ret_scaler);

/* Takes NULL. */
void scaler_destroy(struct scaler *scaler);

/* A new frame comes: what was made of the one before is no longer valid. */
void scaler_begin(struct scaler *scaler);

/*
 * The frame to fit a box, as NV12 in BT.601 limited range, which stays the scaler's and readable
 * until scaler_begin. Where nothing is to be done it is the frame's own picture; then
 * *ret_picture points into the frame, and the answer is 1, else 0.
 * Errors: -ENOMEM; -EPROTONOSUPPORT a layout that shows no picture (depth), or one in the memory of
 * a GPU that would have to be scaled.
 */
int scaler_fit(struct scaler *scaler, const struct mosaic *mosaic, struct mosaic_size box,
               struct picture *ret_picture);

#endif
