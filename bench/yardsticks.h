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

/* Copies a picture of so many bytes `pictures` times, into `buffers` places in turn. */
int yardstick_memcpy(size_t picture_bytes, unsigned buffers, unsigned pictures, int64_t *ret_ns);

#endif
