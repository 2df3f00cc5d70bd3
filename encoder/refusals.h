/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that are not encoded because of what they are: counted all, named once per run of the
 * simulator.
 *
 * Thread: one.
 */
#ifndef SIMCAST_ENCODER_REFUSALS_H
#define SIMCAST_ENCODER_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/ring.h"

struct refusals {
    uint64_t count;
    bool named; /* set it to false to have the next one named again */
};

/*
 * `ring`: whose frame or packet it would be; `frame`: NULL when it could not be read; `reason`: a
 * sentence fragment.
 */
void refusals_add(struct refusals *refusals, const char *ring, const struct ring_frame *frame,
                  const char *reason);

#endif
