/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who watch one stream, in the order in which they are served. Each packet is offered to
 * every one of them straight from the packet's read-only memory.
 *
 * Thread: the loop. Cost of a packet: one send(2) per subscription that takes it. Who needs what is
 * found by a walk over all members, but for audience_watchers.
 */
#ifndef SIMCAST_DAEMON_AUDIENCE_H
#define SIMCAST_DAEMON_AUDIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/client.h"

/* Embed it; the fields belong to audience.c. */
struct audience {
    struct subscription **members;
    size_t count;
    size_t capacity;
    size_t first;      /* who is served first moves on by one per packet */
    unsigned watchers; /* members that are neither held back nor paused */
    uint16_t stream;
    bool streaming;
    uint64_t last_seq;
    unsigned last_codec;
    struct counters *counters;
};

/* `stream`: the id that its clients know it by. `counters` is borrowed. */
void audience_init(struct audience *audience, uint16_t stream, struct counters *counters);

/* Everybody must have left. */
void audience_fini(struct audience *audience);

/*
 * The client watches from now on, from the next keyframe. The subscription lives until
 * audience_leave. Errors: -ENOMEM; -EEXIST it watches already; -EMFILE it watches
 * CLIENT_SUBSCRIPTIONS_MAX streams.
 */
int audience_join(struct audience *audience, struct client *client, int64_t now_ns,
                  struct subscription **ret_subscription);
void audience_leave(struct subscription *subscription);

/* Returns whether the stream broke off here, so that all need a keyframe. */
bool audience_packet(struct audience *audience, const struct packet *packet, int64_t now_ns);

/* To be called when the client was held or let in, or the subscription paused or resumed. */
void audience_count(struct subscription *subscription);

/* How many watch now: those that are held back or paused do not. */
unsigned audience_watchers(const struct audience *audience);

/* The one codec that all of them need; VIDEO_CODEC_NONE: they take any, or need different ones. */
enum video_codec audience_codec_needed(const struct audience *audience);

/* Whether somebody is served over plain HTTP. */
bool audience_serves_http(const struct audience *audience);

/* How long a client that could take a keyframe has been waiting for one; 0: nobody waits. */
int64_t audience_waiting_ns(const struct audience *audience, int64_t now_ns);

#endif
