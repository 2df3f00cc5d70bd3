/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches a stream's two rings without asking for frames, so nothing is rendered or encoded on
 * its account: how many there were, and what the newest packet says about itself.
 *
 * Thread: one. Cost: observer_look is some loads from shared memory, and a lease held for as long
 * as it takes to copy one struct.
 */
#ifndef SIMCAST_CLI_OBSERVER_H
#define SIMCAST_CLI_OBSERVER_H

#include <stdint.h>

struct observer;

struct observation {
    uint64_t frames_rendered; /* published by the simulator, summed over its restarts */
    uint64_t frames_encoded;  /* published by the encoder, likewise */
    unsigned codec;           /* enum video_codec of the newest packet; 0 before the first */
    uint32_t width;           /* pixels; likewise */
    uint32_t height;
    int64_t to_packet_ns; /* of the newest packet: frame published to packet published */
};

/* Neither ring need exist yet. Errors: as ring_consumer_open. */
int observer_open(const char *ipc_dir, const char *stream, struct observer **ret_observer);

/* Takes NULL. */
void observer_close(struct observer *observer);

/* Call it a few times a second: a ring that is restarted twice between two looks is miscounted. */
void observer_look(struct observer *observer);

/* What all looks saw so far. Borrowed; changes with each look. */
const struct observation *observer_seen(const struct observer *observer);

#endif
