/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicts when the next frame of a regular source arrives, and how long before that it is worth
 * to be awake. Pure: no clock, no I/O.
 *
 * Phase and period are learnt from the producer's own stamps, so the consumer's lateness does not
 * disturb them, and a single late frame hardly does. The guard, the time between the wake-up that
 * we ask for and the frame, follows what waking really costs on this machine: it is moved so that
 * the spinning takes 1/64 of a period on the average.
 *
 * Internal to shm/. Thread: the consumer's. Cost: nanoseconds.
 */
#ifndef SIMCAST_SHM_RHYTHM_H
#define SIMCAST_SHM_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

/* One wait spins for 1/16 of a period at most; the mean is kept at 1/64, 1.6% of a core. */
#define RHYTHM_SPIN_PERIODS_MAX 16
#define RHYTHM_SPIN_PERIODS_MEAN 64

/* Zero-initialised: nothing known yet. */
struct rhythm {
    uint64_t seq;
    int64_t phase_ns;  /* when that frame was due */
    int64_t period_ns; /* 0: unknown */
    int64_t guard_ns;
    unsigned steady; /* frames in a row that came when expected, less those that did not */
};

/* Tells of a frame that was acquired. */
void rhythm_observe(struct rhythm *rhythm, uint64_t seq, int64_t stamp_ns);

struct rhythm_plan {
    int64_t wake_ns;     /* sleep until then */
    int64_t spin_ns_max; /* then spin for that long at most */
};

/* Returns false when there is no rhythm to rely on: just sleep. */
bool rhythm_plan(const struct rhythm *rhythm, struct rhythm_plan *ret_plan);

/* Tells how a plan went: how long the consumer spun; 0: the frame was there before it woke. */
void rhythm_learn(struct rhythm *rhythm, int64_t spun_ns, bool frame_came);

#endif
