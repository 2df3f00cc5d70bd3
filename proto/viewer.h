/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simcast viewer speaks beyond the compatible protocol. A client gets these messages
 * only when it asked for the WebSocket subprotocol "simcast.v2"; all others never see them.
 *
 * A stream has a number: 0 is the default stream, the others are told by name (viewer_request.h).
 *
 * FRAME_INFO, server to client, 72 bytes, right before each VIDEO message:
 *    0 u8 type 0x05 | 1 u8 version 1 | 2 u16 frames of this stream that this client missed just
 *      before this one | 4 u16 stream | 6 u16 zero | 8 u64 frame_seq | 16 i64 simulation time, ns
 *   24 i64[6] stage stamps, server CLOCK_MONOTONIC ns: rendered, published, encode begin,
 *      encode end, packet published, handed to this client's socket
 *
 * METADATA, server to client, right before FRAME_INFO, to who asked for it and when there is some:
 *    0 u8 type 0x08 | 1 u8 version 1 | 2 u16 zero | 4 u16 stream | 6 u16 zero | 8 u64 frame_seq
 *   16 what the simulator said about this frame (camera pose, ...), 1 to 1024 bytes as it wrote
 * them
 *
 * DISPLAYED, client to server, 16 or 24 bytes: 0 u8 type 0x07 | 1 zero[3] | 4 u16 stream
 *    6 u16 zero | 8 u64 frame_seq | 16 i64 when it was shown, server CLOCK_MONOTONIC ns; 0 or not
 *      there: unknown
 *    The newest frame that the operator was shown; any client may send it, a few times a second.
 *    Who has sent one may drive only as long as the frames that it names are young.
 *
 * CLOCK, client to server, 16 bytes: 0 u8 type 0x06 | 1 zero[7] | 8 i64 client time, any unit
 * CLOCK, server to client, 24 bytes: the client's 16 bytes back | 16 i64 server time, ns
 *
 * Thread: any. Cost: no I/O, no allocation.
 */
#ifndef SIMCAST_PROTO_VIEWER_H
#define SIMCAST_PROTO_VIEWER_H

#include <stddef.h>
#include <stdint.h>

#define VIEWER_SUBPROTOCOL "simcast.v2"

#define FRAME_INFO_MESSAGE_TYPE 0x05
#define FRAME_INFO_VERSION 1
#define FRAME_INFO_BYTES 72

#define CLOCK_MESSAGE_TYPE 0x06
#define CLOCK_REQUEST_BYTES 16
#define CLOCK_REPLY_BYTES 24

#define DISPLAYED_MESSAGE_TYPE 0x07
#define DISPLAYED_BYTES 16
#define DISPLAYED_TIMED_BYTES 24

#define METADATA_MESSAGE_TYPE 0x08
#define METADATA_VERSION 1
#define METADATA_HEADER_BYTES 16

enum frame_stage {
    FRAME_STAGE_RENDERED,
    FRAME_STAGE_PUBLISHED,
    FRAME_STAGE_ENCODE_BEGIN,
    FRAME_STAGE_ENCODE_END,
    FRAME_STAGE_PACKET_PUBLISHED,
    FRAME_STAGE_SENT,
    FRAME_STAGE_COUNT,
};

struct frame_info {
    uint16_t missed;
    uint16_t stream;
    uint64_t frame_seq;
    int64_t sim_time_ns;
    int64_t stamp_ns[FRAME_STAGE_COUNT]; /* 0: the stage is unknown */
};

void frame_info_encode(const struct frame_info *info, uint8_t message[FRAME_INFO_BYTES]);

/* Errors: -EPROTO wrong length or type, -EPROTONOSUPPORT another version. */
int frame_info_decode(const uint8_t *message, size_t message_bytes, struct frame_info *ret_info);

/* Builds the reply to a client's CLOCK message. Errors: -EPROTO wrong length or type. */
int clock_reply_encode(const uint8_t *request, size_t request_bytes, int64_t now_ns,
                       uint8_t reply[CLOCK_REPLY_BYTES]);

struct displayed {
    uint16_t stream;
    uint64_t frame_seq;
    int64_t shown_ns; /* 0: unknown. The client says so: check it before use */
};

/* Errors: -EPROTO wrong length or type. */
int displayed_decode(const uint8_t *message, size_t message_bytes, struct displayed *ret_displayed);

struct metadata {
    uint16_t stream;
    uint64_t frame_seq;
    const void *bytes;
    size_t size;
};

/* Writes METADATA_HEADER_BYTES + size bytes; returns how many. */
size_t metadata_encode(const struct metadata *metadata, uint8_t *message);

#endif
