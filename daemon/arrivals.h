/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the last frames of a stream came here, so that a viewer who tells which one it shows
 * (DISPLAYED, proto/viewer.h) tells how old its picture is.
 *
 * Thread: the loop. Cost: constant.
 */
#ifndef SIMCAST_DAEMON_ARRIVALS_H
#define SIMCAST_DAEMON_ARRIVALS_H

#include <stdint.h>

#include "daemon/source.h"

#define ARRIVALS_MAX 1024 /* more than a second of frames, however fast they come */

struct arrival {
    uint64_t frame_seq;
    int64_t ns;           /* 0: none */
    int64_t published_ns; /* by the simulator; 0: unknown */
};

/* Zero it; the field belongs to arrivals.c. */
struct arrivals {
    struct arrival last[ARRIVALS_MAX]; /* by frame_seq modulo their number */
};

void arrivals_add(struct arrivals *arrivals, const struct packet *packet, int64_t now_ns);

/* The frame, or NULL: it never came, or too long ago. */
const struct arrival *arrivals_find(const struct arrivals *arrivals, uint64_t frame_seq);

#endif
