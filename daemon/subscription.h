/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client watching one stream: decides which of its frames the client gets and when.
 *
 * It starts on a keyframe. At most one frame is in flight per client, over all that it watches:
 * while its socket holds a tail, frames pass it by. So it sees a gap in frame_seq only right before
 * a keyframe (every JPEG is one). Where several streams share a socket that is too slow for them,
 * the one that was served longest ago goes first.
 *
 * A client over plain HTTP gets frames of one codec alone. It is hung up on when the codec changes
 * and after its one picture.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_SUBSCRIPTION_H
#define SIMCAST_DAEMON_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/counters.h"
#include "daemon/source.h"

struct client;
struct audience;

/* Made and ended by audience.h. */
struct subscription {
    struct client *client;
    struct audience *audience;
    size_t index;    /* its place among the audience */
    uint16_t stream; /* the id that frames are marked with */
    bool paused;     /* it wants nothing now */
    bool metadata;   /* it wants what the simulator said about each frame */
    bool in_step;    /* it has frame last_seq, so last_seq + 1 makes sense to it */
    bool started;    /* it ever got a frame */
    bool counted;    /* among its audience's watchers */
    unsigned last_codec;
    uint64_t last_seq;
    uint64_t missed;       /* frames that passed it by since the last one it got */
    uint64_t missed_total; /* that it did not get, ever */
    uint64_t frames;       /* it got, ever */
    uint64_t frame_bytes;  /* their payloads' sum */
    int64_t waiting_ns;    /* since when it lacks a keyframe; 0: it does not */
    int64_t served_ns;     /* when it got its last frame; 0: never */
    int64_t refused_ns;    /* when a useful frame last found the socket busy; 0: never */
};

/* Whether it wants frames: its client is let in, and it is not paused. */
bool subscription_watches(const struct subscription *subscription);

/* A pause ends with a keyframe; what passed meanwhile was not missed. */
void subscription_pause(struct subscription *subscription, bool paused, int64_t now_ns);

/* Offers a frame; the client takes it or counts it as missed. */
void subscription_offer(struct subscription *subscription, const struct packet *packet,
                        int64_t now_ns, struct counters *counters);

#endif
