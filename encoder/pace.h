/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames to encode: at most `fps_max` per second of a source whose timing jitters, and how
 * many that turn out to be, for rate control. A source that runs at the limit loses no frame,
 * neither to jitter of half a period nor to a clock that is up to 5% fast.
 *
 * Thread: any, one caller. Cost: arithmetic; the caller brings the time.
 */
#ifndef SIMCAST_ENCODER_PACE_H
#define SIMCAST_ENCODER_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int64_t period_ns; /* the shortest mean distance of frames; 0: take every frame */
    int64_t credit_ns; /* a frame costs one period */
    int64_t last_ns;   /* time of the last frame offered; 0: none yet */
    int64_t window_begin_ns;
    unsigned window_frames;
    unsigned rate_fps;
};

/* Starts over with no limit and an assumed rate of 30. */
void pace_init(struct pace *pace);

/* 1 to 240, or 0: no limit. */
void pace_limit(struct pace *pace, unsigned fps_max);

/* Whether to encode the frame that was made at `now_ns` (CLOCK_MONOTONIC). */
bool pace_take(struct pace *pace, int64_t now_ns);

/* Frames taken per second, 1 to 240, steady: it follows changes of more than an eighth. */
unsigned pace_rate_fps(const struct pace *pace);

#endif
