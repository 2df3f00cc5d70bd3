/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. What is unknown is a dash. */
#include "cli/top_screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define ROWS_MIN 3 /* of streams and of clients, however small the terminal is */

const char *top_time(double seconds, char text[16])
{
    if (isnan(seconds))
        strcpy(text, "-"); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    else if (seconds < 0.9995e-3)
        snprintf(text, 16, "%.0f us", seconds * 1e6);
    else if (seconds < 0.9995)
        snprintf(text, 16, seconds < 0.01 ? "%.1f ms" : "%.0f ms", seconds * 1e3);
    else if (seconds < 99.5)
        snprintf(text, 16, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(text, 16, "%.0f min", seconds / 60);
    else
        snprintf(text, 16, seconds < 3600e3 ? "%.0f h" : ">999 h", seconds / 3600);
    return text;
}

/* A number for people, or a dash. */
static const char *figure(double value, int digits, char text[16])
{
    if (isnan(value))
        strcpy(text, "-"); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    else
        snprintf(text, 16, "%.*f", digits, value);
    return text;
}

__attribute__((format(printf, 3, 4))) static void add(struct top_screen *screen,
                                                      enum top_style style, const char *format, ...)
{
    va_list arguments;
    size_t bytes = screen->width + 1 < TOP_LINE_BYTES ? screen->width + 1 : TOP_LINE_BYTES;

    if (screen->count == TOP_LINES_MAX)
        return;
    struct top_line *line = &screen->lines[screen->count++];
    line->style = style;
    va_start(arguments, format);
    vsnprintf(line->text, bytes, format, arguments);
    va_end(arguments);
}

/* ---- sections ---------------------------------------------------------------------------------
 */

static void add_title(struct top_screen *screen, const struct top_view *view, const char *address)
{
    char clients[16];
    unsigned seconds = isnan(view->uptime_s) ? 0 : (unsigned)view->uptime_s;
    enum top_style style = strcmp(view->gate, "ARMED") == 0 ? TOP_TITLE : TOP_ALARM;

    if (view->problem[0] != '\0') {
        add(screen, TOP_ALARM, " simcast top  %s", view->problem);
        return;
    }
    add(screen, style, " simcast top  %s  gate %s%s%s  bus %s  clients %s  up %u:%02u:%02u",
        address, view->gate, view->gate_reason[0] ? ": " : "", view->gate_reason,
        view->bus_connected ? "up" : "AWAY", figure(view->clients, 0, clients), seconds / 3600,
        seconds / 60 % 60, seconds % 60);
}

static void add_stream(struct top_screen *screen, const struct top_stream *stream)
{
    char fps[16];
    char rate[16];
    char age[16];
    char lost[16];

    if (stream->problem[0] != '\0') {
        add(screen, TOP_ALARM, "%-18.18s %s", stream->name, stream->problem);
        return;
    }
    add(screen, TOP_PLAIN, "%-18.18s %-14.14s %5s %7s %7s %5s %4u %s", stream->name,
        stream->picture, figure(stream->fps, stream->fps < 999.95 ? 1 : 0, fps),
        figure(stream->mbit_per_s, stream->mbit_per_s < 99.95 ? 2 : 0, rate),
        top_time(stream->age_s, age), figure(stream->lost, 0, lost), stream->wanting,
        stream->producer);
}

static void add_more(struct top_screen *screen, unsigned all, unsigned shown)
{
    if (all > shown)
        add(screen, TOP_PLAIN, "  ... and %u more", all - shown);
}

/* `rows`: as many lines as may be used. */
static unsigned shown_of(unsigned all, unsigned rows)
{
    return all <= rows ? all : rows > 0 ? rows - 1 : 0;
}

static void add_streams(struct top_screen *screen, const struct top_view *view, unsigned rows)
{
    unsigned shown = shown_of(view->stream_count, rows);

    add(screen, TOP_HEADING, "%-18s %-14s %5s %7s %7s %5s %4s %s", "STREAM", "PICTURE", "FPS",
        "Mbit/s", "AGE", "LOST", "WANT", "PRODUCER");
    if (view->stream_count == 0)
        add(screen, TOP_PLAIN, "no rings here: nothing produces frames");
    for (unsigned i = 0; i < shown; i++)
        add_stream(screen, &view->streams[i]);
    add_more(screen, view->stream_count, shown);
}

/* One row of a table with a column for each. */
static void add_row(struct top_screen *screen, const struct top_times *const *times, unsigned count,
                    double percent, const char *beside)
{
    char line[TOP_LINE_BYTES];
    char cell[16];
    int used = snprintf(line, sizeof(line), "%-7s", percent == 50 ? "p50" : "p99");

    for (unsigned i = 0; i < count; i++)
        used += snprintf(line + used, sizeof(line) - (size_t)used, " %8s",
                         top_time(percent == 50 ? times[i]->p50_s : times[i]->p99_s, cell));
    add(screen, TOP_PLAIN, "%s%s%s", line, beside[0] ? "  " : "", beside);
}

static void add_names(struct top_screen *screen, const char *title,
                      const struct top_times *const *times, unsigned count)
{
    char line[TOP_LINE_BYTES];
    int used = snprintf(line, sizeof(line), "%-7.7s", title);

    for (unsigned i = 0; i < count; i++)
        used += snprintf(line + used, sizeof(line) - (size_t)used, " %8.8s", times[i]->name);
    add(screen, TOP_HEADING, "%s", line);
}

static void add_stages(struct top_screen *screen, const struct top_view *view)
{
    const struct top_times *times[TOP_STAGES_MAX + 1];
    unsigned count = 0;

    if (view->stage_count == 0)
        return;
    for (; count < view->stage_count; count++)
        times[count] = &view->stages[count];
    times[count++] = &view->ack;
    add_names(screen, "STAGE", times, count);
    add_row(screen, times, count, 50, "");
    add_row(screen, times, count, 99, "");
}

static void add_robot(struct top_screen *screen, const struct top_robot *robot)
{
    const struct top_times *times[TOP_ROBOT_TIMES];
    char rate[16];
    char counts[96];
    char title[TOP_LINE_BYTES];

    for (unsigned i = 0; i < TOP_ROBOT_TIMES; i++)
        times[i] = &robot->times[i];
    add_names(screen, "HAL", times, TOP_ROBOT_TIMES);
    snprintf(title, sizeof(title), "%.20s: %s %s Hz", robot->stream, robot->mode,
             figure(robot->rate_hz, 0, rate));
    add_row(screen, times, TOP_ROBOT_TIMES, 50, title);
    snprintf(counts, sizeof(counts), "over %.0f late %.0f stale %.0f", robot->overruns, robot->late,
             robot->stale);
    add_row(screen, times, TOP_ROBOT_TIMES, 99, counts);
}

static void add_client(struct top_screen *screen, const struct top_client *client)
{
    char fps[16];
    char rate[16];
    char since[16];

    add(screen, TOP_PLAIN, "%-24.24s %-9.9s %-9.9s %5s %7s %6" PRIu64 " %6" PRIu64 " %7s",
        client->who, client->kind, client->role, figure(client->fps, 1, fps),
        figure(client->mbit_per_s, client->mbit_per_s < 99.95 ? 2 : 0, rate), client->missed,
        client->queued, top_time((double)client->connected_s, since));
}

static void add_clients(struct top_screen *screen, const struct top_view *view, unsigned rows)
{
    unsigned shown = shown_of(view->client_count, rows);

    add(screen, TOP_HEADING, "%-24s %-9s %-9s %5s %7s %6s %6s %7s", "CLIENT", "KIND", "ROLE", "FPS",
        "Mbit/s", "MISSED", "QUEUED", "SINCE");
    if (view->client_count == 0)
        add(screen, TOP_PLAIN, "nobody watches");
    for (unsigned i = 0; i < shown; i++)
        add_client(screen, &view->list[i]);
    add_more(screen, view->client_count, shown);
}

static void add_footer(struct top_screen *screen, const struct top_view *view)
{
    char passed[16];
    char refused[16];

    while (screen->height > 0 && screen->count + 1 < screen->height)
        add(screen, TOP_PLAIN, "%s", "");
    add(screen, TOP_HEADING, "commands %s/s, refused %s/s%s",
        figure(view->commands_per_s, 1, passed), figure(view->refused_per_s, 1, refused),
        screen->height > 0 ? "   q quit" : "");
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static unsigned at_least(unsigned low, int value)
{
    return value < (int)low ? low : (unsigned)value;
}

void top_screen_fill(const struct top_view *view, const char *address, struct top_screen *screen)
{
    unsigned streams = TOP_STREAMS_MAX;
    unsigned clients = TOP_CLIENTS_MAX;

    screen->count = 0;
    if (screen->height > 0) {
        unsigned others = 4 + (view->stage_count > 0 ? 3 : 0) + 3 * view->robot_count;
        unsigned few = view->client_count < ROWS_MIN ? view->client_count : ROWS_MIN;
        int left = (int)screen->height - (int)others;
        streams = at_least(ROWS_MIN, left - (int)at_least(1, (int)few));
        unsigned taken = view->stream_count < streams ? view->stream_count : streams;
        clients = at_least(1, left - (int)at_least(1, (int)taken));
    }
    add_title(screen, view, address);
    add_streams(screen, view, streams);
    add_stages(screen, view);
    for (unsigned i = 0; i < view->robot_count; i++)
        add_robot(screen, &view->robots[i]);
    if (view->problem[0] == '\0')
        add_clients(screen, view, clients);
    add_footer(screen, view);
    if (screen->height > 0 && screen->count > screen->height)
        screen->count = screen->height;
}
