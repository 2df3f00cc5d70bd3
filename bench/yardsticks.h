/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ring is measured against, one file each, and the ring itself in the same shape.
 *
 * Thread: see bench/delivery.h.
 */
#ifndef SIMCAST_BENCH_YARDSTICKS_H
#define SIMCAST_BENCH_YARDSTICKS_H

#include <stddef.h>
#include <stdint.h>

#include "bench/delivery.h"

/* The ring; its consumer waits with ring_consumer_wait. */
extern const struct courier courier_ring;

/* The ring; its consumer calls ring_acquire again and again. */
extern const struct courier courier_ring_polled;

/* The least that waking another process costs: a write to an eventfd, a blocking read. No bytes. */
extern const struct courier courier_eventfd;

/*
 * ZeroMQ PUSH to PULL over ipc://. The picture is drawn into the message itself, so that ZeroMQ
 * need not copy it once more than it must.
 */
extern const struct courier courier_zeromq;

/* GStreamer: appsrc ! shmsink to shmsrc ! appsink; the picture is drawn into shmsink's memory. */
extern const struct courier courier_gst;

/* Why courier_gst cannot run here and what to install; NULL: it can. */
const char *yardstick_gst_missing(void);

/* Copies pictures into some places in turn. Zero-initialised: closed. */
struct yardstick_memcpy {
    char *places;
    size_t picture_bytes;
    unsigned place_count;
    unsigned next;
};

/* Errors: -ENOMEM. */
int yardstick_memcpy_open(struct yardstick_memcpy *copier, size_t picture_bytes, unsigned places);
void yardstick_memcpy_copy(struct yardstick_memcpy *copier, const void *picture);
/* Also after an open that failed. */
void yardstick_memcpy_close(struct yardstick_memcpy *copier);

#endif
