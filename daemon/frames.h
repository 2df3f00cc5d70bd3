/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what a client sends are frames as RFC 6455 wants them from a client: masked, no reserved
 * bit or opcode, lengths in their shortest form, control frames whole and short, fragments in
 * order, messages within their limit, text that is UTF-8, a close frame with a status that may be
 * sent. Frames pass as they are, to libwebsockets, which is more lenient. At the first fault it
 * ends: nothing passes any more, and `status` says what to close with.
 *
 * Pings do not pass; they are told to whoever answers them, because libwebsockets drops one that
 * comes while it still has another to answer.
 *
 * Source: RFC 6455, 5.2 to 5.6, 7.4. Thread: any. Cost: payloads are copied, text is looked at; no
 * allocation, no I/O.
 */
#ifndef SIMCAST_DAEMON_FRAMES_H
#define SIMCAST_DAEMON_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_HEADER_BYTES_MAX 14
#define FRAMES_CONTROL_BYTES_MAX 125

/* frames_filter may write so many bytes more than it was given. */
#define FRAMES_HELD_BYTES_MAX (FRAMES_HEADER_BYTES_MAX + FRAMES_CONTROL_BYTES_MAX)

enum frames_status {
    FRAMES_FINE = 0,
    FRAMES_PROTOCOL_ERROR = 1002,
    FRAMES_NO_UTF8 = 1007,
    FRAMES_VIOLATION = 1008,
    FRAMES_TOO_BIG = 1009,
};

/* A ping came; `payload` is borrowed. */
typedef void (*frames_ping)(void *data, const uint8_t *payload, size_t size);

/* Inside a sequence: the next byte must lie in [low, high], and `left` more follow. */
struct utf8 {
    unsigned left;
    uint8_t low;
    uint8_t high;
};

/* Embed it; the fields belong to frames.c, but for `status` and `controls`, which may be read. */
struct frames {
    size_t message_bytes_max;
    frames_ping on_ping;
    void *data;
    uint64_t message_bytes; /* of the message that goes on */
    uint64_t payload_left;  /* of the frame that goes on */
    uint8_t header[FRAMES_HEADER_BYTES_MAX];
    uint8_t header_bytes; /* came so far; held back until the header is whole */
    uint8_t mask[4];
    bool fragmented;  /* a message goes on */
    bool text;        /* and is text */
    struct utf8 utf8; /* where in a character it stands */
    bool held;        /* the payload that comes is a close frame's or a ping's */
    bool ended;       /* nothing passes any more */
    uint8_t control[FRAMES_CONTROL_BYTES_MAX]; /* that payload */
    uint8_t control_bytes;
    uint64_t controls;         /* control frames so far */
    enum frames_status status; /* what it ended with; FRAMES_FINE: the client's own close frame */
};

void frames_init(struct frames *frames, size_t message_bytes_max, frames_ping on_ping, void *data);

/*
 * Takes `size` bytes as they came and writes those that may pass to ret_bytes, which has room for
 * size + FRAMES_HELD_BYTES_MAX and does not overlap. Returns how many: fewer where pings were, and
 * while a header or a close frame is not whole yet.
 */
size_t frames_filter(struct frames *frames, const uint8_t *bytes, size_t size, uint8_t *ret_bytes);

/* The next frame that begins ends it with this status, whatever it is. */
void frames_refuse(struct frames *frames, enum frames_status status);

#endif
