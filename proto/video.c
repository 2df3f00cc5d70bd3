/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's bytes. */
#include "proto/video.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"

#define WS_FIN_BINARY 0x82
#define WS_LENGTH_16 126
#define WS_LENGTH_64 127

void video_header_encode(const struct video_header *header, uint8_t bytes[VIDEO_HEADER_BYTES])
{
    put_le64(bytes, header->frame_id);
    put_le64(bytes + 8, header->frame_seq);
    put_le32(bytes + 16, header->size);
    put_le16(bytes + 20, header->flags);
    put_le16(bytes + 22, header->codec);
    put_le32(bytes + 24, header->crc32);
    put_le32(bytes + 28, header->reserved);
}

void video_header_decode(const uint8_t bytes[VIDEO_HEADER_BYTES], struct video_header *ret_header)
{
    *ret_header = (struct video_header){
        .frame_id = get_le64(bytes),
        .frame_seq = get_le64(bytes + 8),
        .size = get_le32(bytes + 16),
        .flags = get_le16(bytes + 20),
        .codec = get_le16(bytes + 22),
        .crc32 = get_le32(bytes + 24),
        .reserved = get_le32(bytes + 28),
    };
}

uint32_t video_crc32(const void *payload, size_t payload_bytes)
{
    return (uint32_t)crc32_z(0, payload, payload_bytes);
}

const char *video_codec_name(unsigned codec)
{
    switch (codec) {
    case VIDEO_CODEC_H264:
        return "h264";
    case VIDEO_CODEC_HEVC:
        return "hevc";
    case VIDEO_CODEC_JPEG:
        return "jpeg";
    default:
        return "none";
    }
}

int video_codec_parse(const char *name, enum video_codec *ret_codec)
{
    if (strcmp(name, "mjpeg") == 0)
        name = "jpeg";
    for (enum video_codec codec = VIDEO_CODEC_H264; codec <= VIDEO_CODEC_JPEG; codec++) {
        if (strcmp(name, video_codec_name(codec)) == 0) {
            *ret_codec = codec;
            return 0;
        }
    }
    return -EINVAL;
}

/* Writes the frame header of an unmasked binary message; returns its length in bytes. */
static size_t ws_header_write(uint8_t bytes[VIDEO_WS_HEADER_BYTES_MAX], uint64_t message_bytes)
{
    bytes[0] = WS_FIN_BINARY;
    if (message_bytes < WS_LENGTH_16) {
        bytes[1] = (uint8_t)message_bytes;
        return 2;
    }
    if (message_bytes <= UINT16_MAX) {
        bytes[1] = WS_LENGTH_16;
        bytes[2] = (uint8_t)(message_bytes >> 8);
        bytes[3] = (uint8_t)message_bytes;
        return 4;
    }
    bytes[1] = WS_LENGTH_64;
    for (unsigned i = 0; i < 8; i++)
        bytes[2 + i] = (uint8_t)(message_bytes >> (56 - 8 * i));
    return 10;
}

size_t video_packet_finish(uint8_t *packet, const struct video_header *header)
{
    uint8_t ws_header[VIDEO_WS_HEADER_BYTES_MAX];
    size_t ws_bytes = ws_header_write(ws_header, 1 + VIDEO_HEADER_BYTES + (uint64_t)header->size);
    size_t start = VIDEO_TYPE_OFFSET - ws_bytes;

    memset(packet, 0, start);
    memcpy(packet + start, ws_header, ws_bytes);
    packet[VIDEO_TYPE_OFFSET] = VIDEO_MESSAGE_TYPE;
    video_header_encode(header, packet + VIDEO_HEADER_OFFSET);
    return start;
}

int video_packet_parse(const uint8_t *packet, size_t packet_bytes,
                       struct video_packet_view *ret_view)
{
    uint8_t ws_header[VIDEO_WS_HEADER_BYTES_MAX];
    struct video_header header;

    if (packet_bytes <= VIDEO_PAYLOAD_OFFSET || packet[VIDEO_TYPE_OFFSET] != VIDEO_MESSAGE_TYPE)
        return -EPROTO;
    video_header_decode(packet + VIDEO_HEADER_OFFSET, &header);
    if (header.size != packet_bytes - VIDEO_PAYLOAD_OFFSET || header.codec < VIDEO_CODEC_H264 ||
        header.codec > VIDEO_CODEC_JPEG)
        return -EPROTO;
    size_t message_bytes = packet_bytes - VIDEO_TYPE_OFFSET;
    size_t ws_bytes = ws_header_write(ws_header, message_bytes);
    size_t start = VIDEO_TYPE_OFFSET - ws_bytes;
    if (memcmp(packet + start, ws_header, ws_bytes) != 0)
        return -EPROTO;
    *ret_view = (struct video_packet_view){
        .header = header,
        .ws_frame = packet + start,
        .ws_frame_bytes = packet_bytes - start,
        .message = packet + VIDEO_TYPE_OFFSET,
        .message_bytes = message_bytes,
        .payload = packet + VIDEO_PAYLOAD_OFFSET,
    };
    return 0;
}
