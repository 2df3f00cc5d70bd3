/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing. The texts that it prints hold no character that JSON would have to escape: names of
 * streams are checked by the ring, addresses are numbers, the rest are constants.
 */
#include "daemon/api.h"

#include <inttypes.h>

#include "base/clock.h"

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

/* A number, or null when it is negative. */
static void write_known(FILE *file, const char *name, int64_t value)
{
    if (value >= 0)
        fprintf(file, ",\"%s\":%" PRId64, name, value);
    else
        fprintf(file, ",\"%s\":null", name);
}

static void write_size(FILE *file, const struct stream *stream)
{
    bool known = stream->width > 0;

    write_known(file, "width", known ? (int64_t)stream->width : -1);
    write_known(file, "height", known ? (int64_t)stream->height : -1);
}

/* Where programs find it: of a camera's usual rendition any codec, of another one its own. */
static void write_paths(FILE *file, const struct stream *stream)
{
    static const struct {
        const char *name;
        const char *path;
        enum video_codec codec;
    } paths[] = {
        {"mjpeg", "/stream", VIDEO_CODEC_JPEG},
        {"jpeg", "/snapshot", VIDEO_CODEC_JPEG},
        {"h264", "/video.h264", VIDEO_CODEC_H264},
    };
    char query[2 * RING_STREAM_BYTES + 32] = "";

    if (stream->rendition[0] != '\0')
        snprintf(query, sizeof(query), "?camera=%s&rendition=%s", stream->camera,
                 stream->rendition);
    else if (stream->id != 0)
        snprintf(query, sizeof(query), "?camera=%s", stream->camera);
    fputs(",\"paths\":{\"websocket\":\"/stream/ws\"", file);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (stream->rendition[0] == '\0' || stream->codec == paths[i].codec)
            fprintf(file, ",\"%s\":\"%s%s\"", paths[i].name, paths[i].path, query);
    }
    fputs("}", file);
}

static void write_stream(FILE *file, const struct stream *stream, int64_t now_ns)
{
    fprintf(file,
            "{\"id\":%u,\"name\":\"%s\",\"camera\":\"%s\",\"rendition\":\"%s\",\"source\":\"%s\","
            "\"live\":%s,\"wanted\":%s,\"codec\":\"%s\"",
            stream->id, stream->name, stream->camera, stream->rendition,
            source_name(stream->source, now_ns), truth(stream_live(stream, now_ns)),
            truth(stream_wanted(stream)), video_codec_name(stream->codec));
    write_size(file, stream);
    fprintf(file,
            ",\"fps\":%u,\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lost\":%" PRIu64
            ",\"clients\":%u",
            stream->fps, stream->frames, stream->bytes, stream->lost,
            audience_watchers(stream->audience));
    write_known(file, "last_frame_age_ms",
                stream->frame_ns > 0 ? (now_ns - stream->frame_ns) / NS_PER_MS : -1);
    write_paths(file, stream);
    fputs("}", file);
}

void api_write_streams(FILE *file, const struct streams *streams, int64_t now_ns)
{
    fputs("{\"streams\":[", file);
    for (unsigned i = 0; i < streams_count(streams); i++) {
        if (i > 0)
            fputs(",\n", file);
        write_stream(file, streams_at(streams, i), now_ns);
    }
    fputs("]}\n", file);
}

void api_write_choices(FILE *file, const struct streams *streams, int64_t now_ns)
{
    fputs("[", file);
    for (unsigned i = 0; i < streams_count(streams); i++) {
        const struct stream *stream = streams_at(streams, i);
        fprintf(file,
                "%s{\"id\":%u,\"stream\":\"%s\",\"rendition\":\"%s\",\"live\":%s,\"codec\":\"%s\"",
                i > 0 ? "," : "", stream->id, stream->camera, stream->rendition,
                truth(stream_live(stream, now_ns)), video_codec_name(stream->codec));
        write_size(file, stream);
        fputs("}", file);
    }
    fputs("]", file);
}

static void write_subscriptions(FILE *file, const struct client *client,
                                const struct streams *streams)
{
    fputs(",\"streams\":[", file);
    for (unsigned i = 0; i < client->subscription_count; i++) {
        const struct subscription *subscription = client->subscriptions[i];
        fprintf(file,
                "%s{\"id\":%u,\"name\":\"%s\",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64
                ",\"missed\":%" PRIu64 ",\"in_step\":%s,\"paused\":%s}",
                i > 0 ? "," : "", subscription->stream,
                streams_by_id(streams, subscription->stream)->name, subscription->frames,
                subscription->frame_bytes, subscription->missed_total, truth(subscription->in_step),
                truth(subscription->paused));
    }
    fputs("]", file);
}

static void write_client(FILE *file, const struct client *client, const struct streams *streams,
                         int64_t now_ns)
{
    struct client_totals totals;

    client_totals(client, &totals);
    fprintf(
        file,
        "{\"id\":%" PRIu32
        ",\"kind\":\"%s\",\"role\":\"%s\",\"name\":\"%s\",\"address\":\"%s\",\"connected_s\":%" PRId64
        ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"missed\":%" PRIu64
        ",\"in_step\":%s,\"queued\":%zu",
        client->id, http_stream_name(client->kind), auth_role_name(client->role), client->name,
        client->address, (now_ns - client->connected_ns) / NS_PER_S, totals.frames,
        totals.frame_bytes, totals.missed, truth(totals.in_step), client->outbox.count);
    write_subscriptions(file, client, streams);
    fputs("}", file);
}

void api_write_clients(FILE *file, const struct fanout *fanout, const struct streams *streams,
                       int64_t now_ns)
{
    fputs("{\"clients\":[", file);
    for (unsigned i = 0; i < fanout_connections(fanout); i++) {
        if (i > 0)
            fputs(",\n", file);
        write_client(file, fanout_client(fanout, i), streams, now_ns);
    }
    fputs("]}\n", file);
}
