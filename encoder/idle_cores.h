/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many cores of this machine have nothing to do at this moment, so that work is shared only
 * among threads that need not wait or make others wait. It is the number of runnable threads that
 * the kernel tells in /proc/loadavg; where that cannot be read, all cores count as idle.
 *
 * Thread: any, one per struct. Cost: one pread, 2 us.
 */
#ifndef SIMCAST_ENCODER_IDLE_CORES_H
#define SIMCAST_ENCODER_IDLE_CORES_H

#define IDLE_CORES_FILE "/proc/loadavg"

struct idle_cores {
    int fd;         /* -1: it cannot be told */
    unsigned cores; /* that this process may use */
};

/* `file` is IDLE_CORES_FILE but in tests. */
void idle_cores_open(struct idle_cores *idle, const char *file);
void idle_cores_close(struct idle_cores *idle);

/* Cores for further threads beside the calling one: 0 to cores - 1. */
unsigned idle_cores_count(const struct idle_cores *idle);

#endif
