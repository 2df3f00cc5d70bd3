/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the HAL loop's periods begin: an absolute schedule of fixed rate. Periods that are over are
 * skipped, never caught up. Its phase follows the robot's: where states come regularly, a period
 * begins just before one comes, so that the loop is awake then and what it answers is not old.
 *
 * Thread: the owner's. Cost: no I/O, no clock.
 */
#ifndef SIMCAST_HAL_SCHEDULE_H
#define SIMCAST_HAL_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_BEFORE_NS INT64_C(60000) /* as long as waking from deep sleep takes */
#define SCHEDULE_SMOOTHING 8              /* states jitter: this part of an error counts */
#define SCHEDULE_SHIFT_PARTS 64           /* it is moved by this part of a period at most */

/* Embed it. Read due_ns. */
struct schedule {
    int64_t period_ns;
    int64_t due_ns; /* CLOCK_MONOTONIC: when the current period begins or began */
};

/* The first period begins one period from now. */
void schedule_init(struct schedule *schedule, int64_t period_ns, int64_t now_ns);

/* Goes on to the next period that is not over; returns how many were skipped. */
uint64_t schedule_next(struct schedule *schedule, int64_t now_ns);

/*
 * The current period answers a state that was published at state_ns; they come every interval_ns
 * (0: unknown, then nothing is done).
 */
void schedule_follow(struct schedule *schedule, int64_t state_ns, int64_t interval_ns);

#endif
