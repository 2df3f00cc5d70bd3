/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's struct. Time that runs backwards counts as no time. */
#include "encoder/pace.h"

#include "base/clock.h"

#define FPS_ASSUMED 30
#define FPS_MAX 240
#define WINDOW_NS (NS_PER_S / 2)
#define PAUSE_NS (2 * NS_PER_S)

void pace_init(struct pace *pace)
{
    *pace = (struct pace){.rate_fps = FPS_ASSUMED};
}

void pace_limit(struct pace *pace, unsigned fps_max)
{
    pace->period_ns = fps_max > 0 ? NS_PER_S * 20 / 21 / fps_max : 0;
    pace->credit_ns = pace->period_ns;
}

unsigned pace_rate_fps(const struct pace *pace)
{
    return pace->rate_fps;
}

static void measure(struct pace *pace, int64_t now_ns, int64_t since_last_ns)
{
    int64_t elapsed_ns = now_ns - pace->window_begin_ns;

    if (pace->last_ns == 0 || since_last_ns > PAUSE_NS) {
        pace->window_begin_ns = now_ns;
        pace->window_frames = 0;
        return;
    }
    pace->window_frames++;
    if (elapsed_ns < WINDOW_NS)
        return;
    int64_t fps = (pace->window_frames * NS_PER_S + elapsed_ns / 2) / elapsed_ns;
    if (fps < 1)
        fps = 1;
    if (fps > FPS_MAX)
        fps = FPS_MAX;
    int64_t change = fps - (int64_t)pace->rate_fps;
    if ((change < 0 ? -change : change) * 8 > (int64_t)pace->rate_fps)
        pace->rate_fps = (unsigned)fps;
    pace->window_begin_ns = now_ns;
    pace->window_frames = 0;
}

/*
 * A frame is taken at half a period of credit, so one that comes early is not lost; what it
 * lacks is missing later, so the mean holds. Credit for more than one and a half periods
 * lapses: after a pause there is no burst.
 */
static bool afford(struct pace *pace, int64_t since_last_ns)
{
    if (pace->period_ns == 0)
        return true;
    pace->credit_ns += since_last_ns;
    if (pace->credit_ns > pace->period_ns * 3 / 2)
        pace->credit_ns = pace->period_ns * 3 / 2;
    if (pace->credit_ns < pace->period_ns / 2)
        return false;
    pace->credit_ns -= pace->period_ns;
    return true;
}

bool pace_take(struct pace *pace, int64_t now_ns)
{
    int64_t since_last_ns = pace->last_ns > 0 ? now_ns - pace->last_ns : 0;

    if (since_last_ns < 0)
        since_last_ns = 0;
    if (since_last_ns > PAUSE_NS * 2)
        since_last_ns = PAUSE_NS * 2; /* keeps the sums far from overflow */
    bool taken = afford(pace, since_last_ns);
    if (taken)
        measure(pace, now_ns, since_last_ns);
    pace->last_ns = now_ns;
    return taken;
}
