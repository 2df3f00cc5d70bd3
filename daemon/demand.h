/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows backwards: whether video is wanted at all, keyframe requests (at most one per
 * coalescing time, a later one waits), and settings. They go to the encoder through the ring and,
 * for a simulator that encodes by itself, to the bus. There is one of these for each stream.
 *
 * Video is wanted while somebody watches it. The default stream is also wanted while somebody
 * drives the robot over the bus, and always when it comes from the legacy slot, whose writer cannot
 * be told.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_DEMAND_H
#define SIMCAST_DAEMON_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "daemon/audience.h"
#include "daemon/source.h"

/* Embed it; the fields below the first blank line belong to demand.c. */
struct demand {
    struct bus *bus;
    bool ring_only; /* the bus is not told: it knows of the default stream alone */
    struct audience *audience;
    struct source *source;
    struct counters *counters;
    int64_t coalesce_ns;
    int64_t timeout_ns;

    bool wanted;      /* the camera is: this stream or another rendition of it */
    bool ring_wanted; /* this stream is */
    bool renditions_watched;
    bool keyframe_due;
    int64_t keyframe_ns; /* last request; 0: none */
    int64_t motion_ns;   /* last foreign motion command; 0: none */
    struct stream_settings settings;
};

/* Somebody needs a keyframe. */
void demand_keyframe(struct demand *demand, int64_t now_ns);

/* A keyframe came: what was still to be asked for is here. */
void demand_satisfied(struct demand *demand);

void demand_settings(struct demand *demand, const struct stream_settings *settings);

/* Somebody drives over the bus. */
void demand_motion(struct demand *demand, int64_t now_ns);

/* Whether somebody watches other renditions of this camera: then it is wanted, its ring is not. */
void demand_renditions(struct demand *demand, bool watched);

/* Asks for what is due; returns whether `wanted` changed. Call it often, at least every 50 ms. */
bool demand_update(struct demand *demand, int64_t now_ns);

#endif
