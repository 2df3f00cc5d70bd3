/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing; a newer frame takes the place of an older one. */
#include "daemon/arrivals.h"

#include <stddef.h>

void arrivals_add(struct arrivals *arrivals, const struct packet *packet, int64_t now_ns)
{
    uint64_t frame_seq = packet->video.header.frame_seq;

    arrivals->last[frame_seq % ARRIVALS_MAX] = (struct arrival){
        .frame_seq = frame_seq,
        .ns = now_ns,
        .published_ns = packet->stamp_ns[RING_STAGE_PUBLISHED],
    };
}

const struct arrival *arrivals_find(const struct arrivals *arrivals, uint64_t frame_seq)
{
    const struct arrival *arrival = &arrivals->last[frame_seq % ARRIVALS_MAX];

    return arrival->ns > 0 && arrival->frame_seq == frame_seq ? arrival : NULL;
}
