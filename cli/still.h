/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One picture out of a frame ring, as files hold pictures: packed rows, top row first.
 *
 * Thread: any. Cost: one allocation and one pass over the picture.
 */
#ifndef SIMCAST_CLI_STILL_H
#define SIMCAST_CLI_STILL_H

#include <stddef.h>
#include <stdint.h>

#include "shm/ring.h"

struct still {
    uint32_t width;
    uint32_t height;
    uint32_t channels;     /* 1 grey or depth, 3 R, G, B, 4 R, G, B, A */
    uint32_t sample_bytes; /* 1: 0 to 255; 4: depth, a little-endian float */
    uint8_t *pixels;       /* height x width x channels x sample_bytes */
};

/*
 * Copies a frame's pixels: RGB24 and RGBX give 3 channels, RGBA and BGRA 4, grey and
 * depth 1, and NV12 becomes RGB by the frame's matrix and range. End it with still_fini. Errors:
 * -EPROTO the frame's size, stride and payload contradict each other; -EPROTONOSUPPORT an unknown
 * fourcc; -ENOMEM.
 */
int still_init(struct still *still, const struct ring_frame *frame, const void *payload);

/* Takes a zeroed still, too. */
void still_fini(struct still *still);

#endif
