/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail: the buffers hold the longest texts. */
#include "hal/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "safety/gate.h"

#define NAME_LETTERS_MAX 64
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name;
    size_t offset;
} histograms[] = {
    {"period", offsetof(struct stats_values, period)},
    {"jitter", offsetof(struct stats_values, jitter)},
    {"latency", offsetof(struct stats_values, latency)},
    {"reaction", offsetof(struct stats_values, reaction)},
    {"step", offsetof(struct stats_values, step)},
};

/* The rates in use, 1000 to 100 Hz, lie in the middle of a bucket. */
static const int64_t bounds_us[] = {10,   15,    25,    40,    60,    100,   150,   250,
                                    400,  600,   900,   1100,  1500,  2500,  4000,  6000,
                                    9000, 11000, 15000, 25000, 40000, 60000, 100000};

/* What is written so far, and the room for it. */
struct text {
    char *at;
    size_t used;
    size_t bytes;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int count = vsnprintf(text->at + text->used, text->bytes - text->used, format, arguments);
    va_end(arguments);
    assert(count >= 0 && (size_t)count < text->bytes - text->used);
    text->used += (size_t)count;
}

/* A shared object chose it: what JSON would have to escape becomes '?'. */
static void put_name(struct text *text, const char *name)
{
    for (unsigned i = 0; name[i] != '\0' && i < NAME_LETTERS_MAX; i++) {
        bool plain = name[i] >= ' ' && name[i] <= '~' && name[i] != '"' && name[i] != '\\';
        put(text, "%c", plain ? name[i] : '?');
    }
}

static const struct histogram *histogram_at(const struct stats_values *values, size_t offset)
{
    return (const struct histogram *)(const void *)((const char *)values + offset);
}

static void put_counts(struct text *text, const struct stats_values *now)
{
    put(text,
        ",\"periods\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"observations\":%" PRIu64
        ",\"missed\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"actions\":%" PRIu64 ",\"late\":%" PRIu64
        ",\"stale\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"policy_errors\":%" PRIu64
        ",\"stands\":%" PRIu64 "}",
        now->periods, now->overruns, now->observations, now->missed, now->dropped, now->actions,
        now->late, now->stale, now->refused, now->policy_errors, now->stands);
}

/* ---- for people ------------------------------------------------------------------------------ */

/*
 * What was recorded between two readings. Its max_ns is that since the start; percentile 100 is the
 * interval's own, to the upper edge of its bucket.
 */
static void difference(const struct histogram *before, const struct histogram *now,
                       struct histogram *ret_histogram)
{
    *ret_histogram = *now;
    ret_histogram->count -= before->count;
    ret_histogram->sum_ns -= before->sum_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        ret_histogram->buckets[i] -= before->buckets[i];
}

static double percentile_us(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile_ns(histogram, percent) / (double)NS_PER_US;
}

static void put_percentiles(struct text *text, const char *name, const struct histogram *recent)
{
    if (recent->count == 0)
        put(text, ",\"%s_us\":{\"p50\":null,\"p99\":null,\"max\":null}", name);
    else
        put(text, ",\"%s_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
            percentile_us(recent, 50), percentile_us(recent, 99), percentile_us(recent, 100));
}

/* NOLINTBEGIN(readability-non-const-parameter): written by way of `text` */
size_t hal_report(const char *policy, const struct stats_values *before,
                  const struct stats_values *now, char ret_json[HAL_REPORT_BYTES])
/* NOLINTEND(readability-non-const-parameter) */
{
    struct text text = {.at = ret_json, .bytes = HAL_REPORT_BYTES};
    struct histogram recent;

    put(&text, "{\"policy\":\"");
    put_name(&text, policy);
    put(&text, "\",\"mode\":\"%s\",\"rate_hz\":%" PRIu64, gate_mode_name((enum gate_mode)now->mode),
        now->periods - before->periods);
    for (size_t i = 0; i < LENGTH(histograms); i++) {
        size_t offset = histograms[i].offset;
        difference(histogram_at(before, offset), histogram_at(now, offset), &recent);
        put_percentiles(&text, histograms[i].name, &recent);
    }
    put_counts(&text, now);
    return text.used;
}

/* ---- for whoever collects -------------------------------------------------------------------- */

static void put_histogram(struct text *text, const char *name, const struct histogram *histogram)
{
    put(text, ",\"%s\":{\"buckets\":[", name);
    for (size_t i = 0; i < LENGTH(bounds_us); i++)
        put(text, "%s%" PRIu64, i ? "," : "",
            histogram_count_to(histogram, bounds_us[i] * NS_PER_US));
    put(text, "],\"count\":%" PRIu64 ",\"sum_us\":%.1f}", histogram->count,
        (double)histogram->sum_ns / (double)NS_PER_US);
}

/* NOLINTBEGIN(readability-non-const-parameter): likewise */
size_t hal_report_loop(const char *stream, const char *policy, const struct stats_values *now,
                       char ret_json[HAL_LOOP_BYTES])
/* NOLINTEND(readability-non-const-parameter) */
{
    struct text text = {.at = ret_json, .bytes = HAL_LOOP_BYTES};

    put(&text, "{\"stream\":\"%.31s\",\"policy\":\"", stream);
    put_name(&text, policy);
    put(&text, "\",\"mode\":\"%s\",\"bounds_us\":[", gate_mode_name((enum gate_mode)now->mode));
    for (size_t i = 0; i < LENGTH(bounds_us); i++)
        put(&text, "%s%" PRId64, i ? "," : "", bounds_us[i]);
    put(&text, "]");
    for (size_t i = 0; i < LENGTH(histograms); i++)
        put_histogram(&text, histograms[i].name, histogram_at(now, histograms[i].offset));
    put_counts(&text, now);
    return text.used;
}
