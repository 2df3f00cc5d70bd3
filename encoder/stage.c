/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the consumer of the frame ring, the producer of the packet ring and the coder; runs on the
 * one thread that calls stage_step. Every failure concerns one frame: it is counted, and named
 * once per run of the simulator.
 */
#include "encoder/stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "encoder/keyframes.h"
#include "encoder/pace.h"
#include "proto/pixel.h"
#include "shm/ring.h"

#define PACKET_LEASES 8
#define PACKET_HISTORY 8

struct stage {
    struct ring_consumer *frames;
    struct ring_producer *packets;
    struct coder coder;
    struct pace pace;
    struct keyframes keyframes;
    struct stream_settings settings;
    struct ring_demand demand; /* as last seen */
    enum ring_link link;
    uint64_t epoch; /* of the simulator's run */
    uint64_t frame_seq;
    bool crc;
    bool refusal_named;
    bool loss_named;
    struct stage_counts counts;
    struct histogram encode_times;
};

static int open_rings(struct stage *stage, const struct stage_config *config)
{
    struct ring_producer_config packets = {
        .dir = config->dir,
        .stream = config->stream,
        .kind = RING_KIND_PACKETS,
        .payload_bytes_max = config->packet_bytes_max,
        .leases_max = PACKET_LEASES,
        .history = PACKET_HISTORY,
    };
    struct ring_consumer_config frames = {
        .dir = config->dir,
        .stream = config->stream,
        .kind = RING_KIND_FRAMES,
    };
    int rc = ring_producer_open(&packets, &stage->packets);

    return rc < 0 ? rc : ring_consumer_open(&frames, &stage->frames);
}

/* The simulator need not render more than is encoded, nor at another size. */
static void tell_simulator(struct stage *stage)
{
    struct stream_settings settings = {
        .width = stage->settings.width,
        .height = stage->settings.height,
        .fps = stage->settings.fps,
    };

    ring_consumer_settings(stage->frames, &settings);
}

int stage_open(const struct stage_config *config, struct stage **ret_stage)
{
    if (config->packet_bytes_max < STAGE_PACKET_BYTES_MIN)
        return -EINVAL;
    struct stage *stage = calloc(1, sizeof(*stage));
    if (!stage)
        return -ENOMEM;
    stage->coder = (struct coder){
        .choice = config->choice,
        .jpeg_instead = config->jpeg_instead,
        .jpeg_threads = config->jpeg_threads,
        .packet_bytes_max = config->packet_bytes_max - VIDEO_PAYLOAD_OFFSET,
    };
    stage->settings = config->settings;
    stage->crc = config->crc;
    /* Wall time in milliseconds outruns any frame rate, so the sequence grows over restarts. */
    stage->frame_seq = (uint64_t)(clock_wall_ns() / NS_PER_MS);
    pace_init(&stage->pace);
    pace_limit(&stage->pace, stage->settings.fps);
    keyframes_init(&stage->keyframes);
    int rc = open_rings(stage, config);
    if (rc < 0) {
        stage_close(stage);
        return rc;
    }
    if (stage->settings.fps > 0)
        tell_simulator(stage);
    *ret_stage = stage;
    return 0;
}

void stage_close(struct stage *stage)
{
    if (!stage)
        return;
    coder_close(&stage->coder);
    ring_consumer_close(stage->frames);
    ring_producer_close(stage->packets);
    free(stage);
}

void stage_poll_fds(const struct stage *stage, struct pollfd ret_fds[STAGE_POLL_FDS])
{
    ret_fds[0] = (struct pollfd){.fd = ring_consumer_fd(stage->frames), .events = POLLIN};
    ret_fds[1] = (struct pollfd){.fd = ring_producer_demand_fd(stage->packets), .events = POLLIN};
}

/* Merges what a viewer asked for; what cannot be done keeps its present value. */
static void take_settings(struct stage *stage, const struct stream_settings *asked)
{
    struct stream_settings merged = stage->settings;

    if (stream_settings_merge(&merged, asked) < 0)
        log_warning("settings out of range were asked for and left as they are");
    if (merged.codec == VIDEO_CODEC_HEVC) {
        log_warning("codec hevc was asked for, but only h264 and jpeg can be encoded: it stays %s",
                    video_codec_name(stage->settings.codec));
        merged.codec = stage->settings.codec;
    }
    if (!codec_x264.has_preset(merged.preset) && !codec_nvenc.has_preset(merged.preset)) {
        log_warning("preset \"%s\" was asked for, which no encoder has: it stays \"%s\"",
                    merged.preset, stage->settings.preset);
        memcpy(merged.preset, stage->settings.preset, sizeof(merged.preset));
    }
    if (merged.fps != stage->settings.fps)
        pace_limit(&stage->pace, merged.fps);
    stage->settings = merged;
    tell_simulator(stage);
    log_info(
        "asked for: codec %s, JPEG quality %u, %.1f Mbit/s, preset %s, fps %u (0: as they come)",
        video_codec_name(merged.codec), merged.jpeg_quality, merged.bitrate_bps / 1e6,
        merged.preset, merged.fps);
}

static void follow_demand(struct stage *stage)
{
    struct ring_demand before = stage->demand;
    struct ring_demand now;
    uint64_t wakes;

    /* Cleared before it is read: what changes after that wakes us again. */
    ssize_t got = read(ring_producer_demand_fd(stage->packets), &wakes, sizeof(wakes));
    (void)got;
    ring_producer_demand(stage->packets, &now);
    stage->demand = now;
    if ((now.wanting > 0) != (before.wanting > 0)) {
        log_debug("packets are %s", now.wanting > 0 ? "wanted" : "no longer wanted");
        ring_consumer_want(stage->frames, now.wanting > 0);
    }
    if (now.wanting > before.wanting || now.keyframe_requests != before.keyframe_requests)
        keyframes_ask(&stage->keyframes);
    if (now.settings_changes != before.settings_changes)
        take_settings(stage, &now.settings);
}

static void follow_link(struct stage *stage)
{
    enum ring_link link = ring_consumer_link(stage->frames);

    if (link == stage->link)
        return;
    stage->link = link;
    if (link == RING_ATTACHED)
        log_info("the simulator is here");
    else if (link == RING_REFUSED)
        log_warning("the simulator's ring cannot be used: %s",
                    ring_consumer_link_reason(stage->frames));
    else
        log_info("the simulator is gone, waiting for it: %s",
                 ring_consumer_link_reason(stage->frames));
}

static void refuse(struct stage *stage, const struct ring_frame *frame, const char *reason)
{
    stage->counts.refused++;
    if (stage->refusal_named)
        return;
    stage->refusal_named = true;
    log_warning("frame %" PRIu64 " (%ux%u, %s, stride %u, %" PRIu64 " bytes) is refused: %s; "
                "more like it are only counted",
                frame->frame_id, frame->width, frame->height, pixel_name(frame->fourcc),
                frame->stride_bytes, frame->payload_bytes, reason);
}

/* The picture is lost, and with it what later ones refer to. */
static void lose(struct stage *stage, const struct ring_frame *frame, int error)
{
    stage->counts.lost++;
    keyframes_need(&stage->keyframes);
    if (stage->loss_named)
        return;
    stage->loss_named = true;
    log_warning("frame %" PRIu64 " is lost: %s; more losses are only counted", frame->frame_id,
                error == -EMSGSIZE ? "coded, it does not fit a packet slot (--packet-bytes-max)"
                : error == -EBUSY  ? "all packet slots are held by consumers"
                                   : "the encoder failed");
}

/* What a frame is about travels with its packet; what its pixels were like does not. */
static struct ring_frame describe_packet(const struct stage *stage, const struct ring_frame *frame,
                                         const struct codec_packet *packet)
{
    struct ring_frame described = *frame;
    bool h264 = stage->coder.backend->codec == VIDEO_CODEC_H264;

    described.payload_bytes = VIDEO_PAYLOAD_OFFSET + packet->size_bytes;
    described.flags = packet->keyframe ? RING_FRAME_KEYFRAME : 0;
    described.fourcc = 0;
    described.stride_bytes = 0;
    described.codec = stage->coder.backend->codec;
    described.matrix = RING_MATRIX_BT601;
    described.range = h264 ? RING_RANGE_LIMITED : RING_RANGE_FULL;
    if (h264) {
        described.width &= ~UINT32_C(1); /* as convert.h says */
        described.height &= ~UINT32_C(1);
    }
    return described;
}

static void publish(struct stage *stage, const struct ring_loan *loan, struct ring_frame *frame,
                    const struct codec_packet *packet)
{
    struct video_header header = {
        .frame_id = frame->frame_id,
        .frame_seq = ++stage->frame_seq,
        .size = (uint32_t)packet->size_bytes,
        .flags = packet->keyframe ? VIDEO_FLAG_KEYFRAME : 0,
        .codec = (uint16_t)frame->codec,
        .crc32 = stage->crc ? video_crc32(packet->bytes, packet->size_bytes) : 0,
        .reserved = (uint32_t)(frame->stamp_ns[RING_STAGE_PUBLISHED] / NS_PER_US),
    };

    video_packet_finish(loan->payload, &header);
    frame->stamp_ns[RING_STAGE_ENCODE_END] = clock_now_ns();
    histogram_record(&stage->encode_times, frame->stamp_ns[RING_STAGE_ENCODE_END] -
                                               frame->stamp_ns[RING_STAGE_ENCODE_BEGIN]);
    if (ring_publish(stage->packets, loan, frame) < 0) {
        lose(stage, frame, -EMSGSIZE);
        return;
    }
    stage->counts.encoded++;
    stage->counts.keyframes += packet->keyframe;
    stage->counts.degraded += packet->degraded;
    stage->counts.bytes += packet->size_bytes;
}

/* Codes the view's picture into the loaned slot; the view is released as early as can be. */
static int code(struct stage *stage, const struct ring_view *view, const struct picture *picture,
                struct codec_packet *packet)
{
    struct coder *coder = &stage->coder;
    bool keyframe = keyframes_due(&stage->keyframes, clock_now_ns());
    int rc = coder->backend->load(coder->codec, picture);

    if (rc < 0) {
        ring_release(stage->frames, view);
        return rc;
    }
    /* A pin that was revoked while we read may have given us another picture's bytes. */
    int held = 0;
    if (!coder->backend->borrows_picture)
        held = ring_release(stage->frames, view);
    rc = coder->backend->encode(coder->codec, keyframe, packet);
    if (coder->backend->borrows_picture)
        held = ring_release(stage->frames, view);
    return rc < 0 ? rc : held;
}

static void encode(struct stage *stage, const struct ring_view *view, const struct picture *picture,
                   const struct ring_loan *loan)
{
    struct ring_frame frame = view->frame;
    struct codec_packet packet = {
        .bytes = (uint8_t *)loan->payload + VIDEO_PAYLOAD_OFFSET,
        .bytes_max = loan->payload_bytes_max - VIDEO_PAYLOAD_OFFSET,
    };

    memcpy(loan->user, view->user, frame.user_bytes);
    frame.stamp_ns[RING_STAGE_ENCODE_BEGIN] = clock_now_ns();
    int rc = code(stage, view, picture, &packet);
    if (rc < 0) {
        ring_abandon(stage->packets, loan);
        if (rc == -EPROTONOSUPPORT)
            refuse(stage, &frame, "the codec does not take this layout");
        else
            lose(stage, &frame, rc);
        if (rc == -EIO)
            coder_close(&stage->coder); /* opened anew, perhaps another, for the next frame */
        return;
    }
    if (packet.keyframe)
        keyframes_coded(&stage->keyframes, frame.stamp_ns[RING_STAGE_ENCODE_BEGIN]);
    struct ring_frame described = describe_packet(stage, &frame, &packet);
    publish(stage, loan, &described, &packet);
}

/* Checks the frame and has a codec ready for it. False: refused. */
static bool prepare(struct stage *stage, const struct ring_view *view, struct picture *ret_picture)
{
    struct stream_settings wish = stage->settings;
    const char *reason = NULL;

    if (picture_from_frame(&view->frame, view->payload, ret_picture, &reason) < 0) {
        refuse(stage, &view->frame, reason);
        return false;
    }
    wish.width = ret_picture->width;
    wish.height = ret_picture->height;
    wish.fps = pace_rate_fps(&stage->pace);
    int change = coder_fulfil(&stage->coder, &wish);
    if (change < 0) {
        refuse(stage, &view->frame, "no encoder takes it");
        return false;
    }
    if (change == CODER_NEW)
        keyframes_need(&stage->keyframes);
    return true;
}

static void enter_epoch(struct stage *stage, uint64_t epoch)
{
    stage->epoch = epoch;
    stage->refusal_named = false;
    stage->loss_named = false;
    keyframes_need(&stage->keyframes);
}

/* Whether the frame is to be encoded at all. */
static bool take(struct stage *stage, const struct ring_frame *frame)
{
    int64_t made_ns = frame->stamp_ns[RING_STAGE_PUBLISHED];

    if (stage->demand.wanting == 0)
        return false;
    if (pace_take(&stage->pace, made_ns > 0 ? made_ns : clock_now_ns()))
        return true;
    stage->counts.over_rate++;
    return false;
}

static void handle(struct stage *stage, const struct ring_view *view)
{
    struct picture picture;
    struct ring_loan loan;

    if (view->epoch != stage->epoch)
        enter_epoch(stage, view->epoch);
    if (!take(stage, &view->frame) || !prepare(stage, view, &picture)) {
        ring_release(stage->frames, view);
        return;
    }
    int rc = ring_loan(stage->packets, &loan);
    if (rc < 0) {
        ring_release(stage->frames, view);
        lose(stage, &view->frame, rc);
        return;
    }
    encode(stage, view, &picture, &loan);
}

bool stage_step(struct stage *stage)
{
    struct ring_view view;

    follow_demand(stage);
    int rc = ring_acquire(stage->frames, RING_LATEST, &view);
    follow_link(stage);
    if (rc == 0)
        handle(stage, &view);
    else if (rc == -EPROTO)
        stage->counts.refused++;
    return rc == 0 || rc == -EPROTO;
}

struct stage_counts stage_counts(const struct stage *stage)
{
    return stage->counts;
}

const struct histogram *stage_encode_times(const struct stage *stage)
{
    return &stage->encode_times;
}

void stage_describe(struct stage *stage, char *ret_text, size_t text_bytes)
{
    const struct coder *coder = &stage->coder;

    if (ring_consumer_link(stage->frames) != RING_ATTACHED)
        snprintf(ret_text, text_bytes, "waiting for the simulator: %s",
                 ring_consumer_link_reason(stage->frames));
    else if (stage->demand.wanting == 0)
        snprintf(ret_text, text_bytes, "idle: nobody wants packets");
    else if (!coder->backend)
        snprintf(ret_text, text_bytes, "waiting for the first frame");
    else
        snprintf(ret_text, text_bytes, "encoding %ux%u at %u fps as %s with %s", coder->wish.width,
                 coder->wish.height, coder->wish.fps, video_codec_name(coder->backend->codec),
                 coder->backend->name);
}
