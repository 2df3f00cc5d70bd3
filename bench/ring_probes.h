/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What case `ring` measures besides deliveries: what a publish costs, and what misbehaving
 * consumers cost.
 *
 * Thread: one, which must have started no others (they fork).
 */
#ifndef SIMCAST_BENCH_RING_PROBES_H
#define SIMCAST_BENCH_RING_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

#define RING_PROBES_IDLE_MAX 16

/*
 * ring_loan and ring_publish together, in bursts, while so many attached consumers do something
 * else; one sample per burst: the average call.
 */
int ring_loan_publish(const char *dir, unsigned consumers, struct histogram *ret_calls);

/* ring_publish alone, while so many consumers wait, each in a process of its own. */
int ring_publish_to_waiting(const char *dir, unsigned consumers, bool brief,
                            struct histogram *ret_calls);

/* Nanoseconds for one 1080p picture. */
struct ring_flood {
    struct histogram frames; /* loaned, filled by memcpy, published */
    struct histogram copies; /* filled by memcpy alone */
};

/* Publishes without pause while one consumer takes what it can; copies in between. */
int ring_flood(const char *dir, struct ring_flood *ret_flood);

/*
 * A consumer that holds a lease is stopped for a second while frames are published at 120 Hz.
 * Each loan and publish is a sample; ret_age_ns is how old its first frame was afterwards.
 */
int ring_stopped_consumer(const char *dir, struct histogram *ret_calls, int64_t *ret_age_ns);

/*
 * Consumers that hold a lease are killed; a sample is the time from the kill until the producer
 * was lent the slot again.
 */
int ring_killed_consumers(const char *dir, unsigned kills, struct histogram *ret_reclaims);

#endif
