/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the bytes that memcpy and its relatives read from one piece of memory: of this program,
 * and of the libraries that it loads, for they use its memcpy. A copy made without a call, such as
 * a loop, is not seen.
 *
 * Thread: one.
 */
#ifndef SIMCAST_BENCH_COPY_COUNTER_H
#define SIMCAST_BENCH_COPY_COUNTER_H

#include <stddef.h>

/* From now on counts copies from there; both counters are 0. */
void copy_counter_watch(const void *bytes, size_t size_bytes);

/* Bytes copied from there, and from anywhere else. */
size_t copy_counter_copied(void);
size_t copy_counter_other(void);

#endif
