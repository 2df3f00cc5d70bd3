/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the ring's consumer and the slot's reader. What peers wrote is checked here: a packet that
 * does not parse is counted and skipped, never passed on.
 */
#include "daemon/source.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "shm/legacy_slot_file.h"

#define RING_SILENT_NS (1 * NS_PER_S)  /* then the slot may speak */
#define SLOT_LIVE_NS (2 * NS_PER_S)    /* a slot that delivered within this is a source */
#define SLOT_PERIOD_NS (2 * NS_PER_MS) /* while it delivers */
#define SLOT_IDLE_PERIOD_NS (50 * NS_PER_MS)

struct source {
    struct ring_consumer *ring;    /* NULL: not asked for */
    struct legacy_slot_file *slot; /* NULL: not asked for */
    struct counters *counters;
    int64_t ring_ns; /* arrival of the newest packet; 0: none */
    int64_t slot_ns; /* arrival of the newest slot frame that was passed on or could have been */
    bool slot_seen;  /* a first look at the file was had */
    uint64_t slot_gaps;
    bool runs_free; /* the newest packet passed on came from the slot */
};

static int open_ring(struct source *source, const char *dir, const char *stream)
{
    const struct ring_consumer_config ring = {
        .dir = dir,
        .stream = stream,
        .kind = RING_KIND_PACKETS,
    };

    return ring_consumer_open(&ring, &source->ring);
}

int source_open(const struct config *config, struct counters *counters, struct source **ret_source)
{
    struct source *source = calloc(1, sizeof(*source));
    int error = 0;

    if (!source)
        return -ENOMEM;
    source->counters = counters;
    if (config->video_source != VIDEO_SOURCE_LEGACY)
        error = open_ring(source, config->ipc_dir, config->stream);
    if (error == 0 && config->video_source != VIDEO_SOURCE_RING)
        error = legacy_slot_file_open(config->legacy_path, config->legacy_bytes, config->legacy_crc,
                                      &source->slot);
    if (error < 0) {
        source_close(source);
        return error;
    }
    *ret_source = source;
    return 0;
}

int source_open_ring(const char *dir, const char *stream, struct counters *counters,
                     struct source **ret_source)
{
    struct source *source = calloc(1, sizeof(*source));

    if (!source)
        return -ENOMEM;
    source->counters = counters;
    int error = open_ring(source, dir, stream);
    if (error < 0) {
        source_close(source);
        return error;
    }
    *ret_source = source;
    return 0;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    ring_consumer_close(source->ring);
    legacy_slot_file_close(source->slot);
    free(source);
}

int source_fd(const struct source *source)
{
    return source->ring ? ring_consumer_fd(source->ring) : -1;
}

static bool ring_delivers(const struct source *source, int64_t now_ns)
{
    return source->ring_ns > 0 && now_ns - source->ring_ns < RING_SILENT_NS;
}

static bool slot_delivers(const struct source *source, int64_t now_ns)
{
    return source->slot_ns > 0 && now_ns - source->slot_ns < SLOT_LIVE_NS;
}

int64_t source_period_ns(const struct source *source, int64_t now_ns)
{
    if (!source->slot)
        return 0;
    return slot_delivers(source, now_ns) && !ring_delivers(source, now_ns) ? SLOT_PERIOD_NS
                                                                           : SLOT_IDLE_PERIOD_NS;
}

static int take_from_ring(struct source *source, int64_t now_ns, struct packet *ret_packet)
{
    struct ring_view view;
    struct packet packet = {0};
    int error;

    do {
        error = ring_acquire(source->ring, RING_NEXT, &view);
        if (error == 0 &&
            video_packet_parse(view.payload, view.frame.payload_bytes, &packet.video) < 0) {
            ring_release(source->ring, &view);
            error = -EPROTO;
        }
        if (error == -EPROTO)
            source->counters->packets_malformed++;
    } while (error == -EPROTO);
    if (error < 0)
        return -EAGAIN;
    source->ring_ns = now_ns;
    source->runs_free = false;
    source->counters->packets_lost += view.lost;
    packet.keyframe = packet.video.header.codec == VIDEO_CODEC_JPEG ||
                      (packet.video.header.flags & VIDEO_FLAG_KEYFRAME) != 0;
    packet.lost = view.lost;
    packet.sim_time_ns = view.frame.sim_time_ns;
    for (unsigned i = 0; i < RING_STAGE_COUNT; i++)
        packet.stamp_ns[i] = view.frame.stamp_ns[i];
    packet.ring_view = view;
    *ret_packet = packet;
    return 0;
}

/* Frames that the writer overwrote unseen since the last call. */
static uint64_t slot_losses(struct source *source)
{
    struct legacy_slot_counters slot;
    uint64_t before = source->slot_gaps;

    legacy_slot_file_counters(source->slot, &slot);
    source->slot_gaps = slot.gaps;
    return slot.gaps - before;
}

static int take_from_slot(struct source *source, int64_t now_ns, struct packet *ret_packet)
{
    struct packet packet = {.legacy = true};
    int error = legacy_slot_file_take(source->slot, &packet.video);
    bool first_look = !source->slot_seen;

    if (error == -EPROTO || error == -EBADMSG)
        source->counters->packets_malformed++;
    source->slot_seen = true;
    if (error < 0 || first_look)
        return -EAGAIN;
    source->slot_ns = now_ns;
    packet.lost = slot_losses(source);
    if (ring_delivers(source, now_ns))
        return -EAGAIN;
    source->runs_free = true;
    source->counters->packets_lost += packet.lost;
    packet.keyframe = packet.video.header.codec == VIDEO_CODEC_JPEG ||
                      (packet.video.header.flags & VIDEO_FLAG_KEYFRAME) != 0;
    *ret_packet = packet;
    return 0;
}

int source_take(struct source *source, bool poll, int64_t now_ns, struct packet *ret_packet)
{
    int error = -EAGAIN;

    if (source->ring)
        error = take_from_ring(source, now_ns, ret_packet);
    if (error == -EAGAIN && poll && source->slot)
        error = take_from_slot(source, now_ns, ret_packet);
    return error;
}

void source_release(struct source *source, const struct packet *packet)
{
    if (!packet->legacy)
        ring_release(source->ring, &packet->ring_view);
}

void source_want(struct source *source, bool wanted)
{
    if (source->ring)
        ring_consumer_want(source->ring, wanted);
}

void source_request_keyframe(struct source *source)
{
    if (source->ring)
        ring_consumer_request_keyframe(source->ring);
}

void source_settings(struct source *source, const struct stream_settings *settings)
{
    if (source->ring)
        ring_consumer_settings(source->ring, settings);
}

enum source_state source_state(const struct source *source, int64_t now_ns)
{
    if (source->ring && ring_delivers(source, now_ns))
        return SOURCE_RING;
    if (source->slot && slot_delivers(source, now_ns))
        return SOURCE_LEGACY;
    if (source->ring && ring_consumer_link(source->ring) == RING_ATTACHED)
        return SOURCE_RING;
    return SOURCE_NONE;
}

const char *source_name(const struct source *source, int64_t now_ns)
{
    static const char *const names[] = {
        [SOURCE_NONE] = "none",
        [SOURCE_RING] = "ring",
        [SOURCE_LEGACY] = "legacy",
    };

    return names[source_state(source, now_ns)];
}

bool source_runs_free(const struct source *source)
{
    return source->runs_free || !source->ring;
}

const char *source_reason(struct source *source)
{
    if (source->ring)
        return ring_consumer_link_reason(source->ring);
    return "nobody writes to the legacy frame slot";
}

uint64_t source_sequence(struct source *source, int64_t now_ns)
{
    if (source_state(source, now_ns) == SOURCE_LEGACY)
        return legacy_slot_file_sequence(source->slot);
    return source->ring ? ring_consumer_newest(source->ring) : 0;
}
