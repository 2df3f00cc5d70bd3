/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the answers' texts until the next request. */
#include "daemon/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/api.h"
#include "daemon/bus_metrics.h"
#include "daemon/choice.h"
#include "daemon/parts.h"
#include "daemon/stream_metrics.h"

void pages_fini(struct pages *pages)
{
    free(pages->page);
    pages->page = NULL;
}

static int64_t frame_age_ns(const struct parts *parts, int64_t now_ns)
{
    int64_t frame_ns = streams_default(parts->streams)->frame_ns;

    return frame_ns > 0 ? now_ns - frame_ns : -1;
}

static void write_streams(FILE *file, const struct parts *parts, int64_t now_ns)
{
    api_write_streams(file, parts->streams, now_ns);
}

static void write_clients(FILE *file, const struct parts *parts, int64_t now_ns)
{
    api_write_clients(file, parts->fanout, parts->streams, now_ns);
}

static void write_metrics(FILE *file, const struct parts *parts, int64_t now_ns)
{
    metrics_write(file, &parts->metrics,
                  &(struct metrics_state){
                      .counters = &parts->counters,
                      .clients = fanout_clients(parts->fanout),
                      .connections = fanout_connections(parts->fanout),
                      .last_frame_age_ns = frame_age_ns(parts, now_ns),
                      .uptime_ns = now_ns - parts->started_ns,
                      .bus_connected = bus_state(parts->bus) == BUS_CONNECTED,
                      .source_attached = source_state(parts->source, now_ns) != SOURCE_NONE,
                      .gate_mode = gate_mode_name(relay_gate(parts->relay)->mode),
                  });
    stream_metrics_write(file, parts->streams, now_ns);
    hal_metrics_write(file, &parts->metrics.hal, now_ns);
    bus_metrics_write(file, parts->bus);
}

/* Answers of any length. */
static const struct page {
    const char *path;
    const char *content_type;
    void (*write)(FILE *file, const struct parts *parts, int64_t now_ns);
} pages[] = {
    {"/api/v1/streams", "application/json", write_streams},
    {"/api/v1/clients", "application/json", write_clients},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
};

static bool is_page(const char *path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(path, pages[i].path) == 0)
            return true;
    }
    return false;
}

static void respond_page(struct parts *parts, const struct page *page,
                         struct http_response *ret_response)
{
    size_t page_bytes = 0;

    free(parts->pages.page);
    parts->pages.page = NULL;
    FILE *file = open_memstream(&parts->pages.page, &page_bytes);
    if (file)
        page->write(file, parts, clock_now_ns());
    if (!file || fclose(file) != 0) {
        http_error(503, ret_response);
        return;
    }
    *ret_response = (struct http_response){
        .status = 200,
        .content_type = page->content_type,
        .body = parts->pages.page,
        .body_bytes = page_bytes,
    };
}

static void respond_health(struct parts *parts, const struct http_request *request,
                           struct http_response *ret_response)
{
    int64_t now_ns = clock_now_ns();
    int64_t age_ns = frame_age_ns(parts, now_ns);
    const struct gate *gate = relay_gate(parts->relay);
    struct http_health health = {
        .counters = &parts->counters,
        .clients = fanout_clients(parts->fanout),
        .shm_seq = source_sequence(parts->source, now_ns),
        .last_frame_age_ms = age_ns < 0 ? -1 : age_ns / NS_PER_MS,
        .uptime_s = (now_ns - parts->started_ns) / NS_PER_S,
        .source = source_name(parts->source, now_ns),
        .source_reason = source_reason(parts->source),
        .bus_connected = bus_state(parts->bus) == BUS_CONNECTED,
        .gate_mode = gate_mode_name(gate->mode),
        .gate_reason = gate_reason_name(gate->reason),
        .codec = relay_fixed_codec(parts->relay),
    };

    http_get(request, &health, parts->files, parts->pages.body, ret_response);
}

/*
 * A request for video. Of the default stream the health page's rules hold: it may be asked for
 * another codec. Returns whether it is answered.
 */
static bool respond_video(struct parts *parts, const struct http_request *request,
                          enum client_kind kind, struct http_response *ret_response)
{
    const char *codec = video_codec_name(http_stream_codec(kind));
    char *body = parts->pages.body;
    struct stream *stream = NULL;
    int error = choose_stream(parts->streams, request->query, kind, clock_now_ns(), &stream);

    if (stream && stream->id == 0)
        return false;
    *ret_response = (struct http_response){.status = 200, .streams = true, .kind = kind};
    if (error == 0)
        return true;
    ret_response->status = stream ? 503 : 404;
    ret_response->streams = false;
    ret_response->content_type = "text/plain; charset=utf-8";
    if (stream)
        snprintf(body, HTTP_BODY_BYTES,
                 "503: '%s' is encoded as %s, this address needs %s, and there is no stream "
                 "'%s+%s'; see /api/v1/streams\n",
                 stream->name, video_codec_name(stream->codec), codec, stream->camera, codec);
    else
        snprintf(body, HTTP_BODY_BYTES,
                 "404: there is no such camera or rendition; see /api/v1/streams\n");
    ret_response->body = body;
    ret_response->body_bytes = strlen(body);
    return true;
}

void pages_get(struct parts *parts, const struct http_request *request,
               struct http_response *ret_response)
{
    enum client_kind kind;
    bool stream = http_stream_kind(request->path, request->query, &kind) == 0;
    unsigned status =
        access_request(&parts->access, request, stream, !stream && !is_page(request->path));

    if (parts->stopping)
        status = 503;
    if (status != 0) {
        http_error(status, ret_response);
        return;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(request->path, pages[i].path) == 0) {
            respond_page(parts, &pages[i], ret_response);
            return;
        }
    }
    if (!stream || !respond_video(parts, request, kind, ret_response))
        respond_health(parts, request, ret_response);
}
