/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The robots' control loops, for Prometheus: what `telemetry.hal.loop` told last (hal/report.h).
 * The text is a peer's: what does not fit is as if it had not come.
 *
 * Thread: the loop. Cost: taking parses some 2 KB of JSON, once a second for each robot.
 */
#ifndef SIMCAST_DAEMON_HAL_METRICS_H
#define SIMCAST_DAEMON_HAL_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HAL_METRICS_SUBJECT "telemetry.hal.loop"
#define HAL_METRICS_BYTES_MAX 8192
#define HAL_METRICS_ROBOTS 8
#define HAL_METRICS_BOUNDS 32
#define HAL_METRICS_NS_MAX INT64_C(5000000000) /* silent for longer: it is left out */
#define HAL_METRICS_NAME_BYTES 32

enum hal_metrics_time {
    HAL_METRICS_PERIOD,
    HAL_METRICS_JITTER,
    HAL_METRICS_LATENCY,
    HAL_METRICS_REACTION,
    HAL_METRICS_STEP,
    HAL_METRICS_TIME_COUNT,
};

enum { HAL_METRICS_COUNTERS = 11 };

struct hal_metrics_histogram {
    uint64_t buckets[HAL_METRICS_BOUNDS]; /* cumulative */
    uint64_t count;
    double sum_us;
};

struct hal_metrics_robot {
    char stream[HAL_METRICS_NAME_BYTES];
    int64_t taken_ns; /* 0: none */
    unsigned mode;
    unsigned bound_count;
    int64_t bounds_us[HAL_METRICS_BOUNDS];
    struct hal_metrics_histogram times[HAL_METRICS_TIME_COUNT];
    uint64_t counters[HAL_METRICS_COUNTERS];
};

/* Zero it. */
struct hal_metrics {
    struct hal_metrics_robot robots[HAL_METRICS_ROBOTS];
};

/*
 * Takes a message's payload. Errors: -EPROTO it is none; -ENOSPC there are HAL_METRICS_ROBOTS
 * others that still speak.
 */
int hal_metrics_take(struct hal_metrics *metrics, const char *json, size_t json_bytes,
                     int64_t now_ns);

/* Writes the series of those that speak; nothing when there are none. */
void hal_metrics_write(FILE *file, const struct hal_metrics *metrics, int64_t now_ns);

#endif
