/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HAL's telemetry, twice once a second.
 *
 * `telemetry.hal.stats`, for people, about the second since the last one:
 *
 *   {"policy","mode","rate_hz","period_us":{"p50","p99","max"},"jitter_us":{...},
 *    "latency_us":{...},"reaction_us":{...},"step_us":{...},"periods","overruns","observations",
 *    "missed","dropped","actions","late","stale","refused","policy_errors","stands"}
 *
 * Times are microseconds. p50, p99 and max are of the values since the last one, null where there
 * were none, and at most 3.2% too large (base/histogram.h). Counts are since the start.
 *
 * `telemetry.hal.loop`, for whoever collects, about all since the start:
 *
 *   {"stream","policy","mode","bounds_us":[10,...],"period":{"buckets":[...],"count","sum_us"},
 *    "jitter":{...},"latency":{...},"reaction":{...},"step":{...},"periods",... as above}
 *
 * A bucket counts the values up to its bound, so that buckets only grow to the right; those beyond
 * the last bound are in count alone.
 *
 * Thread: any. Cost: walks five histograms.
 */
#ifndef SIMCAST_HAL_REPORT_H
#define SIMCAST_HAL_REPORT_H

#include <stddef.h>

#include "hal/stats.h"

#define HAL_REPORT_SUBJECT "telemetry.hal.stats"
#define HAL_REPORT_BYTES 1536
#define HAL_LOOP_SUBJECT "telemetry.hal.loop"
#define HAL_LOOP_BYTES 6144

/* Writes the difference of two readings, NUL-terminated; returns its bytes. */
size_t hal_report(const char *policy, const struct stats_values *before,
                  const struct stats_values *now, char ret_json[HAL_REPORT_BYTES]);

/* Writes all that a reading holds, NUL-terminated; returns its bytes. */
size_t hal_report_loop(const char *stream, const char *policy, const struct stats_values *now,
                       char ret_json[HAL_LOOP_BYTES]);

#endif
