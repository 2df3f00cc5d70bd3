/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing beyond the caller's struct. */
#include "daemon/frames.h"

#include <string.h>

#define FIN 0x80u
#define RESERVED 0x70u
#define OPCODE 0x0fu
#define MASKED 0x80u
#define LENGTH 0x7fu
#define CONTROL 0x08u
#define MASK_BYTES 4

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

void frames_init(struct frames *frames, size_t message_bytes_max, frames_ping on_ping, void *data)
{
    *frames =
        (struct frames){.message_bytes_max = message_bytes_max, .on_ping = on_ping, .data = data};
}

void frames_refuse(struct frames *frames, enum frames_status status)
{
    frames->status = status;
}

/* Bytes of a header, as far as the first two tell. */
static size_t header_size(const uint8_t *header, size_t come)
{
    if (come < 2)
        return 2;
    size_t length = header[1] & LENGTH;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + MASK_BYTES;
}

static uint64_t payload_size(const uint8_t *header)
{
    size_t length = header[1] & LENGTH;
    size_t bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t size = bytes > 0 ? 0 : length;

    for (size_t i = 0; i < bytes; i++)
        size = size << 8 | header[2 + i];
    return size;
}

static bool is_known(unsigned opcode)
{
    return opcode <= BINARY || (opcode >= CLOSE && opcode <= PONG);
}

/* What the first two bytes of a header deserve. */
static enum frames_status judge_start(const struct frames *frames)
{
    unsigned opcode = frames->header[0] & OPCODE;
    bool control = (opcode & CONTROL) != 0;

    if (frames->header[0] & RESERVED || !is_known(opcode) || !(frames->header[1] & MASKED))
        return FRAMES_PROTOCOL_ERROR;
    if (control &&
        (!(frames->header[0] & FIN) || (frames->header[1] & LENGTH) > FRAMES_CONTROL_BYTES_MAX))
        return FRAMES_PROTOCOL_ERROR;
    if (!control && (opcode == CONTINUATION) != frames->fragmented)
        return FRAMES_PROTOCOL_ERROR;
    return frames->status;
}

/* What a whole header deserves. */
static enum frames_status judge_length(const struct frames *frames)
{
    size_t length = frames->header[1] & LENGTH;
    uint64_t size = payload_size(frames->header);

    if ((length == 126 && size < 126) || (length == 127 && (size < 65536 || size >> 63 != 0)))
        return FRAMES_PROTOCOL_ERROR;
    if (!(frames->header[0] & CONTROL) && size > frames->message_bytes_max - frames->message_bytes)
        return FRAMES_TOO_BIG;
    return FRAMES_FINE;
}

static bool utf8_take(struct utf8 *utf8, uint8_t byte)
{
    if (utf8->left > 0) {
        bool fits = byte >= utf8->low && byte <= utf8->high;
        *utf8 = (struct utf8){utf8->left - 1, 0x80, 0xbf};
        return fits;
    }
    if (byte < 0x80)
        return true;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    *utf8 = (struct utf8){1, 0x80, 0xbf};
    if (byte >= 0xe0) {
        utf8->left = byte >= 0xf0 ? 3 : 2;
        /* No longer form than needed, no surrogates, nothing beyond U+10FFFF. */
        utf8->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
        utf8->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    }
    return true;
}

static bool is_utf8(const uint8_t *bytes, size_t size)
{
    struct utf8 utf8 = {0};

    for (size_t i = 0; i < size; i++) {
        if (!utf8_take(&utf8, bytes[i]))
            return false;
    }
    return utf8.left == 0;
}

/* RFC 6455, 7.4.2: 1004 to 1006 and 1015 stand in no frame; 3000 to 4999 belong to others. */
static bool may_be_sent(unsigned status)
{
    return (status >= 1000 && status <= 1014 && (status < 1004 || status > 1006)) ||
           (status >= 3000 && status <= 4999);
}

static enum frames_status judge_close(const struct frames *frames)
{
    unsigned status = (unsigned)(frames->control[0] << 8 | frames->control[1]);

    if (frames->control_bytes == 0)
        return FRAMES_FINE;
    if (frames->control_bytes == 1 || !may_be_sent(status))
        return FRAMES_PROTOCOL_ERROR;
    return is_utf8(frames->control + 2, frames->control_bytes - 2u) ? FRAMES_FINE : FRAMES_NO_UTF8;
}

/* Nothing passes any more. Returns the bytes written: none. */
static size_t end(struct frames *frames, enum frames_status status)
{
    frames->ended = true;
    frames->status = status;
    return 0;
}

/* The client's close frame, masked with zeros, is the last that passes. Returns its length. */
static size_t write_close(const struct frames *frames, uint8_t *ret_bytes)
{
    memset(ret_bytes, 0, 2 + MASK_BYTES);
    ret_bytes[0] = FIN | CLOSE;
    ret_bytes[1] = (uint8_t)(MASKED | frames->control_bytes);
    memcpy(ret_bytes + 2 + MASK_BYTES, frames->control, frames->control_bytes);
    return 2u + MASK_BYTES + frames->control_bytes;
}

/* The payload that was held is whole. Returns the bytes written. */
static size_t end_control(struct frames *frames, uint8_t *ret_bytes)
{
    frames->held = false;
    if ((frames->header[0] & OPCODE) == CLOSE) {
        end(frames, judge_close(frames));
        return frames->status == FRAMES_FINE ? write_close(frames, ret_bytes) : 0;
    }
    frames->on_ping(frames->data, frames->control, frames->control_bytes);
    return 0;
}

/* A text message is over, in the middle of a character. */
static bool cut_short(const struct frames *frames)
{
    return frames->text && !frames->fragmented && frames->utf8.left > 0;
}

/* A header is whole and fine: what it says of what follows. Returns the bytes written. */
static size_t begin_frame(struct frames *frames, uint8_t *ret_bytes)
{
    unsigned opcode = frames->header[0] & OPCODE;
    size_t size = frames->header_bytes;

    memcpy(frames->mask, frames->header + size - MASK_BYTES, MASK_BYTES);
    frames->payload_left = payload_size(frames->header);
    frames->header_bytes = 0;
    if (opcode & CONTROL) {
        frames->controls++;
        frames->held = opcode != PONG;
        frames->control_bytes = 0;
    } else {
        bool final = (frames->header[0] & FIN) != 0;
        if (opcode != CONTINUATION) {
            frames->text = opcode == TEXT;
            frames->utf8 = (struct utf8){0};
        }
        frames->fragmented = !final;
        frames->message_bytes = final ? 0 : frames->message_bytes + frames->payload_left;
    }
    if (frames->held)
        return frames->payload_left == 0 ? end_control(frames, ret_bytes) : 0;
    if (frames->payload_left == 0 && cut_short(frames))
        return end(frames, FRAMES_NO_UTF8);
    memcpy(ret_bytes, frames->header, size);
    return size;
}

static size_t take_header(struct frames *frames, uint8_t byte, uint8_t *ret_bytes)
{
    enum frames_status status = FRAMES_FINE;

    frames->header[frames->header_bytes++] = byte;
    size_t whole = header_size(frames->header, frames->header_bytes);
    if (frames->header_bytes == 2)
        status = judge_start(frames);
    if (status == FRAMES_FINE && frames->header_bytes == whole)
        status = judge_length(frames);
    if (status != FRAMES_FINE)
        return end(frames, status);
    return frames->header_bytes == whole ? begin_frame(frames, ret_bytes) : 0;
}

static size_t take_control(struct frames *frames, const uint8_t *bytes, size_t size,
                           uint8_t *ret_bytes)
{
    for (size_t i = 0; i < size; i++) {
        frames->control[frames->control_bytes] =
            bytes[i] ^ frames->mask[frames->control_bytes % MASK_BYTES];
        frames->control_bytes++;
    }
    return frames->payload_left == size ? end_control(frames, ret_bytes) : 0;
}

/* Part of a message's payload. Returns the bytes written. */
static size_t take_payload(struct frames *frames, const uint8_t *bytes, size_t size,
                           uint8_t *ret_bytes)
{
    bool text = frames->text && !(frames->header[0] & CONTROL);

    for (size_t i = 0; text && i < size; i++) {
        uint8_t byte = bytes[i] ^ frames->mask[i % MASK_BYTES];
        if (!utf8_take(&frames->utf8, byte))
            return end(frames, FRAMES_NO_UTF8);
    }
    if (text && frames->payload_left == size && cut_short(frames))
        return end(frames, FRAMES_NO_UTF8);
    uint8_t turned[MASK_BYTES];
    for (size_t i = 0; i < MASK_BYTES; i++)
        turned[i] = frames->mask[(i + size) % MASK_BYTES];
    memcpy(frames->mask, turned, MASK_BYTES);
    memcpy(ret_bytes, bytes, size);
    return size;
}

size_t frames_filter(struct frames *frames, const uint8_t *bytes, size_t size, uint8_t *ret_bytes)
{
    size_t written = 0;

    for (size_t at = 0; at < size && !frames->ended;) {
        if (frames->payload_left == 0) {
            written += take_header(frames, bytes[at++], ret_bytes + written);
            continue;
        }
        size_t part = size - at;
        if (part > frames->payload_left)
            part = (size_t)frames->payload_left;
        if (frames->held)
            written += take_control(frames, bytes + at, part, ret_bytes + written);
        else
            written += take_payload(frames, bytes + at, part, ret_bytes + written);
        frames->payload_left -= part;
        at += part;
    }
    return written;
}
