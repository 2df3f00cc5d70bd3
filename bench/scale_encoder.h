/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-encoder with as many cameras as wanted, of any size and rate: this process is the
 * simulator of all of them and takes their packets. It draws each slot once, so that what it does
 * itself is next to nothing.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_SCALE_ENCODER_H
#define SIMCAST_BENCH_SCALE_ENCODER_H

#include <stdint.h>

#include "base/histogram.h"

#define SCALE_STREAMS_MAX 16

struct scale_work {
    const char *dir;   /* for sockets */
    const char *codec; /* "jpeg" or "h264" */
    unsigned streams;
    uint32_t width; /* of the test pattern, RGB24 */
    uint32_t height;
    unsigned fps;
    int64_t during_ns; /* how long it is measured */
};

struct scale_cost {
    double core_percent; /* of the encoder, all its threads together */
    double fps;          /* packets per second of the stream that got fewest */
    struct histogram encode;
    uint64_t memory_bytes; /* of the encoder, the rings that it maps included */
};

/* Errors: -ETIMEDOUT the encoder does not come; -ENOMEM; those of ring_producer_open. */
int scale_encode(const struct scale_work *work, struct scale_cost *ret_cost);

#endif
