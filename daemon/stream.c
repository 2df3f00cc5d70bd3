/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a stream's source, audience and arrivals, but for those of the default stream. */
#include "daemon/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int stream_split(const char *name, char ret_camera[RING_STREAM_BYTES],
                 char ret_rendition[RING_STREAM_BYTES])
{
    char path[RING_STREAM_BYTES + 32];
    size_t length = strcspn(name, "+");

    if (ring_socket_path("/", name, RING_KIND_PACKETS, path, sizeof(path)) < 0)
        return -EINVAL;
    snprintf(ret_camera, RING_STREAM_BYTES, "%.*s", (int)length, name);
    snprintf(ret_rendition, RING_STREAM_BYTES, "%s", name + length + (name[length] == '+'));
    return 0;
}

static int make(const char *name, uint16_t id, struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return -ENOMEM;
    int error = stream_split(name, stream->camera, stream->rendition);
    if (error < 0) {
        free(stream);
        return error;
    }
    snprintf(stream->name, sizeof(stream->name), "%s", name);
    stream->id = id;
    *ret_stream = stream;
    return 0;
}

int stream_open(const struct stream_terms *terms, const char *name, uint16_t id, int64_t now_ns,
                struct stream **ret_stream)
{
    struct stream *stream;
    int error = make(name, id, &stream);

    if (error < 0)
        return error;
    audience_init(&stream->own_audience, id, terms->counters);
    stream->audience = &stream->own_audience;
    stream->arrivals = &stream->own_arrivals;
    stream->away_ns = now_ns;
    error = source_open_ring(terms->dir, name, terms->counters, &stream->source);
    if (error < 0) {
        free(stream);
        return error;
    }
    stream->demand = (struct demand){
        .ring_only = true,
        .audience = stream->audience,
        .source = stream->source,
        .counters = terms->counters,
        .coalesce_ns = terms->keyframe_coalesce_ns,
        .timeout_ns = terms->keyframe_timeout_ns,
    };
    *ret_stream = stream;
    return 0;
}

int stream_open_default(const char *name, struct source *source, struct fanout *fanout,
                        struct relay *relay, struct stream **ret_stream)
{
    struct stream *stream;
    int error = make(name, 0, &stream);

    if (error < 0)
        return error;
    stream->source = source;
    stream->audience = fanout_audience(fanout);
    stream->arrivals = relay_arrivals(relay);
    stream->relay = relay;
    *ret_stream = stream;
    return 0;
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    if (!stream->relay) {
        source_close(stream->source);
        audience_fini(&stream->own_audience);
    }
    free(stream);
}

void stream_note(struct stream *stream, const struct packet *packet, int64_t now_ns)
{
    stream->codec = (enum video_codec)packet->video.header.codec;
    stream->width = packet->ring_view.frame.width;
    stream->height = packet->ring_view.frame.height;
    stream->frame_ns = now_ns;
    stream->frames++;
    stream->bytes += packet->video.header.size;
    stream->lost += packet->lost;
    stream->gpu_lost = (packet->ring_view.frame.flags & RING_FRAME_GPU_LOST) != 0;
}

/*
 * A frame that was made before anybody watched waited for nobody: how long it lay there tells of
 * no stage.
 */
static void record_stages(struct stream *stream, const struct packet *packet, int64_t taken_ns)
{
    if (stream_wanted(stream) && packet->stamp_ns[RING_STAGE_PACKET_PUBLISHED] >= stream->wanted_ns)
        metrics_record_packet(&stream->stages, packet, taken_ns, clock_now_ns());
}

unsigned stream_take(struct stream *stream)
{
    int64_t now_ns = clock_now_ns();
    struct packet packet;
    unsigned count = 0;

    while (source_take(stream->source, false, now_ns, &packet) == 0) {
        bool broke = audience_packet(stream->audience, &packet, now_ns);
        record_stages(stream, &packet, now_ns);
        arrivals_add(&stream->own_arrivals, &packet, now_ns);
        stream_note(stream, &packet, now_ns);
        if (packet.keyframe)
            demand_satisfied(&stream->demand);
        if (broke)
            demand_keyframe(&stream->demand, now_ns);
        source_release(stream->source, &packet);
        now_ns = clock_now_ns();
        count++;
    }
    return count;
}

void stream_update(struct stream *stream, int64_t now_ns)
{
    if (stream->relay) {
        relay_clients_changed(stream->relay, now_ns);
        return;
    }
    bool was_wanted = stream_wanted(stream);
    demand_update(&stream->demand, now_ns);
    if (stream_wanted(stream) && !was_wanted)
        stream->wanted_ns = now_ns;
}

void stream_keyframe(struct stream *stream, int64_t now_ns)
{
    if (stream->relay)
        relay_client_ready(stream->relay, now_ns);
    else
        demand_keyframe(&stream->demand, now_ns);
}

void stream_second(struct stream *stream)
{
    stream->fps = (unsigned)(stream->frames - stream->frames_before);
    stream->frames_before = stream->frames;
}

bool stream_live(const struct stream *stream, int64_t now_ns)
{
    return source_state(stream->source, now_ns) != SOURCE_NONE;
}

bool stream_wanted(const struct stream *stream)
{
    return stream->relay ? relay_wanted(stream->relay) : stream->demand.ring_wanted;
}
