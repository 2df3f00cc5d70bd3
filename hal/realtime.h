/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop may ask of the kernel so that it wakes on time. All of it may be refused to an
 * ordinary user; that is said once, with the remedy, and the loop runs without.
 *
 * Thread: the calling thread is the one that is changed.
 */
#ifndef SIMCAST_HAL_REALTIME_H
#define SIMCAST_HAL_REALTIME_H

#include <stdbool.h>

struct realtime {
    int fifo_priority; /* 1 to 99: SCHED_FIFO with it; 0: the ordinary scheduler */
    int cpu;           /* stay on this one; negative: any */
};

/* `name` (at most 15 characters) is the thread's, in logs and in top. */
void realtime_enter(const char *name, const struct realtime *wanted);

/* Keeps the process's pages in memory from now on. */
void realtime_lock_memory(void);

#endif
