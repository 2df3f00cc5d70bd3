/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's memory. All texts fit REPORT_BYTES by their formats. */
#include "cli/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/video.h"

#define NUMBER_BYTES 32

static double to_ms(int64_t duration_ns)
{
    return (double)duration_ns / (double)NS_PER_MS;
}

static double to_s(int64_t duration_ns)
{
    return (double)duration_ns / (double)NS_PER_S;
}

void report_status(const struct report_status *status, char text[REPORT_BYTES])
{
    const struct health *health = &status->health;
    char latency[64] = "";
    char reason[HEALTH_TEXT_BYTES + 4] = "";

    if (!status->answering) {
        snprintf(text, REPORT_BYTES, "%4.0f s  waiting for simcastd", to_s(status->elapsed_ns));
        return;
    }
    if (health->clients == 0) {
        snprintf(text, REPORT_BYTES, "%4.0f s  nobody watches, so nothing is rendered",
                 to_s(status->elapsed_ns));
        return;
    }
    if (status->seen->width == 0) {
        snprintf(text, REPORT_BYTES, "%4.0f s  waiting for the first frame",
                 to_s(status->elapsed_ns));
        return;
    }
    if (status->p50_ns > 0)
        snprintf(latency, sizeof(latency), "  %s in %.1f ms", status->to_viewer ? "seen" : "coded",
                 to_ms(status->p50_ns));
    bool armed = strcmp(health->gate, "ARMED") == 0;
    if (!armed && health->gate_reason[0] != '\0')
        snprintf(reason, sizeof(reason), " (%s)", health->gate_reason);
    snprintf(text, REPORT_BYTES,
             "%4.0f s  %5.1f fps%s  %s %" PRIu32 "x%" PRIu32 "  %u viewer%s  %s%s",
             to_s(status->elapsed_ns), status->fps, latency, video_codec_name(status->seen->codec),
             status->seen->width, status->seen->height, health->clients,
             health->clients == 1 ? "" : "s", health->gate, reason);
}

static const char *percentile(const struct measure *measure, enum measure_stage stage,
                              double percent, char text[NUMBER_BYTES])
{
    const struct histogram *histogram = &measure->stages[stage];

    if (histogram->count == 0)
        snprintf(text, NUMBER_BYTES, "null");
    else
        snprintf(text, NUMBER_BYTES, "%.3f", to_ms(histogram_percentile_ns(histogram, percent)));
    return text;
}

/* Adds to a text that fits. */
static void append(char text[REPORT_BYTES], const char *format, ...) LOG_PRINTF(2);

static void append(char text[REPORT_BYTES], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + used, REPORT_BYTES - used, format, arguments);
    va_end(arguments);
}

void report_json(const struct measure *measure, const struct observation *seen,
                 const struct walk_result *walk, char text[REPORT_BYTES])
{
    char stages[MEASURE_STAGE_COUNT][NUMBER_BYTES];
    char p99[NUMBER_BYTES];

    for (unsigned i = 0; i < MEASURE_STAGE_COUNT; i++)
        percentile(measure, (enum measure_stage)i, 50, stages[i]);
    snprintf(text, REPORT_BYTES,
             "{\"frames_rendered\":%" PRIu64 ",\"frames_encoded\":%" PRIu64
             ",\"frames_delivered\":%" PRIu64 ",\"fps\":%.2f,\"torn_frames\":%" PRIu64
             ",\"latency_ms\":{\"p50\":%s,\"p99\":%s}"
             ",\"stages_ms\":{\"ring\":%s,\"encode\":%s,\"packet\":%s,\"fanout\":%s}"
             ",\"codec\":\"%s\",\"resolution\":\"%" PRIu32 "x%" PRIu32 "\"",
             seen->frames_rendered, seen->frames_encoded, measure->frames, measure_fps(measure),
             measure->torn, stages[MEASURE_LATENCY], percentile(measure, MEASURE_LATENCY, 99, p99),
             stages[MEASURE_RING], stages[MEASURE_ENCODE], stages[MEASURE_PACKET],
             stages[MEASURE_FANOUT], video_codec_name(measure->codec), seen->width, seen->height);
    if (walk)
        append(text, ",\"distance_m\":%.2f,\"falls\":%" PRIu64 ",\"actions\":%" PRIu64,
               walk->distance_m, walk->falls, walk->actions);
    append(text, "}");
}

void report_summary(const struct measure *measure, const struct observation *seen,
                    const struct walk_result *walk, char text[REPORT_BYTES])
{
    char stages[MEASURE_STAGE_COUNT][NUMBER_BYTES];
    char p99[NUMBER_BYTES];

    for (unsigned i = 0; i < MEASURE_STAGE_COUNT; i++)
        percentile(measure, (enum measure_stage)i, 50, stages[i]);
    snprintf(text, REPORT_BYTES,
             "%" PRIu64 " frames rendered, %" PRIu64 " encoded, %" PRIu64
             " delivered at %.1f fps (%s, %" PRIu32 "x%" PRIu32 "), %" PRIu64 " torn\n"
             "latency: p50 %s ms, p99 %s ms; at p50: ring %s, encode %s, packet %s, fan-out %s ms",
             seen->frames_rendered, seen->frames_encoded, measure->frames, measure_fps(measure),
             video_codec_name(measure->codec), seen->width, seen->height, measure->torn,
             stages[MEASURE_LATENCY], percentile(measure, MEASURE_LATENCY, 99, p99),
             stages[MEASURE_RING], stages[MEASURE_ENCODE], stages[MEASURE_PACKET],
             stages[MEASURE_FANOUT]);
    if (walk)
        append(text, "\nwalked %.2f m by %" PRIu64 " actions, fell %" PRIu64 " times",
               walk->distance_m, walk->actions, walk->falls);
}
