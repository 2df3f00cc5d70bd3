/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures sent from one process to another, and how long each took: the same loop for the
 * ring and for everything that it is measured against.
 *
 * The sender fills the picture first, where the courier's users would draw it, then sleeps until
 * it is due, stamps it and hands it over. The receiver takes the clock once it may read the
 * picture. So the latency is that of the hand-over, not of drawing.
 *
 * Each side has its half of the cores. Where a scheduler puts both on one core, a receiver that
 * was woken waits until the sender has drawn its next picture, whatever carried the last one.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_DELIVERY_H
#define SIMCAST_BENCH_DELIVERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

#define DELIVERY_1080P_BYTES ((size_t)1920 * 1080 * 3) /* RGB24 */

enum delivery_rhythm {
    DELIVERY_STEADY, /* one every gap */
    DELIVERY_RANDOM, /* gaps without memory (exponential), gap_ns on average, 5 * gap_ns at most */
    DELIVERY_SPIN,   /* one every gap, and the sender spins instead of sleeping */
};

struct delivery;

/* One way to carry pictures. Functions return 0 or a negative errno. */
struct courier {
    /* In the sender before the fork; may be NULL. What both sides share goes to delivery->state. */
    int (*prepare)(struct delivery *delivery);
    /* In the sender after the fork. */
    int (*open)(struct delivery *delivery);
    /* Where the next picture is to be written: picture_bytes bytes. NULL: no room just now. */
    void *(*canvas)(struct delivery *delivery);
    /* Stamps the picture on the canvas with the time and hands it over. */
    int (*send)(struct delivery *delivery);
    /* Takes everything back; also after a prepare or open that failed, and without them. */
    void (*close)(struct delivery *delivery);
    /*
     * In the receiver, until delivery_over: says delivery_ready once, and delivery_arrived for
     * each picture. Must look at delivery_over every 100 ms at least, or be woken by close.
     */
    int (*receive)(struct delivery *delivery);
};

/* Memory of both sides. */
struct delivery_shared {
    _Atomic uint32_t ready;
    _Atomic uint32_t over;
    _Atomic uint32_t arrivals; /* warming up included */
    _Atomic int64_t stamp_ns;  /* for couriers that carry no bytes */
    struct histogram latency;
    int64_t receiver_cpu_ns;
    int64_t receiver_wall_ns;
    int error; /* the sender's */
};

struct delivery {
    const struct courier *courier;
    const char *dir; /* for sockets */
    size_t picture_bytes;
    unsigned pictures; /* that count */
    unsigned warm_up;  /* before them */
    enum delivery_rhythm rhythm;
    int64_t gap_ns;
    uint64_t seed;

    void *state;                    /* the courier's */
    struct delivery_shared *shared; /* set by delivery_run */
};

struct delivery_result {
    struct histogram latency; /* handed over to readable */
    double receiver_core_percent;
};

/*
 * Runs it. Errors: what the courier said; -ETIMEDOUT the receiver did not get ready, or less than
 * a twentieth of the pictures arrived. Couriers may skip pictures when
 * the receiver is kept from running; what arrived counts.
 */
int delivery_run(struct delivery *delivery, struct delivery_result *ret_result);

/* For receivers. */
void delivery_ready(struct delivery *delivery);
void delivery_arrived(struct delivery *delivery, int64_t stamp_ns);
bool delivery_over(const struct delivery *delivery);

#endif
