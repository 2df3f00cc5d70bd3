/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A camera: a stage on a thread of its own, so that a slow or broken one holds up no other.
 *
 * Thread: all functions from the thread that opened it.
 */
#ifndef SIMCAST_ENCODER_CAMERA_H
#define SIMCAST_ENCODER_CAMERA_H

#include <stdbool.h>
#include <stdint.h>

#include "encoder/stage.h"

#define CAMERA_TEXT_BYTES 192

struct camera;

struct camera_status {
    char text[CAMERA_TEXT_BYTES]; /* what it does, for a person */
    int64_t alive_ns;             /* when its thread was last seen to move (CLOCK_MONOTONIC) */
    int64_t gone_ns;              /* since when it has no simulator; 0: it has one */
};

/*
 * Opens the stage and starts its thread. On success the caller owns *ret_camera. Errors: those of
 * stage_open; -EAGAIN no thread.
 */
int camera_open(const struct stage_config *config, struct camera **ret_camera);

/* Ends the thread, says in the log what was encoded, and closes the rings. Takes NULL. */
void camera_close(struct camera *camera);

const char *camera_name(const struct camera *camera);

/* As of at most a second ago. */
void camera_status(struct camera *camera, struct camera_status *ret_status);

#endif
