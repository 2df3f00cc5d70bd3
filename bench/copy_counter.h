/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the bytes that memcpy and its relatives read from watched pieces of memory: of this
 * program, and of the libraries that it loads, for they use its memcpy. A copy made without a
 * call, such as a loop, is not seen.
 *
 * Thread: one watches; any may copy meanwhile and be counted.
 */
#ifndef SIMCAST_BENCH_COPY_COUNTER_H
#define SIMCAST_BENCH_COPY_COUNTER_H

#include <stdbool.h>
#include <stddef.h>

/* From now on counts copies from there, and from nowhere else; both counters are 0. */
void copy_counter_watch(const void *bytes, size_t size_bytes);

/* And from there, which overlaps with no other. Returns false when there are too many, over 64. */
bool copy_counter_watch_also(const void *bytes, size_t size_bytes);

/* Bytes copied from what is watched, and from anywhere else. */
size_t copy_counter_copied(void);
size_t copy_counter_other(void);

#endif
