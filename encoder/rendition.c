/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the producer of one packet ring and the coder that fills it; on the camera's thread. Every
 * failure concerns one frame: it is counted, and named once per run of the simulator.
 */
#include "encoder/rendition.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "encoder/keyframes.h"
#include "encoder/pace.h"
#include "encoder/refusals.h"
#include "shm/ring.h"

/* The default rendition has as many viewers as all others together; these have smaller rings. */
#define DEFAULT_LEASES 8
#define OTHER_LEASES 4
#define DEFAULT_HISTORY 8
#define VIDEO_HISTORY 4 /* JPEGs need none: nobody misses what the next one replaces */

struct rendition {
    char name[RING_STREAM_BYTES];
    bool is_default;
    struct ring_producer *packets;
    struct coder coder;
    struct pace pace;
    struct keyframes keyframes;
    struct stream_settings settings;
    struct ring_demand demand; /* as last seen */
    uint64_t frame_seq;
    bool crc;
    bool loss_named;
    bool degraded_named;
    struct refusals refusals;
    struct rendition_counts counts;
    struct histogram encode_times;
};

static int open_ring(struct rendition *rendition, const struct rendition_config *config)
{
    bool video = config->spec.settings.codec != VIDEO_CODEC_JPEG;
    struct ring_producer_config packets = {
        .dir = config->dir,
        .stream = rendition->name,
        .kind = RING_KIND_PACKETS,
        .payload_bytes_max = config->packet_bytes_max,
        .leases_max = rendition->is_default ? DEFAULT_LEASES : OTHER_LEASES,
        .history = rendition->is_default ? DEFAULT_HISTORY
                   : video               ? VIDEO_HISTORY
                                         : 0,
    };

    return ring_producer_open(&packets, &rendition->packets);
}

int rendition_open(const struct rendition_config *config, struct rendition **ret_rendition)
{
    struct rendition *rendition = calloc(1, sizeof(*rendition));

    if (!rendition)
        return -ENOMEM;
    rendition->is_default = config->spec.name[0] == '\0';
    int length = snprintf(rendition->name, sizeof(rendition->name), "%s%s%s", config->camera,
                          rendition->is_default ? "" : "+", config->spec.name);
    rendition->coder = config->coder;
    rendition->coder.name = rendition->name;
    rendition->settings = config->spec.settings;
    rendition->crc = config->crc;
    /* Wall time in milliseconds outruns any frame rate, so the sequence grows over restarts. */
    rendition->frame_seq = (uint64_t)(clock_wall_ns() / NS_PER_MS);
    pace_init(&rendition->pace);
    pace_limit(&rendition->pace, rendition->settings.fps);
    keyframes_init(&rendition->keyframes);
    rendition->keyframes.endless = config->coder.intra_refresh;
    int rc = length < 0 || (size_t)length >= sizeof(rendition->name) ? -ENAMETOOLONG
                                                                     : open_ring(rendition, config);
    if (rc < 0) {
        rendition_close(rendition);
        return rc;
    }
    *ret_rendition = rendition;
    return 0;
}

void rendition_close(struct rendition *rendition)
{
    if (!rendition)
        return;
    coder_close(&rendition->coder);
    ring_producer_close(rendition->packets);
    free(rendition);
}

const char *rendition_name(const struct rendition *rendition)
{
    return rendition->name;
}

int rendition_fd(const struct rendition *rendition)
{
    return ring_producer_demand_fd(rendition->packets);
}

const struct stream_settings *rendition_settings(const struct rendition *rendition)
{
    return &rendition->settings;
}

struct mosaic_size rendition_box(const struct rendition *rendition)
{
    if (rendition->is_default) /* its size is the simulator's */
        return (struct mosaic_size){0, 0};
    return (struct mosaic_size){rendition->settings.width, rendition->settings.height};
}

bool rendition_wanted(const struct rendition *rendition)
{
    return rendition->demand.wanting > 0;
}

/* ---- what viewers ask ---------------------------------------------------------------------- */

/* Whether this rendition may become that codec. */
static bool codec_allowed(const struct rendition *rendition, uint32_t codec)
{
    if (codec == rendition->settings.codec)
        return true;
    if (!rendition->is_default)
        log_warning("%s: codec %s was asked for, but this rendition is always %s", rendition->name,
                    video_codec_name(codec), video_codec_name(rendition->settings.codec));
    return rendition->is_default;
}

/* Merges what a viewer asked for; what cannot be done keeps its present value. */
static void take_settings(struct rendition *rendition, const struct stream_settings *asked)
{
    struct stream_settings merged = rendition->settings;
    char rate[32] = "every frame";

    if (stream_settings_merge(&merged, asked) < 0)
        log_warning("%s: settings out of range were asked for and left as they are",
                    rendition->name);
    if (!codec_allowed(rendition, merged.codec))
        merged.codec = rendition->settings.codec;
    if (!codec_x264.has_preset(merged.preset) && !codec_nvenc.has_preset(merged.preset)) {
        log_warning("%s: preset \"%s\" was asked for, which no encoder has: it stays \"%s\"",
                    rendition->name, merged.preset, rendition->settings.preset);
        memcpy(merged.preset, rendition->settings.preset, sizeof(merged.preset));
    }
    if (merged.fps != rendition->settings.fps)
        pace_limit(&rendition->pace, merged.fps);
    rendition->settings = merged;
    if (merged.fps > 0)
        snprintf(rate, sizeof(rate), "at most %u fps", merged.fps);
    log_info("%s: a viewer asks: %s from now on (JPEG quality %u, %.1f Mbit/s, preset %s, %s)",
             rendition->name, video_codec_name(merged.codec), merged.jpeg_quality,
             merged.bitrate_bps / 1e6, merged.preset, rate);
}

bool rendition_follow(struct rendition *rendition)
{
    struct ring_demand before = rendition->demand;
    struct ring_demand now;
    uint64_t wakes;

    /* Cleared before it is read: what changes after that wakes us again. */
    ssize_t got = read(ring_producer_demand_fd(rendition->packets), &wakes, sizeof(wakes));
    (void)got;
    ring_producer_demand(rendition->packets, &now);
    rendition->demand = now;
    if ((now.wanting > 0) != (before.wanting > 0))
        log_debug("%s: packets are %s", rendition->name,
                  now.wanting > 0 ? "wanted" : "no longer wanted");
    if (now.wanting > before.wanting || now.keyframe_requests != before.keyframe_requests)
        keyframes_ask(&rendition->keyframes);
    if (now.settings_changes == before.settings_changes)
        return false;
    take_settings(rendition, &now.settings);
    return true;
}

bool rendition_takes(struct rendition *rendition, int64_t made_ns)
{
    if (rendition->demand.wanting == 0)
        return false;
    if (pace_take(&rendition->pace, made_ns))
        return true;
    rendition->counts.over_rate++;
    return false;
}

void rendition_restart(struct rendition *rendition)
{
    rendition->refusals.named = false;
    rendition->loss_named = false;
    rendition->degraded_named = false;
    /* The encoder of a GPU knows the memory of the simulator that is gone. */
    if (rendition->coder.backend && rendition->coder.backend->takes_cuda)
        coder_close(&rendition->coder);
    keyframes_need(&rendition->keyframes);
}

/* ---- coding -------------------------------------------------------------------------------- */

/* The picture is lost, and with it what later ones refer to. */
static void lose(struct rendition *rendition, const struct ring_frame *frame, int error)
{
    rendition->counts.lost++;
    keyframes_need(&rendition->keyframes);
    if (rendition->loss_named)
        return;
    rendition->loss_named = true;
    log_warning("%s: frame %" PRIu64 " is lost: %s; more losses are only counted", rendition->name,
                frame->frame_id,
                error == -EMSGSIZE ? "coded, it does not fit a packet slot (--packet-bytes-max)"
                : error == -EBUSY  ? "all packet slots are held by consumers"
                : error == -ESTALE ? "the simulator took it back while it was read"
                                   : "the encoder failed");
}

static void name_degraded(struct rendition *rendition, const struct ring_frame *frame)
{
    if (rendition->degraded_named)
        return;
    rendition->degraded_named = true;
    log_warning("%s: frame %" PRIu64
                " is coded worse than asked, because it would not fit a packet "
                "slot (--packet-bytes-max); more like it are only counted",
                rendition->name, frame->frame_id);
}

/* What a frame is about travels with its packet; what its pixels were like does not. */
static struct ring_frame describe_packet(const struct rendition *rendition,
                                         const struct rendition_input *input,
                                         const struct codec_packet *packet)
{
    struct ring_frame described = *input->frame;
    bool video = rendition->coder.backend->codec != VIDEO_CODEC_JPEG;

    described.payload_bytes = VIDEO_PAYLOAD_OFFSET + packet->size_bytes;
    described.flags = packet->keyframe ? RING_FRAME_KEYFRAME : 0;
    if (rendition->coder.gpu_losses > 0)
        described.flags |= RING_FRAME_GPU_LOST;
    described.fourcc = 0;
    described.stride_bytes = 0;
    described.width = input->picture->width;
    described.height = input->picture->height;
    described.codec = rendition->coder.backend->codec;
    described.matrix = RING_MATRIX_BT601;
    described.range = video ? RING_RANGE_LIMITED : RING_RANGE_FULL;
    if (video) {
        described.width &= ~UINT32_C(1); /* as convert.h says */
        described.height &= ~UINT32_C(1);
    }
    return described;
}

static void publish(struct rendition *rendition, const struct ring_loan *loan,
                    struct ring_frame *frame, const struct codec_packet *packet)
{
    struct video_header header = {
        .frame_id = frame->frame_id,
        .frame_seq = ++rendition->frame_seq,
        .size = (uint32_t)packet->size_bytes,
        .flags = packet->keyframe ? VIDEO_FLAG_KEYFRAME : 0,
        .codec = (uint16_t)frame->codec,
        .crc32 = rendition->crc ? video_crc32(packet->bytes, packet->size_bytes) : 0,
        .reserved = (uint32_t)(frame->stamp_ns[RING_STAGE_PUBLISHED] / NS_PER_US),
    };

    video_packet_finish(loan->payload, &header);
    frame->stamp_ns[RING_STAGE_ENCODE_END] = clock_now_ns();
    histogram_record(&rendition->encode_times, frame->stamp_ns[RING_STAGE_ENCODE_END] -
                                                   frame->stamp_ns[RING_STAGE_ENCODE_BEGIN]);
    PROBE5(encoded, rendition->name, frame->frame_id, packet->size_bytes, packet->keyframe,
           frame->stamp_ns[RING_STAGE_ENCODE_END] - frame->stamp_ns[RING_STAGE_ENCODE_BEGIN]);
    if (ring_publish(rendition->packets, loan, frame) < 0) {
        lose(rendition, frame, -EMSGSIZE);
        return;
    }
    rendition->counts.encoded++;
    rendition->counts.keyframes += packet->keyframe;
    rendition->counts.bytes += packet->size_bytes;
    if (packet->degraded) {
        rendition->counts.degraded++;
        name_degraded(rendition, frame);
    }
}

static int done_with(const struct rendition_input *input)
{
    return input->view ? shared_view_done(input->view) : 0;
}

/* Codes the picture into the loaned slot; its memory is given up as early as can be. */
static int code(struct rendition *rendition, const struct rendition_input *input,
                struct codec_packet *packet)
{
    struct coder *coder = &rendition->coder;
    bool keyframe = keyframes_due(&rendition->keyframes, clock_now_ns());
    int rc = coder->backend->load(coder->codec, input->picture);

    if (rc < 0) {
        done_with(input);
        return rc;
    }
    /* A pin that was revoked while we read may have given us another picture's bytes. */
    int held = 0;
    if (!coder->backend->borrows_picture)
        held = done_with(input);
    rc = coder->backend->encode(coder->codec, keyframe, packet);
    if (coder->backend->borrows_picture)
        held = done_with(input);
    return rc < 0 ? rc : held;
}

static void encode_into(struct rendition *rendition, const struct rendition_input *input,
                        const struct ring_loan *loan)
{
    struct codec_packet packet = {
        .bytes = (uint8_t *)loan->payload + VIDEO_PAYLOAD_OFFSET,
        .bytes_max = loan->payload_bytes_max - VIDEO_PAYLOAD_OFFSET,
    };
    int64_t begin_ns = clock_now_ns();

    memcpy(loan->user, input->user, input->frame->user_bytes);
    int rc = code(rendition, input, &packet);
    if (rc < 0) {
        ring_abandon(rendition->packets, loan);
        if (rc == -EPROTONOSUPPORT)
            refusals_add(&rendition->refusals, rendition->name, input->frame,
                         "the codec does not take this layout");
        else
            lose(rendition, input->frame, rc);
        if (rc == -EIO)
            coder_lost(&rendition->coder); /* opened anew, perhaps another, for the next frame */
        return;
    }
    if (packet.keyframe)
        keyframes_coded(&rendition->keyframes, begin_ns);
    struct ring_frame described = describe_packet(rendition, input, &packet);
    described.stamp_ns[RING_STAGE_ENCODE_BEGIN] = begin_ns;
    publish(rendition, loan, &described, &packet);
}

/* Has a codec ready for pictures like this one. False: none takes them. */
static bool prepare(struct rendition *rendition, const struct rendition_input *input)
{
    struct stream_settings wish = rendition->settings;

    wish.width = input->picture->width;
    wish.height = input->picture->height;
    wish.fps = pace_rate_fps(&rendition->pace);
    int change = coder_fulfil(&rendition->coder, &wish, input->picture);
    if (change < 0) {
        refusals_add(&rendition->refusals, rendition->name, input->frame,
                     coder_reason(&rendition->coder));
        return false;
    }
    if (change == CODER_NEW)
        keyframes_need(&rendition->keyframes);
    return true;
}

void rendition_encode(struct rendition *rendition, const struct rendition_input *input,
                      unsigned slices_max)
{
    struct ring_loan loan;

    rendition->coder.h264_threads = slices_max;
    if (!prepare(rendition, input)) {
        done_with(input);
        return;
    }
    int rc = ring_loan(rendition->packets, &loan);
    if (rc < 0) {
        done_with(input);
        lose(rendition, input->frame, rc);
        return;
    }
    encode_into(rendition, input, &loan);
}

/* ---- reports ------------------------------------------------------------------------------- */

struct rendition_counts rendition_counts(const struct rendition *rendition)
{
    struct rendition_counts counts = rendition->counts;

    counts.refused = rendition->refusals.count;
    counts.gpu_lost = rendition->coder.gpu_losses;
    return counts;
}

const struct histogram *rendition_encode_times(const struct rendition *rendition)
{
    return &rendition->encode_times;
}

void rendition_describe(const struct rendition *rendition, char *ret_text, size_t text_bytes)
{
    const struct coder *coder = &rendition->coder;

    ret_text[0] = '\0';
    if (coder->backend)
        snprintf(ret_text, text_bytes, "%ux%u at %u fps as %s with %s", coder->wish.width,
                 coder->wish.height, coder->wish.fps, video_codec_name(coder->backend->codec),
                 coder->backend->name);
}
