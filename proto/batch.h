/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch: the pictures of several simulated environments, equal in size, as one tall frame. The
 * frame's height is count * the height of one picture; picture i fills the i-th share of the rows,
 * counted from the top of the picture, and shows environment first_env + i.
 *
 * The frame's user metadata begins with this struct; the producer's own metadata follows it. A
 * reader that does not know it sees one tall picture; one that does can show a mosaic.
 *
 * Fixed-width and naturally aligned, so it is shared as it is (little-endian hosts). Readers check
 * magic, and that count is not 0 and divides the frame's height, before use.
 */
#ifndef SIMCAST_PROTO_BATCH_H
#define SIMCAST_PROTO_BATCH_H

#include <assert.h>
#include <stdint.h>

#define FRAME_BATCH_MAGIC UINT32_C(0x31544142) /* "BAT1" */

struct frame_batch {
    uint32_t magic; /* FRAME_BATCH_MAGIC */
    uint32_t count; /* pictures in the frame */
    uint32_t first_env;
    uint32_t reserved; /* 0 */
};

static_assert(sizeof(struct frame_batch) == 16, "frame_batch is shared memory");

#endif
