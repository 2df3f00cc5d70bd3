/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the newest message of each robot in the caller's struct; prints into the caller's file. */
#include "daemon/hal_metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

static const struct {
    const char *key;
    const char *help;
} times[HAL_METRICS_TIME_COUNT] = {
    [HAL_METRICS_PERIOD] = {"period", "From one wake-up of the control loop to the next."},
    [HAL_METRICS_JITTER] = {"jitter", "How late the control loop woke."},
    [HAL_METRICS_LATENCY] = {"latency", "Observation sent to the action that answers it applied."},
    [HAL_METRICS_REACTION] = {"reaction", "State published to the action that answers it applied."},
    [HAL_METRICS_STEP] = {"step", "The policy's time for one observation."},
};

static const struct {
    const char *key;
    const char *help;
} counters[HAL_METRICS_COUNTERS] = {
    {"periods", "Periods of the control loop."},
    {"overruns", "Periods skipped, for the one before them took too long."},
    {"observations", "Observations sent to the policy."},
    {"missed", "Observations replaced by newer ones before the policy saw them."},
    {"dropped", "Observations not even sent: the policy held too many."},
    {"actions", "Actions of the policy that were accepted."},
    {"late", "Periods that ended without their action."},
    {"stale", "Actions refused: their observation was too old."},
    {"refused", "Commands of a control program that were not whole."},
    {"policy_errors", "Steps of the policy that failed."},
    {"stands", "Periods in which the robot just stood."},
};

static const char *const modes[] = {"ARMED", "HOLD", "ESTOP"};

#define MODE_COUNT (sizeof(modes) / sizeof(modes[0]))

/* ---- taking ---------------------------------------------------------------------------------- */

static bool read_count(const json_t *object, const char *key, uint64_t *ret_count)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_count = (uint64_t)json_integer_value(value);
    return true;
}

/* The name becomes a label, so it holds nothing that would have to be escaped. */
static bool read_stream(const json_t *object, char name[HAL_METRICS_NAME_BYTES])
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *text = json_string_value(json_object_get(object, "stream"));
    size_t length = text ? strlen(text) : 0;

    if (length == 0 || length >= HAL_METRICS_NAME_BYTES || strspn(text, allowed) != length)
        return false;
    memcpy(name, text, length + 1);
    return true;
}

static bool read_mode(const json_t *object, unsigned *ret_mode)
{
    const char *text = json_string_value(json_object_get(object, "mode"));

    for (unsigned i = 0; text && i < MODE_COUNT; i++) {
        if (strcmp(text, modes[i]) == 0) {
            *ret_mode = i;
            return true;
        }
    }
    return false;
}

static bool read_bounds(const json_t *object, struct hal_metrics_robot *robot)
{
    const json_t *list = json_object_get(object, "bounds_us");
    size_t count = json_array_size(list);
    int64_t before = 0;

    if (count == 0 || count > HAL_METRICS_BOUNDS)
        return false;
    for (size_t i = 0; i < count; i++) {
        robot->bounds_us[i] = json_integer_value(json_array_get(list, i));
        if (robot->bounds_us[i] <= before)
            return false;
        before = robot->bounds_us[i];
    }
    robot->bound_count = (unsigned)count;
    return true;
}

/* Cumulative, so that each bucket holds at least what the one before it does. */
static bool read_histogram(const json_t *object, unsigned bound_count,
                           struct hal_metrics_histogram *histogram)
{
    const json_t *list = json_object_get(object, "buckets");
    json_int_t before = 0;

    if (json_array_size(list) != bound_count || !read_count(object, "count", &histogram->count))
        return false;
    for (unsigned i = 0; i < bound_count; i++) {
        json_int_t value = json_integer_value(json_array_get(list, i));
        if (value < before || (uint64_t)value > histogram->count)
            return false;
        histogram->buckets[i] = (uint64_t)value;
        before = value;
    }
    histogram->sum_us = json_number_value(json_object_get(object, "sum_us"));
    return histogram->sum_us >= 0;
}

static bool read_robot(const json_t *object, struct hal_metrics_robot *robot)
{
    if (!read_stream(object, robot->stream) || !read_mode(object, &robot->mode) ||
        !read_bounds(object, robot))
        return false;
    for (unsigned i = 0; i < HAL_METRICS_TIME_COUNT; i++) {
        if (!read_histogram(json_object_get(object, times[i].key), robot->bound_count,
                            &robot->times[i]))
            return false;
    }
    for (unsigned i = 0; i < HAL_METRICS_COUNTERS; i++) {
        if (!read_count(object, counters[i].key, &robot->counters[i]))
            return false;
    }
    return true;
}

static bool speaks(const struct hal_metrics_robot *robot, int64_t now_ns)
{
    return robot->taken_ns != 0 && now_ns - robot->taken_ns <= HAL_METRICS_NS_MAX;
}

/* Its own place, or one that nobody uses any more; NULL: there is none. */
static struct hal_metrics_robot *place_of(struct hal_metrics *metrics, const char *stream,
                                          int64_t now_ns)
{
    struct hal_metrics_robot *place = NULL;

    for (unsigned i = 0; i < HAL_METRICS_ROBOTS; i++) {
        struct hal_metrics_robot *robot = &metrics->robots[i];
        if (strcmp(robot->stream, stream) == 0)
            return robot;
        if (!place && !speaks(robot, now_ns))
            place = robot;
    }
    return place;
}

int hal_metrics_take(struct hal_metrics *metrics, const char *json, size_t json_bytes,
                     int64_t now_ns)
{
    struct hal_metrics_robot robot = {.taken_ns = now_ns};

    if (json_bytes > HAL_METRICS_BYTES_MAX)
        return -EPROTO;
    json_t *object = json_loadb(json, json_bytes, 0, NULL);
    bool whole = object && read_robot(object, &robot);
    json_decref(object);
    if (!whole)
        return -EPROTO;
    struct hal_metrics_robot *place = place_of(metrics, robot.stream, now_ns);
    if (!place)
        return -ENOSPC;
    *place = robot;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_histogram(FILE *file, const struct hal_metrics_robot *robot, unsigned time)
{
    const struct hal_metrics_histogram *histogram = &robot->times[time];
    const char *key = times[time].key;

    for (unsigned i = 0; i < robot->bound_count; i++)
        fprintf(file, "simcast_hal_%s_seconds_bucket{stream=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", key,
                robot->stream, (double)robot->bounds_us[i] * 1e-6, histogram->buckets[i]);
    fprintf(file,
            "simcast_hal_%s_seconds_bucket{stream=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
            "simcast_hal_%s_seconds_sum{stream=\"%s\"} %.9g\n"
            "simcast_hal_%s_seconds_count{stream=\"%s\"} %" PRIu64 "\n",
            key, robot->stream, histogram->count, key, robot->stream, histogram->sum_us * 1e-6, key,
            robot->stream, histogram->count);
}

static void write_mode(FILE *file, const struct hal_metrics_robot *robot)
{
    for (unsigned i = 0; i < MODE_COUNT; i++)
        fprintf(file, "simcast_hal_mode{stream=\"%s\",state=\"%s\"} %d\n", robot->stream, modes[i],
                robot->mode == i);
}

void hal_metrics_write(FILE *file, const struct hal_metrics *metrics, int64_t now_ns)
{
    const struct hal_metrics_robot *robots[HAL_METRICS_ROBOTS];
    unsigned count = 0;

    for (unsigned i = 0; i < HAL_METRICS_ROBOTS; i++) {
        if (speaks(&metrics->robots[i], now_ns))
            robots[count++] = &metrics->robots[i];
    }
    if (count == 0)
        return;
    for (unsigned time = 0; time < HAL_METRICS_TIME_COUNT; time++) {
        fprintf(file, "# HELP simcast_hal_%s_seconds %s\n# TYPE simcast_hal_%s_seconds histogram\n",
                times[time].key, times[time].help, times[time].key);
        for (unsigned i = 0; i < count; i++)
            write_histogram(file, robots[i], time);
    }
    for (unsigned counter = 0; counter < HAL_METRICS_COUNTERS; counter++) {
        const char *key = counters[counter].key;
        fprintf(file, "# HELP simcast_hal_%s_total %s\n# TYPE simcast_hal_%s_total counter\n", key,
                counters[counter].help, key);
        for (unsigned i = 0; i < count; i++)
            fprintf(file, "simcast_hal_%s_total{stream=\"%s\"} %" PRIu64 "\n", key,
                    robots[i]->stream, robots[i]->counters[counter]);
    }
    fputs("# HELP simcast_hal_mode 1 for the mode that the control loop obeys.\n"
          "# TYPE simcast_hal_mode gauge\n",
          file);
    for (unsigned i = 0; i < count; i++)
        write_mode(file, robots[i]);
}
