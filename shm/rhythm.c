/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's struct alone; cannot fail. */
#include "shm/rhythm.h"

#include <stdlib.h>

#include "base/clock.h"

#define PERIOD_NS_MIN (500 * NS_PER_US)
#define PERIOD_NS_MAX (250 * NS_PER_MS)
#define STEADY_ENOUGH 6u
#define STEADY_MAX 32u
#define GUARD_NS_START (150 * NS_PER_US)
#define GUARD_NS_MIN (20 * NS_PER_US)
#define SPIN_NS_MEAN_MAX (200 * NS_PER_US)

static void forgive(struct rhythm *rhythm)
{
    if (rhythm->steady < STEADY_MAX)
        rhythm->steady++;
}

static void distrust(struct rhythm *rhythm, unsigned by)
{
    rhythm->steady = rhythm->steady > by ? rhythm->steady - by : 0;
}

void rhythm_observe(struct rhythm *rhythm, uint64_t seq, int64_t stamp_ns)
{
    if (rhythm->phase_ns == 0 || seq <= rhythm->seq || stamp_ns <= rhythm->phase_ns) {
        *rhythm = (struct rhythm){.seq = seq, .phase_ns = stamp_ns, .guard_ns = GUARD_NS_START};
        return;
    }
    int64_t frames = (int64_t)(seq - rhythm->seq);
    int64_t off_ns = stamp_ns - (rhythm->phase_ns + frames * rhythm->period_ns);
    if (rhythm->period_ns == 0 || (rhythm->steady == 0 && llabs(off_ns) > rhythm->period_ns / 16)) {
        /* Nothing to go by: take the last interval for the period. */
        rhythm->period_ns = (stamp_ns - rhythm->phase_ns) / frames;
        rhythm->phase_ns = stamp_ns;
    } else if (llabs(off_ns) > rhythm->period_ns / 16) {
        /* An outlier says nothing about the next frame, but something about the source. */
        rhythm->phase_ns += frames * rhythm->period_ns;
        distrust(rhythm, 4);
    } else {
        rhythm->phase_ns += frames * rhythm->period_ns + off_ns / 2;
        rhythm->period_ns += off_ns / frames / 8;
        forgive(rhythm);
    }
    rhythm->seq = seq;
}

bool rhythm_plan(const struct rhythm *rhythm, struct rhythm_plan *ret_plan)
{
    if (rhythm->steady < STEADY_ENOUGH || rhythm->period_ns < PERIOD_NS_MIN ||
        rhythm->period_ns > PERIOD_NS_MAX)
        return false;
    *ret_plan = (struct rhythm_plan){
        .wake_ns = rhythm->phase_ns + rhythm->period_ns - rhythm->guard_ns,
        .spin_ns_max = rhythm->period_ns / RHYTHM_SPIN_PERIODS_MAX,
    };
    return true;
}

void rhythm_learn(struct rhythm *rhythm, int64_t spun_ns, bool frame_came)
{
    int64_t mean_ns = rhythm->period_ns / RHYTHM_SPIN_PERIODS_MEAN;

    if (mean_ns > SPIN_NS_MEAN_MAX)
        mean_ns = SPIN_NS_MEAN_MAX;
    if (!frame_came)
        distrust(rhythm, 8); /* a few of these end the spinning until the rhythm is proven again */
    rhythm->guard_ns += (mean_ns - spun_ns) / 8;
    if (rhythm->guard_ns > rhythm->period_ns / 8)
        rhythm->guard_ns = rhythm->period_ns / 8;
    if (rhythm->guard_ns < GUARD_NS_MIN)
        rhythm->guard_ns = GUARD_NS_MIN;
}
