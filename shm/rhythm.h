/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicts when the next frame of a regular source arrives, and how long before that it is worth
 * to be awake. Pure: no clock, no I/O.
 *
 * It learns the period from the producer's own stamps, so the consumer's lateness does not
 * disturb it. The guard, the time between waking and the frame, follows what waking really
 * costs on this machine: it grows when the frame was there first, and shrinks when the consumer
 * spun for long.
 *
 * Internal to shm/. Thread: the consumer's. Cost: nanoseconds.
 */
#ifndef SIMCAST_SHM_RHYTHM_H
#define SIMCAST_SHM_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

/* Spinning may take this part of a period, and so of a core, at most: 1/40 = 2.5%. */
#define RHYTHM_SPIN_PERIODS 40

/* Zero-initialised: nothing known yet. */
struct rhythm {
    uint64_t seq;
    int64_t stamp_ns;  /* of that frame */
    int64_t period_ns; /* running mean; 0: unknown */
    int64_t guard_ns;
    unsigned steady; /* frames in a row that came when expected */
};

/* Tells of a frame that was acquired. */
void rhythm_observe(struct rhythm *rhythm, uint64_t seq, int64_t stamp_ns);

struct rhythm_plan {
    int64_t wake_ns;    /* sleep until then */
    int64_t give_up_ns; /* spin until then at most */
};

/* Returns false when there is no rhythm to rely on: just sleep. */
bool rhythm_plan(const struct rhythm *rhythm, struct rhythm_plan *ret_plan);

/* Tells how a plan went: how long the consumer spun; 0: the frame was there before it woke. */
void rhythm_learn(struct rhythm *rhythm, int64_t spun_ns, bool frame_came);

#endif
