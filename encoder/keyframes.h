/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the next picture must be a keyframe: at once after a loss or a change, within 500 ms when
 * somebody asks (many who ask at once share one), and every 2 s for viewers that never ask, unless
 * the pictures renew themselves (intra refresh).
 *
 * Thread: any, one caller. Cost: arithmetic; the caller brings the time.
 */
#ifndef SIMCAST_ENCODER_KEYFRAMES_H
#define SIMCAST_ENCODER_KEYFRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define KEYFRAMES_COALESCE_NS (500 * NS_PER_MS)
/* Leaves room to wait for the next frame, so that 2 s hold down to 10 fps. */
#define KEYFRAMES_INTERVAL_NS (1900 * NS_PER_MS)

struct keyframes {
    int64_t last_ns; /* when the last one was coded */
    bool needed;     /* nothing else can be decoded */
    bool asked;      /* somebody waits for one */
    bool endless;    /* none is due for its age alone */
};

/* The first picture is a keyframe. */
static inline void keyframes_init(struct keyframes *keyframes)
{
    *keyframes = (struct keyframes){.needed = true};
}

static inline void keyframes_need(struct keyframes *keyframes)
{
    keyframes->needed = true;
}

static inline void keyframes_ask(struct keyframes *keyframes)
{
    keyframes->asked = true;
}

static inline bool keyframes_due(const struct keyframes *keyframes, int64_t now_ns)
{
    int64_t age_ns = now_ns - keyframes->last_ns;

    return keyframes->needed || (!keyframes->endless && age_ns >= KEYFRAMES_INTERVAL_NS) ||
           (keyframes->asked && age_ns >= KEYFRAMES_COALESCE_NS);
}

static inline void keyframes_coded(struct keyframes *keyframes, int64_t now_ns)
{
    *keyframes = (struct keyframes){.last_ns = now_ns, .endless = keyframes->endless};
}

#endif
