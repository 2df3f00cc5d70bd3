/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings as benchmarks need them: one stream in the run's directory, pictures of 1080p, consumers
 * that are attached when the call returns.
 *
 * Thread: one per ring end.
 */
#ifndef SIMCAST_BENCH_RING_KIT_H
#define SIMCAST_BENCH_RING_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "shm/ring.h"

/* Errors: those of ring_producer_open. */
int ring_kit_produce(const char *dir, size_t picture_bytes, unsigned leases_max,
                     struct ring_producer **ret_producer);

/* Loans, stamps and publishes; the picture's bytes stay what they were. Returns seq or an error. */
int64_t ring_kit_publish(struct ring_producer *producer, size_t picture_bytes);

/*
 * Opens a consumer that wants frames and waits until the producer has taken it in, for at most
 * 5 s. NULL: it did not.
 */
struct ring_consumer *ring_kit_attach(const char *dir, unsigned leases);

#endif
