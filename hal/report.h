/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HAL's telemetry: `telemetry.hal.stats`, once a second, about the time since the last one.
 *
 *   {"policy","mode","rate_hz","period_us":{"p50","p99","max"},"jitter_us":{...},
 *    "latency_us":{...},"step_us":{...},"periods","overruns","observations","missed","dropped",
 *    "actions","late","stale","refused","policy_errors","stands"}
 *
 * Times are microseconds, counts are since the start; percentiles of nothing are null.
 *
 * Thread: any. Cost: walks four histograms.
 */
#ifndef SIMCAST_HAL_REPORT_H
#define SIMCAST_HAL_REPORT_H

#include <stddef.h>

#include "hal/stats.h"

#define HAL_REPORT_SUBJECT "telemetry.hal.stats"
#define HAL_REPORT_BYTES 1536

/* Writes the difference of two readings, NUL-terminated; returns its bytes. */
size_t hal_report(const char *policy, const struct stats_values *before,
                  const struct stats_values *now, char ret_json[HAL_REPORT_BYTES]);

#endif
