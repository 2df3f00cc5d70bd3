/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "hal/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "safety/gate.h"

#define TRIPLE_BYTES 96

/* What was recorded between two readings. The largest value is only known since the start. */
static void difference(const struct histogram *before, const struct histogram *now,
                       struct histogram *ret_histogram)
{
    *ret_histogram = *now;
    ret_histogram->count -= before->count;
    ret_histogram->sum_ns -= before->sum_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        ret_histogram->buckets[i] -= before->buckets[i];
}

static const char *triple(const struct histogram *before, const struct histogram *now,
                          char text[TRIPLE_BYTES])
{
    struct histogram recent;

    difference(before, now, &recent);
    if (recent.count == 0)
        snprintf(text, TRIPLE_BYTES, "{\"p50\":null,\"p99\":null,\"max\":null}");
    else
        snprintf(text, TRIPLE_BYTES, "{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
                 (double)histogram_percentile_ns(&recent, 50) / (double)NS_PER_US,
                 (double)histogram_percentile_ns(&recent, 99) / (double)NS_PER_US,
                 (double)histogram_percentile_ns(&recent, 100) / (double)NS_PER_US);
    return text;
}

size_t hal_report(const char *policy, const struct stats_values *before,
                  const struct stats_values *now, char ret_json[HAL_REPORT_BYTES])
{
    char period[TRIPLE_BYTES];
    char jitter[TRIPLE_BYTES];
    char latency[TRIPLE_BYTES];
    char step[TRIPLE_BYTES];
    int count = snprintf(
        ret_json, HAL_REPORT_BYTES,
        "{\"policy\":\"%.64s\",\"mode\":\"%s\",\"rate_hz\":%" PRIu64
        ",\"period_us\":%s,\"jitter_us\":%s,\"latency_us\":%s,\"step_us\":%s,\"periods\":%" PRIu64
        ",\"overruns\":%" PRIu64 ",\"observations\":%" PRIu64 ",\"missed\":%" PRIu64
        ",\"dropped\":%" PRIu64 ",\"actions\":%" PRIu64 ",\"late\":%" PRIu64 ",\"stale\":%" PRIu64
        ",\"refused\":%" PRIu64 ",\"policy_errors\":%" PRIu64 ",\"stands\":%" PRIu64 "}",
        policy, gate_mode_name((enum gate_mode)now->mode), now->periods - before->periods,
        triple(&before->period, &now->period, period),
        triple(&before->jitter, &now->jitter, jitter),
        triple(&before->latency, &now->latency, latency), triple(&before->step, &now->step, step),
        now->periods, now->overruns, now->observations, now->missed, now->dropped, now->actions,
        now->late, now->stale, now->refused, now->policy_errors, now->stands);

    return (size_t)count;
}
