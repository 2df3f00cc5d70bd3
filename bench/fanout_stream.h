/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's incoming bytes, checked as they come and never kept: every byte of a picture is
 * compared with what it must be, then the mark's CRC, then that of the frame header.
 *
 * Source: RFC 6455 section 5.2; docs/wire.md; RFC 2046 section 5.1 (multipart).
 * Thread: any. Cost: one pass over the bytes; no allocation, no I/O.
 */
#ifndef SIMCAST_BENCH_FANOUT_STREAM_H
#define SIMCAST_BENCH_FANOUT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "bench/fanout_picture.h"

#define FANOUT_HEAD_BYTES_MAX 512

enum fanout_protocol {
    FANOUT_SIMCAST,   /* WebSocket, messages as in proto/video.h and proto/viewer.h */
    FANOUT_WEBSOCKET, /* WebSocket, a message is a picture */
    FANOUT_MULTIPART, /* HTTP, multipart/x-mixed-replace; pictures that are not ours are skipped */
};

/* Embed it; init before the first byte after the answer to the request. */
struct fanout_stream {
    enum fanout_protocol protocol;
    enum fanout_part { FANOUT_HEAD, FANOUT_START, FANOUT_BODY, FANOUT_MARK, FANOUT_SKIP } part;
    uint8_t held[FANOUT_HEAD_BYTES_MAX]; /* of this part, as long as it is incomplete */
    size_t held_bytes;
    size_t left_bytes; /* FANOUT_SKIP: to skip */
    size_t at;         /* in the body */
    unsigned pattern;
    uint32_t crc;       /* that the frame header gives; 0: none */
    uint64_t frame_seq; /* the same */
    uint64_t last_seq;
    int64_t sent_ns; /* that FRAME_INFO gave; 0: none */
};

struct fanout_bytes {
    const uint8_t *at;
    size_t count;
};

struct fanout_arrival {
    struct fanout_mark mark;
    int64_t sent_ns; /* the server's word for when it sent it; 0: it says nothing */
    uint64_t missed; /* pictures between this one and the one before it */
};

void fanout_stream_init(struct fanout_stream *stream, enum fanout_protocol protocol);

/*
 * Takes bytes until a picture is complete (returns 1, *ret_arrival is about it; call again) or
 * none are left (returns 0). Errors, after which the stream is of no more use: -EBADMSG a byte, a
 * checksum or the order is wrong; -EPROTO the protocol is; -EPIPE the server says goodbye.
 */
int fanout_stream_take(struct fanout_stream *stream, const struct fanout_album *album,
                       struct fanout_bytes *bytes, struct fanout_arrival *ret_arrival);

#endif
