/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flows backwards: whether video is wanted at all, keyframe requests (at most one per
 * coalescing time, a later one waits), and settings. They go to the encoder through the ring and,
 * for a simulator that encodes by itself, to the bus.
 *
 * Video is wanted while a client is connected, while somebody drives the robot over the bus, and
 * always when it comes from the legacy slot, whose writer cannot be told.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_DEMAND_H
#define SIMCAST_DAEMON_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "daemon/fanout.h"
#include "daemon/source.h"

/* Embed it; the fields below the first blank line belong to demand.c. */
struct demand {
    struct bus *bus;
    struct fanout *fanout;
    struct source *source;
    struct counters *counters;
    int64_t coalesce_ns;
    int64_t timeout_ns;

    bool wanted;
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

/* Asks for what is due; returns whether `wanted` changed. Call it often, at least every 50 ms. */
bool demand_update(struct demand *demand, int64_t now_ns);

#endif
