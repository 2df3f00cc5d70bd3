/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the last two looks. What a server says is a peer's: texts are cut and their control
 * characters replaced, numbers are only shown.
 */
#include "cli/top_view.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "cli/top_metrics.h"

/* What one look at simcastd brought. */
struct look {
    int64_t time_ns; /* 0: none */
    struct top_metrics metrics;
    json_t *health; /* NULL: it could not be had, as the next two */
    json_t *streams;
    json_t *clients;
};

/* A control loop tells once a second, so the look before may hold the same. */
struct told {
    double periods;
    double seconds; /* that they took */
    struct top_buckets times[TOP_ROBOT_TIMES];
};

struct robot_history {
    char stream[TOP_NAME_BYTES];
    struct told before;
    struct told now;
};

struct top {
    struct top_server server;
    struct robot_history robots[TOP_ROBOTS_MAX];
    struct survey survey;
    struct survey found;
    struct look before;
    struct look now;
    struct top_view view;
};

int top_create(const struct top_server *server, const char *ipc_dir, struct top **ret_top)
{
    struct top *top = calloc(1, sizeof(*top));

    if (!top)
        return -ENOMEM;
    top->server = *server;
    top->survey.dir = top->found.dir = ipc_dir;
    *ret_top = top;
    return 0;
}

static void forget(struct look *look)
{
    top_metrics_fini(&look->metrics);
    json_decref(look->health);
    json_decref(look->streams);
    json_decref(look->clients);
    *look = (struct look){0};
}

void top_destroy(struct top *top)
{
    if (!top)
        return;
    forget(&top->before);
    forget(&top->now);
    free(top);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int get_json(struct top *top, const char *path, json_t **ret_object)
{
    char *page;
    int error =
        top_page_get(&top->server, path, &page, top->view.problem, sizeof(top->view.problem));

    if (error < 0)
        return error;
    *ret_object = json_loads(page, 0, NULL);
    free(page);
    return 0;
}

static int get_metrics(struct top *top, struct top_metrics *ret_metrics)
{
    char *page;
    int error =
        top_page_get(&top->server, "/metrics", &page, top->view.problem, sizeof(top->view.problem));

    if (error < 0)
        return error;
    error = top_metrics_parse(page, ret_metrics);
    free(page);
    return error;
}

static void ask_server(struct top *top)
{
    forget(&top->before);
    top->before = top->now;
    top->now = (struct look){.time_ns = clock_now_ns()};
    int error = get_metrics(top, &top->now.metrics);
    if (error == 0)
        error = get_json(top, "/health", &top->now.health);
    if (error == 0)
        error = get_json(top, "/api/v1/streams", &top->now.streams);
    if (error == 0)
        error = get_json(top, "/api/v1/clients", &top->now.clients);
    if (error < 0)
        forget(&top->now);
}

/* Rings come and go; those that stay keep their look before. */
static void ask_rings(struct top *top)
{
    if (survey_find(&top->found) < 0)
        top->found.count = 0;
    for (unsigned i = 0; i < top->found.count; i++) {
        struct survey_stream *found = &top->found.streams[i];
        for (unsigned k = 0; k < top->survey.count; k++) {
            if (strcmp(found->path, top->survey.streams[k].path) == 0)
                found->now = top->survey.streams[k].now;
        }
        survey_look(top->found.dir, found);
    }
    top->survey = top->found;
}

/* ---- texts and numbers ----------------------------------------------------------------------- */

static void copy_text(const char *text, char copy[TOP_NAME_BYTES])
{
    snprintf(copy, TOP_NAME_BYTES, "%s", text ? text : "");
    for (char *at = copy; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            *at = '?';
    }
}

static void copy_string(const json_t *object, const char *key, char copy[TOP_NAME_BYTES])
{
    copy_text(json_string_value(json_object_get(object, key)), copy);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static uint64_t whole(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

/* How fast something grew between the looks; NaN: unknown. What shrank began anew. */
static double rate(const struct top *top, double before, double now)
{
    double seconds = (double)(top->now.time_ns - top->before.time_ns) / (double)NS_PER_S;

    if (top->before.time_ns == 0 || !(seconds > 0))
        return NAN;
    return (now >= before ? now - before : now) / seconds;
}

static double metric(const struct look *look, const char *name, const char *label)
{
    double value;

    return top_metrics_value(&look->metrics, name, label, &value) ? value : NAN;
}

static double metric_rate(const struct top *top, const char *name, const char *label)
{
    return rate(top, metric(&top->before, name, label), metric(&top->now, name, label));
}

static void fill_times(const struct top *top, const char *series, const char *label,
                       const char *name, struct top_times *ret_times)
{
    struct top_buckets before = {0};
    struct top_buckets now;

    copy_text(name, ret_times->name);
    ret_times->p50_s = ret_times->p99_s = NAN;
    if (!top_metrics_buckets(&top->now.metrics, series, label, &now))
        return;
    (void)top_metrics_buckets(&top->before.metrics, series, label, &before);
    ret_times->p50_s = top_buckets_percentile(&before, &now, 50);
    ret_times->p99_s = top_buckets_percentile(&before, &now, 99);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void fill_ring(const struct survey_stream *ring, struct top_stream *stream)
{
    const struct ring_info *info = &ring->now.info;
    const char *format = survey_format(ring);
    char command[SURVEY_PROCESS_BYTES];
    char name[SURVEY_NAME_BYTES];

    *stream = (struct top_stream){.fps = NAN, .mbit_per_s = NAN, .age_s = NAN, .lost = NAN};
    snprintf(name, sizeof(name), "%s.%s", ring->stream, survey_kind_name(ring->kind));
    copy_text(name, stream->name);
    if (ring->now.error < 0) {
        survey_explain(ring, stream->problem, sizeof(stream->problem));
        return;
    }
    survey_command(info->pid, command);
    snprintf(stream->producer, sizeof(stream->producer), "%s %d", command, (int)info->pid);
    if (format[0] != '\0')
        snprintf(stream->picture, sizeof(stream->picture), "%s %ux%u", format,
                 ring->now.frame.width, ring->now.frame.height);
    stream->fps = survey_rate(ring);
    /* Of raw pictures, which are all of one size. */
    if (ring->now.has_frame && ring->kind != RING_KIND_PACKETS)
        stream->mbit_per_s = stream->fps * (double)ring->now.frame.payload_bytes * 8e-6;
    stream->age_s = survey_age_ns(ring) < 0 ? NAN : (double)survey_age_ns(ring) * 1e-9;
    /* Of states and actions only the newest is ever taken. */
    bool every = ring->kind == RING_KIND_FRAMES || ring->kind == RING_KIND_PACKETS;
    stream->lost = every ? 0 : NAN;
    for (unsigned i = 0; i < info->consumer_count; i++) {
        stream->lost += (double)info->consumers[i].lost;
        stream->wanting += info->consumers[i].wanted != 0;
    }
}

static const json_t *item_named(const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *of_item = json_string_value(json_object_get(item, "name"));
        if (of_item && strcmp(of_item, name) == 0)
            return item;
    }
    return NULL;
}

static struct top_stream *row_named(struct top_view *view, const char *name)
{
    for (unsigned i = 0; i < view->stream_count; i++) {
        if (strcmp(view->streams[i].name, name) == 0)
            return &view->streams[i];
    }
    return NULL;
}

/* What simcastd knows of a stream of packets, beside or in place of its ring. */
static void add_served(struct top *top, const json_t *item)
{
    struct top_view *view = &top->view;
    const json_t *before = item_named(json_object_get(top->before.streams, "streams"),
                                      json_string_value(json_object_get(item, "name")));
    char stream[TOP_NAME_BYTES];
    char name[TOP_NAME_BYTES + 16];
    char codec[TOP_NAME_BYTES];

    copy_string(item, "name", stream);
    copy_string(item, "codec", codec);
    snprintf(name, sizeof(name), "%s.packets", stream);
    name[TOP_NAME_BYTES - 1] = '\0';
    struct top_stream *row = row_named(view, name);
    if (!row && view->stream_count < TOP_STREAMS_MAX) {
        row = &view->streams[view->stream_count++];
        *row = (struct top_stream){.lost = number(item, "lost")};
        memcpy(row->name, name, sizeof(row->name));
        copy_string(item, "source", row->producer);
        row->fps = number(item, "fps");
        row->age_s = number(item, "last_frame_age_ms") / 1000;
        if (whole(item, "width") > 0)
            snprintf(row->picture, sizeof(row->picture), "%.16s %ux%u", codec,
                     (unsigned)whole(item, "width"), (unsigned)whole(item, "height"));
        row->wanting = (unsigned)whole(item, "clients");
    }
    if (!row)
        return;
    row->mbit_per_s = rate(top, number(before, "bytes"), number(item, "bytes")) * 8e-6;
}

static void fill_streams(struct top *top)
{
    const json_t *list = json_object_get(top->now.streams, "streams");
    const json_t *item;
    size_t i;

    top->view.stream_count = 0;
    for (unsigned k = 0; k < top->survey.count; k++)
        fill_ring(&top->survey.streams[k], &top->view.streams[top->view.stream_count++]);
    json_array_foreach(list, i, item)
    {
        add_served(top, item);
    }
}

/* ---- simcastd -------------------------------------------------------------------------------- */

static const json_t *client_with_id(const json_t *list, json_int_t id)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_integer_value(json_object_get(item, "id")) == id)
            return item;
    }
    return NULL;
}

static void fill_clients(struct top *top)
{
    const json_t *list = json_object_get(top->now.clients, "clients");
    const json_t *item;
    size_t i;

    top->view.client_count = 0;
    json_array_foreach(list, i, item)
    {
        if (top->view.client_count == TOP_CLIENTS_MAX)
            return;
        struct top_client *client = &top->view.list[top->view.client_count++];
        const json_t *before = client_with_id(json_object_get(top->before.clients, "clients"),
                                              json_integer_value(json_object_get(item, "id")));
        copy_string(item, "name", client->who);
        if (client->who[0] == '\0')
            copy_string(item, "address", client->who);
        copy_string(item, "kind", client->kind);
        copy_string(item, "role", client->role);
        client->fps = rate(top, number(before, "frames"), number(item, "frames"));
        client->mbit_per_s = rate(top, number(before, "bytes"), number(item, "bytes")) * 8e-6;
        client->missed = whole(item, "missed");
        client->queued = whole(item, "queued");
        client->connected_s = whole(item, "connected_s");
    }
}

/* What came to a stage of all streams between the looks; count 0: no stream has it. */
static struct top_buckets stage_gain(const struct top *top, const char *stage)
{
    static const char series[] = "simcast_stage_seconds";
    struct top_buckets gain = {0};
    char stream[TOP_LABEL_BYTES];
    char labels[TOP_LABEL_BYTES + 64];

    for (unsigned i = 0;
         top_metrics_label(&top->now.metrics, "simcast_stream_frames_total", i, "stream", stream);
         i++) {
        struct top_buckets before = {0};
        struct top_buckets now;
        snprintf(labels, sizeof(labels), "stream=\"%s\",stage=\"%s\"", stream, stage);
        if (!top_metrics_buckets(&top->now.metrics, series, labels, &now))
            continue;
        (void)top_metrics_buckets(&top->before.metrics, series, labels, &before);
        top_buckets_gain(&before, &now, &gain);
    }
    return gain;
}

static void fill_stages(struct top *top)
{
    static const char *const stages[] = {"render", "wait",   "encode", "publish",
                                         "wake",   "fanout", "glass"};
    static const struct top_buckets none;

    top->view.stage_count = 0;
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        struct top_buckets gain = stage_gain(top, stages[i]);
        if (gain.count == 0)
            continue;
        struct top_times *times = &top->view.stages[top->view.stage_count++];
        copy_text(stages[i], times->name);
        times->p50_s = top_buckets_percentile(&none, &gain, 50);
        times->p99_s = top_buckets_percentile(&none, &gain, 99);
    }
}

static const char *const robot_times[TOP_ROBOT_TIMES] = {"period", "jitter", "latency", "reaction",
                                                         "step"};

/* The place of a robot; another one that had it is forgotten. */
static struct robot_history *history_of(struct top *top, const char *stream, unsigned index)
{
    for (unsigned i = 0; i < TOP_ROBOTS_MAX; i++) {
        if (strcmp(top->robots[i].stream, stream) == 0)
            return &top->robots[i];
    }
    top->robots[index] = (struct robot_history){0};
    copy_text(stream, top->robots[index].stream);
    return &top->robots[index];
}

/* Keeps the last two that differ. */
static void remember(const struct top *top, const char *label, struct robot_history *history)
{
    struct told told = {.periods = metric(&top->now, "simcast_hal_periods_total", label),
                        .seconds = metric(&top->now, "simcast_hal_period_seconds_sum", label)};
    char series[64];

    if (told.periods == history->now.periods)
        return;
    for (unsigned i = 0; i < TOP_ROBOT_TIMES; i++) {
        snprintf(series, sizeof(series), "simcast_hal_%s_seconds", robot_times[i]);
        (void)top_metrics_buckets(&top->now.metrics, series, label, &told.times[i]);
    }
    history->before = history->now;
    history->now = told;
}

static void fill_robot(struct top *top, const char *stream, unsigned index, struct top_robot *robot)
{
    struct robot_history *history = history_of(top, stream, index);
    const struct told *before = &history->before;
    const struct told *now = &history->now;
    static const char *const modes[] = {"ARMED", "HOLD", "ESTOP"};
    char label[TOP_NAME_BYTES + 32];

    copy_text(stream, robot->stream);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        snprintf(label, sizeof(label), "stream=\"%s\",state=\"%s\"", stream, modes[i]);
        if (metric(&top->now, "simcast_hal_mode", label) == 1)
            copy_text(modes[i], robot->mode);
    }
    snprintf(label, sizeof(label), "stream=\"%s\"", stream);
    remember(top, label, history);
    for (unsigned i = 0; i < TOP_ROBOT_TIMES; i++) {
        copy_text(robot_times[i], robot->times[i].name);
        robot->times[i].p50_s = top_buckets_percentile(&before->times[i], &now->times[i], 50);
        robot->times[i].p99_s = top_buckets_percentile(&before->times[i], &now->times[i], 99);
    }
    bool anew = now->periods < before->periods; /* the loop was started again */
    double seconds = now->seconds - (anew ? 0 : before->seconds);
    robot->rate_hz = seconds > 0 ? (now->periods - (anew ? 0 : before->periods)) / seconds : NAN;
    robot->overruns = metric(&top->now, "simcast_hal_overruns_total", label);
    robot->late = metric(&top->now, "simcast_hal_late_total", label);
    robot->stale = metric(&top->now, "simcast_hal_stale_total", label);
    robot->missed = metric(&top->now, "simcast_hal_missed_total", label);
    robot->stands = metric(&top->now, "simcast_hal_stands_total", label);
}

static void fill_robots(struct top *top)
{
    char stream[TOP_LABEL_BYTES];
    unsigned count = 0;

    while (count < TOP_ROBOTS_MAX &&
           top_metrics_label(&top->now.metrics, "simcast_hal_periods_total", count, "stream",
                             stream)) {
        top->view.robots[count] = (struct top_robot){0};
        fill_robot(top, stream, count, &top->view.robots[count]);
        count++;
    }
    top->view.robot_count = count;
}

const struct top_view *top_look(struct top *top)
{
    struct top_view *view = &top->view;

    view->problem[0] = '\0';
    ask_rings(top);
    ask_server(top);
    fill_streams(top);
    fill_clients(top);
    fill_stages(top);
    fill_robots(top);
    view->uptime_s = metric(&top->now, "simcast_uptime_seconds", NULL);
    view->clients = metric(&top->now, "simcast_clients", NULL);
    view->bus_connected = metric(&top->now, "simcast_bus_connected", NULL) == 1;
    view->commands_per_s = metric_rate(top, "simcast_commands_passed_total", NULL);
    view->refused_per_s = metric_rate(top, "simcast_commands_refused_total", NULL);
    copy_string(top->now.health, "gate", view->gate);
    copy_string(top->now.health, "gate_reason", view->gate_reason);
    if (strcmp(view->gate_reason, "none") == 0)
        view->gate_reason[0] = '\0';
    fill_times(top, "simcast_command_ack_seconds", NULL, "ack", &view->ack);
    return view;
}
