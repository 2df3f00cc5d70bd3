/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "hal/schedule.h"

void schedule_init(struct schedule *schedule, int64_t period_ns, int64_t now_ns)
{
    *schedule = (struct schedule){.period_ns = period_ns, .due_ns = now_ns + period_ns};
}

uint64_t schedule_next(struct schedule *schedule, int64_t now_ns)
{
    int64_t behind_ns = now_ns - (schedule->due_ns + schedule->period_ns);
    int64_t skipped = behind_ns > 0 ? behind_ns / schedule->period_ns + 1 : 0;

    schedule->due_ns += (skipped + 1) * schedule->period_ns;
    return (uint64_t)skipped;
}

void schedule_follow(struct schedule *schedule, int64_t state_ns, int64_t interval_ns)
{
    int64_t limit_ns = schedule->period_ns / SCHEDULE_SHIFT_PARTS;
    int64_t cycle_ns = interval_ns < schedule->period_ns ? interval_ns : schedule->period_ns;

    if (cycle_ns <= 0)
        return;
    int64_t error_ns = (state_ns - SCHEDULE_BEFORE_NS - schedule->due_ns) % cycle_ns;

    /* To the nearest state: one that came long before is followed by another soon. */
    if (error_ns < -cycle_ns / 2)
        error_ns += cycle_ns;
    if (error_ns > cycle_ns / 2)
        error_ns -= cycle_ns;
    int64_t shift_ns = error_ns / SCHEDULE_SMOOTHING;

    if (shift_ns > limit_ns)
        shift_ns = limit_ns;
    if (shift_ns < -limit_ns)
        shift_ns = -limit_ns;
    schedule->due_ns += shift_ns;
}
