/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's struct alone; cannot fail. */
#include "shm/rhythm.h"

#include <stdlib.h>

#include "base/clock.h"

#define PERIOD_NS_MIN (500 * NS_PER_US)
#define PERIOD_NS_MAX (250 * NS_PER_MS)
#define STEADY_ENOUGH 6u
#define STEADY_MAX 64u
#define GUARD_NS_START (120 * NS_PER_US)
#define GUARD_NS_MIN (20 * NS_PER_US)
#define GUARD_NS_MAX (400 * NS_PER_US)
#define SPIN_NS_WANTED (30 * NS_PER_US)

static int64_t guard_limit_ns(const struct rhythm *rhythm)
{
    int64_t limit_ns = rhythm->period_ns / RHYTHM_SPIN_PERIODS * 3 / 4;

    return limit_ns < GUARD_NS_MAX ? limit_ns : GUARD_NS_MAX;
}

void rhythm_observe(struct rhythm *rhythm, uint64_t seq, int64_t stamp_ns)
{
    int64_t since_ns = stamp_ns - rhythm->stamp_ns;

    if (rhythm->stamp_ns == 0 || seq <= rhythm->seq || since_ns <= 0) {
        *rhythm = (struct rhythm){.seq = seq, .stamp_ns = stamp_ns, .guard_ns = GUARD_NS_START};
        return;
    }
    int64_t period_ns = since_ns / (int64_t)(seq - rhythm->seq);
    rhythm->seq = seq;
    rhythm->stamp_ns = stamp_ns;
    /* Off by more than we could bridge by spinning: the rhythm is another one, or none. */
    int64_t off_ns = llabs(period_ns - rhythm->period_ns);
    if (rhythm->period_ns == 0 || off_ns > rhythm->period_ns / 8) {
        rhythm->period_ns = period_ns;
        rhythm->steady = 0;
        return;
    }
    rhythm->period_ns += (period_ns - rhythm->period_ns) / 8;
    if (off_ns > 2 * guard_limit_ns(rhythm))
        rhythm->steady = rhythm->steady > 4 ? rhythm->steady - 4 : 0;
    else if (rhythm->steady < STEADY_MAX)
        rhythm->steady++;
}

bool rhythm_plan(const struct rhythm *rhythm, struct rhythm_plan *ret_plan)
{
    if (rhythm->steady < STEADY_ENOUGH || rhythm->period_ns < PERIOD_NS_MIN ||
        rhythm->period_ns > PERIOD_NS_MAX)
        return false;
    int64_t due_ns = rhythm->stamp_ns + rhythm->period_ns;
    *ret_plan = (struct rhythm_plan){
        .wake_ns = due_ns - rhythm->guard_ns,
        .give_up_ns = due_ns - rhythm->guard_ns + rhythm->period_ns / RHYTHM_SPIN_PERIODS,
    };
    return true;
}

void rhythm_learn(struct rhythm *rhythm, int64_t spun_ns, bool frame_came)
{
    int64_t limit_ns = guard_limit_ns(rhythm);

    if (!frame_came) {
        /* Spun in vain: a few of these end the spinning until the rhythm is proven again. */
        rhythm->steady = rhythm->steady > 8 ? rhythm->steady - 8 : 0;
        return;
    }
    if (spun_ns == 0)
        rhythm->guard_ns += rhythm->guard_ns / 8;
    else
        rhythm->guard_ns -= (spun_ns - SPIN_NS_WANTED) / 16;
    if (rhythm->guard_ns > limit_ns)
        rhythm->guard_ns = limit_ns;
    if (rhythm->guard_ns < GUARD_NS_MIN)
        rhythm->guard_ns = GUARD_NS_MIN;
}
