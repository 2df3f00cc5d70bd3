/* SPDX-License-Identifier: Apache-2.0 */
/* Writes one line to the log; owns nothing. */
#include "encoder/refusals.h"

#include <inttypes.h>

#include "base/log.h"
#include "proto/pixel.h"

static void name_first(const char *ring, const struct ring_frame *frame, const char *reason)
{
    if (frame)
        log_warning("%s: frame %" PRIu64 " (%ux%u, %s, stride %u, %" PRIu64 " bytes) is refused: "
                    "%s; more like it are only counted",
                    ring, frame->frame_id, frame->width, frame->height, pixel_name(frame->fourcc),
                    frame->stride_bytes, frame->payload_bytes, reason);
    else
        log_warning("%s: a frame is refused: %s; more like it are only counted", ring, reason);
}

void refusals_add(struct refusals *refusals, const char *ring, const struct ring_frame *frame,
                  const char *reason)
{
    refusals->count++;
    if (refusals->named)
        return;
    refusals->named = true;
    name_first(ring, frame, reason);
}
