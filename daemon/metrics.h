/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Prometheus scrapes: counters, gauges, and how long each stage of a frame's way took.
 *
 * Source: docs/deployment.md "Metrics"; the text format 0.0.4. Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_METRICS_H
#define SIMCAST_DAEMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/counters.h"
#include "daemon/hal_metrics.h"
#include "daemon/source.h"

#define METRICS_BOUNDS 14

enum metrics_stage {
    METRICS_RENDER,  /* rendered to published */
    METRICS_WAIT,    /* published to encode begin */
    METRICS_ENCODE,  /* encode begin to end */
    METRICS_PUBLISH, /* encode end to packet published */
    METRICS_WAKE,    /* packet published to taken by simcastd */
    METRICS_FANOUT,  /* taken to offered to every client */
    METRICS_GLASS,   /* published to shown on a viewer's screen, as it says */
    METRICS_STAGE_COUNT,
};

struct metrics_histogram {
    uint64_t buckets[METRICS_BOUNDS + 1]; /* not cumulative; the last holds what is longer */
    uint64_t count;
    int64_t sum_ns;
};

/* How long the stages of one stream's frames took: 952 bytes. Zero it; its stream owns it. */
struct metrics_stages {
    struct metrics_histogram of[METRICS_STAGE_COUNT];
};

/* Zero it; the server owns it. */
struct metrics {
    struct metrics_histogram acks;
    struct hal_metrics hal;
};

/* A stage took this long; a negative time counts as 0. */
void metrics_record(struct metrics_stages *stages, enum metrics_stage stage, int64_t duration_ns);

/* The robot acknowledged a command so long after it came. */
void metrics_record_ack(struct metrics *metrics, int64_t duration_ns);

/* Records all stages of a packet that was taken and offered at these times; unknown ones are not.
 */
void metrics_record_packet(struct metrics_stages *stages, const struct packet *packet,
                           int64_t taken_ns, int64_t offered_ns);

struct metrics_state {
    const struct counters *counters;
    unsigned clients;
    unsigned connections;
    int64_t last_frame_age_ns; /* -1: no frame yet */
    int64_t uptime_ns;
    bool bus_connected;
    bool source_attached;
    const char *gate_mode; /* "ARMED", "HOLD", "ESTOP" */
};

/* Writes what is known of the whole; `file` is memory. */
void metrics_write(FILE *file, const struct metrics *metrics, const struct metrics_state *state);

/*
 * The family simcast_stage_seconds: its head once, then the stages of each stream; `stream` is the
 * name of its ring. Cost: 119 lines, 10 KB and some 20 us for each stream.
 */
void metrics_write_stages_head(FILE *file);
void metrics_write_stages(FILE *file, const char *stream, const struct metrics_stages *stages);

#endif
