/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view that several renditions read, one after the other: the last one that is done gives it
 * back to the simulator.
 *
 * Thread: one.
 */
#ifndef SIMCAST_ENCODER_SHARED_VIEW_H
#define SIMCAST_ENCODER_SHARED_VIEW_H

#include "shm/ring.h"

struct shared_view {
    struct ring_consumer *ring;
    const struct ring_view *view;
    unsigned readers; /* still to come */
};

/*
 * One reader is done. Returns 0, or -ESTALE when the simulator had taken the frame away meanwhile:
 * what was made of it may show two pictures at once, so discard it.
 */
static inline int shared_view_done(struct shared_view *shared)
{
    shared->readers--;
    return shared->readers == 0 ? ring_release(shared->ring, shared->view)
                                : ring_check(shared->ring, shared->view);
}

#endif
