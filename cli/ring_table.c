/* SPDX-License-Identifier: Apache-2.0 */
/* Formats and prints; keeps nothing. What is not known is left blank, or null in JSON. */
#include "cli/ring_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"

#define CELL_BYTES 48
#define TEXT_BYTES 256

static uint64_t lag_of(const struct ring_info *info, const struct ring_consumer_info *consumer)
{
    return info->newest > consumer->seq ? info->newest - consumer->seq : 0;
}

static void name_of(const struct survey_stream *stream, char name[SURVEY_NAME_BYTES])
{
    snprintf(name, SURVEY_NAME_BYTES, "%s.%s", stream->stream, survey_kind_name(stream->kind));
}

static void process_cell(int32_t pid, char cell[CELL_BYTES])
{
    char command[SURVEY_PROCESS_BYTES];

    survey_command(pid, command);
    snprintf(cell, CELL_BYTES, "%s %d", command, (int)pid);
}

/* ---- for people --------------------------------------------------------------------------- */

static void picture_cell(const struct survey_stream *stream, char cell[CELL_BYTES])
{
    const struct ring_frame *frame = &stream->now.frame;
    const char *format = survey_format(stream);

    cell[0] = '\0';
    if (format[0] != '\0')
        snprintf(cell, CELL_BYTES, "%s %" PRIu32 "x%" PRIu32, format, frame->width, frame->height);
    else if (stream->now.has_frame)
        snprintf(cell, CELL_BYTES, "%" PRIu64 " bytes", frame->payload_bytes);
}

static void print_consumers(const struct survey_stream *stream, FILE *out)
{
    const struct ring_info *info = &stream->now.info;
    char process[CELL_BYTES];
    char leases[CELL_BYTES];

    if (info->consumer_count == 0) {
        fputs("  no consumers\n", out);
        return;
    }
    fprintf(out, "  %-24s %5s %6s %7s %10s %8s %8s %7s\n", "CONSUMER", "WANTS", "LAG", "LEASES",
            "FRAMES", "LOST", "REVOKED", "SPIN");
    for (unsigned i = 0; i < info->consumer_count; i++) {
        const struct ring_consumer_info *consumer = &info->consumers[i];
        process_cell(consumer->pid, process);
        snprintf(leases, sizeof(leases), "%" PRIu32 "/%" PRIu32, consumer->pinned,
                 consumer->leases);
        fprintf(
            out, "  %-24s %5s %6" PRIu64 " %7s %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %6.1f%%\n",
            process, consumer->wanted ? "yes" : "no", lag_of(info, consumer), leases,
            consumer->frames, consumer->lost, consumer->revoked, survey_spin_percent(stream, i));
    }
}

static void print_stream(const struct survey_stream *stream, int name_width, FILE *out)
{
    char name[SURVEY_NAME_BYTES];
    char producer[CELL_BYTES];
    char picture[CELL_BYTES];
    char stride[CELL_BYTES] = "";
    char text[TEXT_BYTES];

    name_of(stream, name);
    if (stream->now.error < 0) {
        survey_explain(stream, text, sizeof(text));
        fprintf(out, "%-*s  %s\n", name_width, name, text);
        return;
    }
    process_cell(stream->now.info.pid, producer);
    picture_cell(stream, picture);
    if (stream->kind == RING_KIND_FRAMES && stream->now.has_frame)
        snprintf(stride, sizeof(stride), "%" PRIu32, stream->now.frame.stride_bytes);
    fprintf(out, "%-*s  %-22s %-16s %6s %7.1f/s %7.1f MB %3" PRIu32 "\n", name_width, name,
            producer, picture, stride, survey_rate(stream),
            (double)survey_memory_bytes(stream) * 1e-6, stream->now.info.slot_count);
    print_consumers(stream, out);
}

void ring_table_print(const struct survey *survey, FILE *out)
{
    char name[SURVEY_NAME_BYTES];
    int width = (int)strlen("front.packets");

    for (unsigned i = 0; i < survey->count; i++) {
        name_of(&survey->streams[i], name);
        if ((int)strlen(name) > width)
            width = (int)strlen(name);
    }
    fprintf(out, "%-*s  %-22s %-16s %6s %9s %10s %s\n", width, "STREAM", "PRODUCER", "PICTURE",
            "STRIDE", "RATE", "MEMORY", "SLOTS");
    for (unsigned i = 0; i < survey->count; i++)
        print_stream(&survey->streams[i], width, out);
}

void ring_table_print_line(const struct survey_stream *stream, FILE *out)
{
    const struct ring_info *info = &stream->now.info;
    char name[SURVEY_NAME_BYTES];
    char text[TEXT_BYTES];
    uint64_t lag_max = 0;
    uint64_t lost = 0;
    uint32_t wanting = 0;
    double spin = 0;

    name_of(stream, name);
    if (stream->now.error < 0) {
        survey_explain(stream, text, sizeof(text));
        fprintf(out, "%s  %s\n", name, text);
        return;
    }
    for (unsigned i = 0; i < info->consumer_count; i++) {
        uint64_t lag = lag_of(info, &info->consumers[i]);
        lag_max = lag > lag_max ? lag : lag_max;
        lost += info->consumers[i].lost;
        wanting += info->consumers[i].wanted != 0;
        spin += survey_spin_percent(stream, i);
    }
    fprintf(out,
            "%s  %.1f/s  newest %" PRIu64 "  consumers %" PRIu32 "  wanting %" PRIu32
            "  lag %" PRIu64 "  lost %" PRIu64 "  spin %.1f%%\n",
            name, survey_rate(stream), info->newest, info->consumer_count, wanting, lag_max, lost,
            spin);
}

/* ---- for programs ------------------------------------------------------------------------- */

static json_t *json_of_process(int32_t pid)
{
    char command[SURVEY_PROCESS_BYTES];

    survey_command(pid, command);
    return json_pack("{s:i, s:s}", "pid", (int)pid, "command", command);
}

static json_t *json_of_consumers(const struct survey_stream *stream)
{
    const struct ring_info *info = &stream->now.info;
    json_t *list = json_array();

    for (unsigned i = 0; list && i < info->consumer_count; i++) {
        const struct ring_consumer_info *consumer = &info->consumers[i];
        json_t *object = json_pack(
            "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "wants", (int)(consumer->wanted != 0),
            "lag", (json_int_t)lag_of(info, consumer), "leases_pinned",
            (json_int_t)consumer->pinned, "leases", (json_int_t)consumer->leases, "frames",
            (json_int_t)consumer->frames, "lost", (json_int_t)consumer->lost, "revoked",
            (json_int_t)consumer->revoked, "spin_percent", survey_spin_percent(stream, i));
        json_t *process = json_of_process(consumer->pid);
        json_object_update(object, process);
        json_decref(process);
        json_array_append_new(list, object);
    }
    return list;
}

/* What is known of the newest frame; null before there is one. */
static json_t *json_of_frame(const struct survey_stream *stream)
{
    const struct ring_frame *frame = &stream->now.frame;

    if (!stream->now.has_frame)
        return json_null();
    return json_pack("{s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:f}", "format", survey_format(stream),
                     "width", (json_int_t)frame->width, "height", (json_int_t)frame->height,
                     "stride_bytes", (json_int_t)frame->stride_bytes, "bottom_up",
                     (frame->flags & RING_FRAME_BOTTOM_UP) != 0, "payload_bytes",
                     (json_int_t)frame->payload_bytes, "frame_id", (json_int_t)frame->frame_id,
                     "age_ms", (double)survey_age_ns(stream) * 1e-6);
}

static json_t *json_of_stream(const struct survey_stream *stream)
{
    const struct ring_info *info = &stream->now.info;
    char text[TEXT_BYTES];

    json_t *object = json_pack("{s:s, s:s, s:s, s:b}", "stream", stream->stream, "kind",
                               survey_kind_name(stream->kind), "path", stream->path, "alive",
                               (int)(stream->now.error == 0));
    if (!object)
        return NULL;
    if (stream->now.error < 0) {
        survey_explain(stream, text, sizeof(text));
        json_object_set_new(object, "why", json_string(text));
        return object;
    }
    json_t *more = json_pack("{s:o, s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:o}", "producer",
                             json_of_process(info->pid), "newest_frame", json_of_frame(stream),
                             "rate_hz", survey_rate(stream), "newest", (json_int_t)info->newest,
                             "slots", (json_int_t)info->slot_count, "payload_bytes_max",
                             (json_int_t)info->payload_bytes_max, "memory_bytes",
                             (json_int_t)survey_memory_bytes(stream), "leases_max",
                             (json_int_t)info->leases_max, "consumers", json_of_consumers(stream));
    json_object_update(object, more);
    json_decref(more);
    return object;
}

int ring_table_print_json(const struct survey *survey, FILE *out)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < survey->count; i++)
        json_array_append_new(list, json_of_stream(&survey->streams[i]));
    json_t *object = json_pack("{s:s, s:o}", "ipc_dir", survey->dir, "streams", list);
    char *text = object ? json_dumps(object, JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    if (!text)
        return -ENOMEM;
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}
