/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's struct alone. Whatever a peer sends ends as a count, never as an error. */
#include "cli/measure.h"

#include <string.h>

#include "base/clock.h"
#include "proto/video.h"

void measure_connected(struct measure *measure)
{
    measure->connections++;
    measure->at_start = true;
    measure->has_info = false;
}

/* What is wrong with the bytes themselves; NULL: nothing. */
static const char *complaint_about_bytes(const struct video_header *header, const uint8_t *payload,
                                         size_t payload_bytes)
{
    if (header->size != payload_bytes || payload_bytes == 0)
        return "the header's size is not the payload's";
    if (header->codec < VIDEO_CODEC_H264 || header->codec > VIDEO_CODEC_JPEG)
        return "an unknown codec";
    if (header->crc32 != 0 && header->crc32 != video_crc32(payload, payload_bytes))
        return "the CRC-32 differs";
    return NULL;
}

/* What is wrong with the place in the stream; NULL: nothing. */
static const char *complaint_about_order(const struct measure *measure,
                                         const struct video_header *header)
{
    bool keyframe = header->flags & VIDEO_FLAG_KEYFRAME;

    if (!measure->has_info || measure->info.frame_seq != header->frame_seq)
        return "no FRAME_INFO of its own came before it";
    if (measure->at_start)
        return keyframe ? NULL : "the first frame of a connection is not a keyframe";
    if (header->frame_seq <= measure->frame_seq)
        return "frame_seq did not grow";
    if (header->frame_seq != measure->frame_seq + 1 && !keyframe)
        return "a gap in frame_seq before a frame that is not a keyframe";
    return NULL;
}

static void record(struct measure *measure, enum measure_stage stage, int64_t from_ns,
                   int64_t to_ns)
{
    if (from_ns != 0 && to_ns != 0)
        histogram_record(&measure->stages[stage], to_ns - from_ns);
}

static void record_stages(struct measure *measure, int64_t now_ns)
{
    const int64_t *stamp_ns = measure->info.stamp_ns;

    record(measure, MEASURE_RING, stamp_ns[FRAME_STAGE_PUBLISHED],
           stamp_ns[FRAME_STAGE_ENCODE_BEGIN]);
    record(measure, MEASURE_ENCODE, stamp_ns[FRAME_STAGE_ENCODE_BEGIN],
           stamp_ns[FRAME_STAGE_ENCODE_END]);
    record(measure, MEASURE_PACKET, stamp_ns[FRAME_STAGE_ENCODE_END],
           stamp_ns[FRAME_STAGE_PACKET_PUBLISHED]);
    record(measure, MEASURE_FANOUT, stamp_ns[FRAME_STAGE_PACKET_PUBLISHED], now_ns);
    record(measure, MEASURE_LATENCY, stamp_ns[FRAME_STAGE_PUBLISHED], now_ns);
}

static void take_video(struct measure *measure, const uint8_t *message, size_t message_bytes,
                       int64_t now_ns)
{
    struct video_header header;
    const char *why = "shorter than its header";

    if (message_bytes > 1 + VIDEO_HEADER_BYTES) {
        video_header_decode(message + 1, &header);
        why = complaint_about_bytes(&header, message + 1 + VIDEO_HEADER_BYTES,
                                    message_bytes - 1 - VIDEO_HEADER_BYTES);
        if (!why)
            why = complaint_about_order(measure, &header);
        measure->frame_seq = header.frame_seq;
        measure->at_start = false;
    }
    if (why) {
        measure->torn++;
        measure->torn_why = why;
    } else {
        measure->frames++;
        measure->missed += measure->info.missed;
        measure->codec = header.codec;
        if (measure->first_ns == 0)
            measure->first_ns = now_ns;
        measure->last_ns = now_ns;
        record_stages(measure, now_ns);
    }
    measure->has_info = false;
}

void measure_message(struct measure *measure, const uint8_t *message, size_t message_bytes,
                     int64_t now_ns)
{
    if (message_bytes == 0)
        return;
    switch (message[0]) {
    case FRAME_INFO_MESSAGE_TYPE:
        measure->has_info = frame_info_decode(message, message_bytes, &measure->info) == 0;
        break;
    case VIDEO_MESSAGE_TYPE:
        take_video(measure, message, message_bytes, now_ns);
        break;
    default:
        break;
    }
}

double measure_fps(const struct measure *measure)
{
    int64_t span_ns = measure->last_ns - measure->first_ns;

    return measure->frames > 1 && span_ns > 0
               ? (double)(measure->frames - 1) * (double)NS_PER_S / (double)span_ns
               : 0;
}
