/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state per part of a message. Parts that must be seen whole (heads, a picture's start, its
 * mark) are held until they are; bodies are compared in place.
 */
#include "bench/fanout_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/video.h"
#include "proto/viewer.h"

#define OPCODE_BINARY 2
#define OPCODE_CLOSE 8
#define BLANK_LINE "\r\n\r\n"
#define LENGTH_FIELD "content-length:"

void fanout_stream_init(struct fanout_stream *stream, enum fanout_protocol protocol)
{
    *stream = (struct fanout_stream){.protocol = protocol};
}

/* Holds bytes until `wanted` of them are there; returns whether they are. */
static bool hold(struct fanout_stream *stream, struct fanout_bytes *bytes, size_t wanted)
{
    size_t lacking = wanted > stream->held_bytes ? wanted - stream->held_bytes : 0;
    size_t count = lacking < bytes->count ? lacking : bytes->count;

    memcpy(stream->held + stream->held_bytes, bytes->at, count);
    stream->held_bytes += count;
    bytes->at += count;
    bytes->count -= count;
    return stream->held_bytes >= wanted;
}

static int enter(struct fanout_stream *stream, enum fanout_part part)
{
    stream->part = part;
    stream->held_bytes = 0;
    return 0;
}

static int skip(struct fanout_stream *stream, size_t count)
{
    stream->left_bytes = count;
    return enter(stream, count > 0 ? FANOUT_SKIP : FANOUT_HEAD);
}

/* What follows a head: a picture of that many bytes, or something else. */
static int begin_picture(struct fanout_stream *stream, const struct fanout_album *album,
                         size_t count)
{
    if (count == album->picture_bytes)
        return enter(stream, FANOUT_START);
    return stream->protocol == FANOUT_MULTIPART ? skip(stream, count) : -EBADMSG;
}

/* ---- WebSocket ----------------------------------------------------------------------------- */

static size_t frame_payload_bytes(const uint8_t *frame, unsigned length_bytes)
{
    size_t count = 0;

    if (length_bytes == 0)
        return frame[1];
    for (unsigned i = 0; i < length_bytes; i++)
        count = count << 8 | frame[2 + i];
    return count;
}

static int take_video_header(struct fanout_stream *stream, const struct fanout_album *album,
                             const uint8_t *bytes)
{
    struct video_header header;

    video_header_decode(bytes, &header);
    stream->crc = header.crc32;
    stream->frame_seq = header.frame_seq;
    return begin_picture(stream, album, header.size);
}

static int take_frame_info(struct fanout_stream *stream, const uint8_t *message)
{
    struct frame_info info;

    if (frame_info_decode(message, FRAME_INFO_BYTES, &info) < 0)
        return -EPROTO;
    stream->sent_ns = info.stamp_ns[FRAME_STAGE_SENT];
    return enter(stream, FANOUT_HEAD);
}

/* A message of ours: type, and by the type a header or the rest of it. */
static int take_message_head(struct fanout_stream *stream, const struct fanout_album *album,
                             struct fanout_bytes *bytes, size_t head, size_t count)
{
    if (!hold(stream, bytes, head + 1))
        return -EAGAIN;
    const uint8_t *message = stream->held + head;
    if (message[0] == VIDEO_MESSAGE_TYPE && count > VIDEO_HEADER_BYTES) {
        if (!hold(stream, bytes, head + 1 + VIDEO_HEADER_BYTES))
            return -EAGAIN;
        return take_video_header(stream, album, message + 1);
    }
    if (message[0] == FRAME_INFO_MESSAGE_TYPE && count == FRAME_INFO_BYTES) {
        if (!hold(stream, bytes, head + FRAME_INFO_BYTES))
            return -EAGAIN;
        return take_frame_info(stream, message);
    }
    return skip(stream, count - 1);
}

/* Returns -EAGAIN when more bytes are needed. */
static int take_frame_head(struct fanout_stream *stream, const struct fanout_album *album,
                           struct fanout_bytes *bytes)
{
    const uint8_t *frame = stream->held;

    if (!hold(stream, bytes, 2))
        return -EAGAIN;
    if ((frame[0] & 0xf0) != 0x80 || (frame[1] & 0x80) != 0)
        return -EPROTO; /* a fragment, an extension, or masked */
    unsigned length_bytes = frame[1] < 126 ? 0 : frame[1] == 126 ? 2 : 8;
    if (!hold(stream, bytes, 2 + length_bytes))
        return -EAGAIN;
    size_t count = frame_payload_bytes(frame, length_bytes);
    if ((frame[0] & 0x0f) == OPCODE_CLOSE)
        return -EPIPE;
    if ((frame[0] & 0x0f) != OPCODE_BINARY || count == 0)
        return skip(stream, count);
    if (stream->protocol == FANOUT_WEBSOCKET)
        return begin_picture(stream, album, count);
    return take_message_head(stream, album, bytes, 2 + length_bytes, count);
}

/* ---- multipart ----------------------------------------------------------------------------- */

static int take_part_head(struct fanout_stream *stream, const struct fanout_album *album,
                          struct fanout_bytes *bytes)
{
    const size_t end_bytes = strlen(BLANK_LINE);
    char text[FANOUT_HEAD_BYTES_MAX + 1];

    do {
        if (stream->held_bytes == FANOUT_HEAD_BYTES_MAX)
            return -EPROTO;
        if (!hold(stream, bytes, stream->held_bytes + 1))
            return -EAGAIN;
    } while (stream->held_bytes < end_bytes ||
             memcmp(stream->held + stream->held_bytes - end_bytes, BLANK_LINE, end_bytes) != 0);
    memcpy(text, stream->held, stream->held_bytes);
    text[stream->held_bytes] = '\0';
    const char *field = strcasestr(text, LENGTH_FIELD);
    if (!field)
        return -EPROTO;
    return begin_picture(stream, album, strtoul(field + strlen(LENGTH_FIELD), NULL, 10));
}

/* ---- pictures ------------------------------------------------------------------------------ */

static int take_start(struct fanout_stream *stream, const struct fanout_album *album,
                      struct fanout_bytes *bytes)
{
    if (!hold(stream, bytes, FANOUT_START_BYTES))
        return -EAGAIN;
    int pattern = fanout_picture_pattern(album, stream->held);
    if (pattern < 0 && stream->protocol == FANOUT_MULTIPART)
        return skip(stream, album->picture_bytes - FANOUT_START_BYTES);
    if (pattern < 0)
        return -EBADMSG;
    stream->pattern = (unsigned)pattern;
    stream->at = FANOUT_START_BYTES;
    return enter(stream, FANOUT_BODY);
}

static int take_body(struct fanout_stream *stream, const struct fanout_album *album,
                     struct fanout_bytes *bytes)
{
    size_t left = album->body_bytes - stream->at;
    size_t count = left < bytes->count ? left : bytes->count;

    if (memcmp(bytes->at, album->bodies[stream->pattern] + stream->at, count) != 0)
        return -EBADMSG;
    stream->at += count;
    bytes->at += count;
    bytes->count -= count;
    return count == left ? enter(stream, FANOUT_MARK) : -EAGAIN;
}

/* The last of a picture. Returns 1 when all of it is right. */
static int take_mark(struct fanout_stream *stream, const struct fanout_album *album,
                     struct fanout_bytes *bytes, struct fanout_arrival *ret_arrival)
{
    struct fanout_mark mark;
    uint32_t crc;

    if (!hold(stream, bytes, FANOUT_MARK_BYTES))
        return -EAGAIN;
    int error = fanout_picture_check(album, stream->pattern, stream->held, &mark, &crc);
    if (error < 0)
        return error;
    if (mark.seq <= stream->last_seq || (stream->protocol == FANOUT_SIMCAST &&
                                         (crc != stream->crc || mark.seq != stream->frame_seq)))
        return -EBADMSG;
    *ret_arrival = (struct fanout_arrival){
        .mark = mark,
        .sent_ns = stream->sent_ns,
        .missed = stream->last_seq > 0 ? mark.seq - stream->last_seq - 1 : 0,
    };
    stream->last_seq = mark.seq;
    stream->sent_ns = 0;
    enter(stream, FANOUT_HEAD);
    return 1;
}

static int take_skipped(struct fanout_stream *stream, struct fanout_bytes *bytes)
{
    size_t count = stream->left_bytes < bytes->count ? stream->left_bytes : bytes->count;

    stream->left_bytes -= count;
    bytes->at += count;
    bytes->count -= count;
    return stream->left_bytes == 0 ? enter(stream, FANOUT_HEAD) : -EAGAIN;
}

static int take_part(struct fanout_stream *stream, const struct fanout_album *album,
                     struct fanout_bytes *bytes, struct fanout_arrival *ret_arrival)
{
    switch (stream->part) {
    case FANOUT_HEAD:
        return stream->protocol == FANOUT_MULTIPART ? take_part_head(stream, album, bytes)
                                                    : take_frame_head(stream, album, bytes);
    case FANOUT_START:
        return take_start(stream, album, bytes);
    case FANOUT_BODY:
        return take_body(stream, album, bytes);
    case FANOUT_MARK:
        return take_mark(stream, album, bytes, ret_arrival);
    case FANOUT_SKIP:
        return take_skipped(stream, bytes);
    }
    return -EPROTO;
}

int fanout_stream_take(struct fanout_stream *stream, const struct fanout_album *album,
                       struct fanout_bytes *bytes, struct fanout_arrival *ret_arrival)
{
    while (bytes->count > 0) {
        int taken = take_part(stream, album, bytes, ret_arrival);
        if (taken == -EAGAIN)
            return 0;
        if (taken != 0)
            return taken;
    }
    return 0;
}
