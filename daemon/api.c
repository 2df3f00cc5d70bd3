/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns nothing. The texts that it prints hold no character that JSON would have to escape: names of
 * streams are checked by the ring, addresses are numbers, the rest are constants.
 */
#include "daemon/api.h"

#include <inttypes.h>

#include "base/clock.h"

void api_write_streams(FILE *file, const struct api_stream *stream)
{
    fprintf(file, "{\"streams\":[{\"name\":\"%s\",\"source\":\"%s\",\"codec\":\"%s\"", stream->name,
            stream->source, video_codec_name(stream->codec));
    if (stream->width > 0)
        fprintf(file, ",\"width\":%u,\"height\":%u", stream->width, stream->height);
    else
        fputs(",\"width\":null,\"height\":null", file);
    fprintf(file,
            ",\"fps\":%u,\"frames\":%" PRIu64 ",\"clients\":%u,\"last_frame_age_ms\":", stream->fps,
            stream->frames, stream->clients);
    if (stream->last_frame_age_ms >= 0)
        fprintf(file, "%" PRId64, stream->last_frame_age_ms);
    else
        fputs("null", file);
    fputs(",\"paths\":{\"websocket\":\"/stream/ws\",\"mjpeg\":\"/stream\",\"jpeg\":\"/snapshot\","
          "\"h264\":\"/video.h264\"}}]}\n",
          file);
}

static void write_subscriptions(FILE *file, const struct client *client)
{
    fputs(",\"streams\":[", file);
    for (unsigned i = 0; i < client->subscription_count; i++) {
        const struct subscription *subscription = client->subscriptions[i];
        fprintf(file,
                "%s{\"id\":%u,\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"missed\":%" PRIu64
                ",\"in_step\":%s,\"paused\":%s}",
                i > 0 ? "," : "", subscription->stream, subscription->frames,
                subscription->frame_bytes, subscription->missed_total,
                subscription->in_step ? "true" : "false", subscription->paused ? "true" : "false");
    }
    fputs("]", file);
}

static void write_client(FILE *file, const struct client *client, int64_t now_ns)
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
        totals.frame_bytes, totals.missed, totals.in_step ? "true" : "false", client->outbox.count);
    write_subscriptions(file, client);
    fputs("}", file);
}

void api_write_clients(FILE *file, const struct fanout *fanout, int64_t now_ns)
{
    fputs("{\"clients\":[", file);
    for (unsigned i = 0; i < fanout_connections(fanout); i++) {
        if (i > 0)
            fputs(",\n", file);
        write_client(file, fanout_client(fanout, i), now_ns);
    }
    fputs("]}\n", file);
}
