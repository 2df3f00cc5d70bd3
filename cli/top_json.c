/* SPDX-License-Identifier: Apache-2.0 */
/* The view as one object; what is unknown is null. Keeps nothing. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/top_screen.h"

static json_t *known(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *json_of_times(const struct top_times *times)
{
    return json_pack("{s:o, s:o}", "p50_s", known(times->p50_s), "p99_s", known(times->p99_s));
}

static json_t *json_of_streams(const struct top_view *view)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < view->stream_count; i++) {
        const struct top_stream *stream = &view->streams[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i}", "name", stream->name,
                            "picture", stream->picture, "producer", stream->producer, "problem",
                            stream->problem, "fps", known(stream->fps), "mbit_per_s",
                            known(stream->mbit_per_s), "age_s", known(stream->age_s), "lost",
                            known(stream->lost), "wanting", (int)stream->wanting));
    }
    return list;
}

static json_t *json_of_stages(const struct top_view *view)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < view->stage_count; i++)
        json_object_set_new(object, view->stages[i].name, json_of_times(&view->stages[i]));
    json_object_set_new(object, "ack", json_of_times(&view->ack));
    return object;
}

static json_t *json_of_clients(const struct top_view *view)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < view->client_count; i++) {
        const struct top_client *client = &view->list[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "who", client->who, "kind",
                      client->kind, "role", client->role, "fps", known(client->fps), "mbit_per_s",
                      known(client->mbit_per_s), "missed", (json_int_t)client->missed, "queued",
                      (json_int_t)client->queued, "connected_s", (json_int_t)client->connected_s));
    }
    return list;
}

static json_t *json_of_robots(const struct top_view *view)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < view->robot_count; i++) {
        const struct top_robot *robot = &view->robots[i];
        json_t *object = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "stream",
                                   robot->stream, "mode", robot->mode, "rate_hz",
                                   known(robot->rate_hz), "overruns", known(robot->overruns),
                                   "late", known(robot->late), "stale", known(robot->stale),
                                   "missed", known(robot->missed), "stands", known(robot->stands));
        for (unsigned k = 0; k < TOP_ROBOT_TIMES; k++)
            json_object_set_new(object, robot->times[k].name, json_of_times(&robot->times[k]));
        json_array_append_new(list, object);
    }
    return list;
}

int top_print_json(const struct top_view *view, const char *address, FILE *out)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "server", address,
        "problem", view->problem, "gate", view->gate, "gate_reason", view->gate_reason,
        "bus_connected", (int)view->bus_connected, "uptime_s", known(view->uptime_s), "clients",
        known(view->clients), "commands_per_s", known(view->commands_per_s), "refused_per_s",
        known(view->refused_per_s), "streams", json_of_streams(view), "stages",
        json_of_stages(view), "list", json_of_clients(view), "robots", json_of_robots(view));
    char *text = object ? json_dumps(object, JSON_REAL_PRECISION(6)) : NULL;

    json_decref(object);
    if (!text)
        return -ENOMEM;
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}
