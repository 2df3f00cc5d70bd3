/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks. Inside simcast every duration and every stage stamp is CLOCK_MONOTONIC nanoseconds;
 * wall time appears only in logs, records and identifiers that must grow over restarts.
 *
 * Thread: any. Cost: a vDSO call, never a system call on the platforms we ship.
 */
#ifndef SIMCAST_BASE_CLOCK_H
#define SIMCAST_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* CLOCK_MONOTONIC, nanoseconds since an arbitrary point shared by all processes of this boot. */
int64_t clock_now_ns(void);

/* CLOCK_REALTIME, nanoseconds since 1970-01-01 UTC. Never use it to measure a duration. */
int64_t clock_wall_ns(void);

#endif
