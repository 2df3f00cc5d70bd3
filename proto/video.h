/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The video message as browsers receive it, and how it lies in a packet slot.
 *
 * A packet slot's payload holds one finished WebSocket message, so that the fan-out sends it to
 * every client from a read-only mapping:
 *
 *   offset  0 .. 30   room for the WebSocket frame header (2, 4 or 10 bytes, right-aligned)
 *   offset 31         message type, 0x01 VIDEO
 *   offset 32 .. 63   the frame header below
 *   offset 64 ..      the coded picture (JPEG, or one H.264/HEVC access unit in Annex-B)
 *
 * Source: docs/wire.md "WebSocket"; RFC 6455 section 5.2 for the frame header.
 * Thread: any. Cost: no I/O, no allocation; only video_crc32 touches the payload.
 */
#ifndef SIMCAST_PROTO_VIDEO_H
#define SIMCAST_PROTO_VIDEO_H

#include <stddef.h>
#include <stdint.h>

#define VIDEO_MESSAGE_TYPE 0x01
#define VIDEO_HEADER_BYTES 32
#define VIDEO_WS_HEADER_BYTES_MAX 10
#define VIDEO_TYPE_OFFSET 31
#define VIDEO_HEADER_OFFSET 32
#define VIDEO_PAYLOAD_OFFSET 64

enum video_codec {
    VIDEO_CODEC_NONE = 0,
    VIDEO_CODEC_H264 = 1, /* Annex-B, SPS and PPS in every IDR */
    VIDEO_CODEC_HEVC = 2, /* Annex-B */
    VIDEO_CODEC_JPEG = 3,
};

#define VIDEO_FLAG_KEYFRAME 0x0001

/* The 32-byte frame header, also used by the legacy slot. */
struct video_header {
    uint64_t frame_id;  /* the simulator's number of the picture */
    uint64_t frame_seq; /* the stream's own; +1 per packet, never resets */
    uint32_t size;      /* payload bytes */
    uint16_t flags;     /* VIDEO_FLAG_* */
    uint16_t codec;     /* enum video_codec */
    uint32_t crc32;     /* zlib CRC-32 of the payload; 0: not computed */
    uint32_t reserved;  /* simcast: low 32 bits of the frame's publish time, microseconds */
};

/* Writes and reads the 32 bytes. Decoding accepts any bytes: check the fields before use. */
void video_header_encode(const struct video_header *header, uint8_t bytes[VIDEO_HEADER_BYTES]);
void video_header_decode(const uint8_t bytes[VIDEO_HEADER_BYTES], struct video_header *ret_header);

uint32_t video_crc32(const void *payload, size_t payload_bytes);

/* "h264", "hevc", "jpeg" or "none" for anything else; a string constant. */
const char *video_codec_name(unsigned codec);

/* Accepts "h264", "hevc", "jpeg", "mjpeg". Returns 0, or -EINVAL and leaves ret_codec. */
int video_codec_parse(const char *name, enum video_codec *ret_codec);

/*
 * Fills the prefix (offsets 0 to 63) of a packet whose payload of header->size bytes lies at
 * packet + VIDEO_PAYLOAD_OFFSET. Returns the offset of the WebSocket frame's first byte.
 */
size_t video_packet_finish(uint8_t *packet, const struct video_header *header);

struct video_packet_view {
    struct video_header header;
    const uint8_t *ws_frame; /* the whole WebSocket frame, ready for the socket */
    size_t ws_frame_bytes;
    const uint8_t *message; /* from the type byte on */
    size_t message_bytes;
    const uint8_t *payload; /* header.size bytes */
};

/*
 * Checks a packet of packet_bytes that another process wrote and points into it. The view
 * borrows `packet`. Errors: -EPROTO when lengths, type or codec do not fit each other; the
 * caller drops the packet and counts it.
 */
int video_packet_parse(const uint8_t *packet, size_t packet_bytes,
                       struct video_packet_view *ret_view);

#endif
