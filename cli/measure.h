/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a viewer received, checked and measured: every message of one or more connections goes
 * through measure_message in order.
 *
 * A frame counts as torn when any of its promises is broken: message type, length and codec fit
 * each other; the CRC-32 holds; its FRAME_INFO came right before it; each connection starts on a
 * keyframe; frame_seq grows by one, and by more only right before a keyframe.
 *
 * Stages and latency come from the stamps in FRAME_INFO and the caller's clock, so both ends
 * must share CLOCK_MONOTONIC: one host.
 *
 * Thread: one at a time. Cost: one pass over each picture for its CRC, no allocation.
 */
#ifndef SIMCAST_CLI_MEASURE_H
#define SIMCAST_CLI_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "proto/viewer.h"

enum measure_stage {
    MEASURE_RING,    /* frame published to encode begin */
    MEASURE_ENCODE,  /* encode begin to encode end */
    MEASURE_PACKET,  /* encode end to packet published */
    MEASURE_FANOUT,  /* packet published to the last byte received */
    MEASURE_LATENCY, /* frame published to the last byte received */
    MEASURE_STAGE_COUNT,
};

/* Zero-initialise it. Readers may look at everything; measure.c writes. */
struct measure {
    uint64_t frames;      /* delivered and whole */
    uint64_t torn;        /* delivered and broken; the rules are above */
    uint64_t missed;      /* skipped by the server for this client, as FRAME_INFO told */
    uint64_t connections; /* that were opened */
    int64_t first_ns;     /* arrival of the first whole frame; 0: none yet */
    int64_t last_ns;      /* arrival of the newest */
    unsigned codec;       /* enum video_codec of the newest */
    const char *torn_why; /* the last broken promise, a string constant; NULL: none */
    struct histogram stages[MEASURE_STAGE_COUNT];

    /* The connection that is open now. */
    bool at_start;
    bool has_info;
    struct frame_info info;
    uint64_t frame_seq;
};

/* A connection was opened: its first frame must be a keyframe. */
void measure_connected(struct measure *measure);

/* A whole binary message that arrived at now_ns. Other types than FRAME_INFO and VIDEO pass by. */
void measure_message(struct measure *measure, const uint8_t *message, size_t message_bytes,
                     int64_t now_ns);

/* Frames per second from the first to the newest frame; 0 before the second. */
double measure_fps(const struct measure *measure);

#endif
