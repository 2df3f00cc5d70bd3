/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cameras' frame rings, without a copy: an observation points into the newest frame's slot
 * and keeps it pinned for as long as the observation lives.
 *
 * A pin belongs to the thread that owns the ring, but whoever drops an observation may be on
 * another. So a dropped one only lowers a count, and the owner unpins what nobody counts.
 *
 * Thread: all from the owner's thread, but camera_drop from any. Cost: as ring_acquire.
 */
#ifndef SIMCAST_HAL_CAMERAS_H
#define SIMCAST_HAL_CAMERAS_H

#include <stdint.h>

#include "hal/policy.h"

struct cameras;
struct camera_frame; /* a pinned frame with a count of its users */

/*
 * `streams` by enum policy_image_index, NULL where there is none: RGB24 for the colour cameras,
 * R32F (proto/pixel.h PIXEL_DEPTH) for the maps. The rings need not exist yet.
 * Errors: those of ring_consumer_open; -ENOMEM.
 */
int cameras_open(const char *dir, const char *const streams[POLICY_IMAGE_COUNT],
                 struct cameras **ret_cameras);

/* Takes NULL. Nobody may still use a frame. */
void cameras_close(struct cameras *cameras);

/* Call once per period: unpins what nobody uses and takes the newest frame of each ring. */
void cameras_refresh(struct cameras *cameras);

/*
 * The newest frame, counted for the caller, who ends it with camera_drop; NULL: none yet, or
 * its format is not the one above.
 */
struct camera_frame *cameras_use(struct cameras *cameras, enum policy_image_index index,
                                 struct policy_image *ret_image);

/* Takes NULL. */
void camera_drop(struct camera_frame *frame);

#endif
