/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's bytes. */
#include "proto/viewer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

void frame_info_encode(const struct frame_info *info, uint8_t message[FRAME_INFO_BYTES])
{
    memset(message, 0, FRAME_INFO_BYTES);
    message[0] = FRAME_INFO_MESSAGE_TYPE;
    message[1] = FRAME_INFO_VERSION;
    put_le16(message + 2, info->missed);
    put_le16(message + 4, info->stream);
    put_le64(message + 8, info->frame_seq);
    put_le64(message + 16, (uint64_t)info->sim_time_ns);
    for (unsigned i = 0; i < FRAME_STAGE_COUNT; i++)
        put_le64(message + 24 + 8 * i, (uint64_t)info->stamp_ns[i]);
}

int frame_info_decode(const uint8_t *message, size_t message_bytes, struct frame_info *ret_info)
{
    if (message_bytes != FRAME_INFO_BYTES || message[0] != FRAME_INFO_MESSAGE_TYPE)
        return -EPROTO;
    if (message[1] != FRAME_INFO_VERSION)
        return -EPROTONOSUPPORT;
    struct frame_info info = {
        .missed = get_le16(message + 2),
        .stream = get_le16(message + 4),
        .frame_seq = get_le64(message + 8),
        .sim_time_ns = (int64_t)get_le64(message + 16),
    };
    for (unsigned i = 0; i < FRAME_STAGE_COUNT; i++)
        info.stamp_ns[i] = (int64_t)get_le64(message + 24 + 8 * i);
    *ret_info = info;
    return 0;
}

int clock_reply_encode(const uint8_t *request, size_t request_bytes, int64_t now_ns,
                       uint8_t reply[CLOCK_REPLY_BYTES])
{
    if (request_bytes != CLOCK_REQUEST_BYTES || request[0] != CLOCK_MESSAGE_TYPE)
        return -EPROTO;
    memcpy(reply, request, CLOCK_REQUEST_BYTES);
    put_le64(reply + CLOCK_REQUEST_BYTES, (uint64_t)now_ns);
    return 0;
}

int displayed_decode(const uint8_t *message, size_t message_bytes, struct displayed *ret_displayed)
{
    bool timed = message_bytes == DISPLAYED_TIMED_BYTES;

    if ((message_bytes != DISPLAYED_BYTES && !timed) || message[0] != DISPLAYED_MESSAGE_TYPE)
        return -EPROTO;
    *ret_displayed = (struct displayed){
        .stream = get_le16(message + 4),
        .frame_seq = get_le64(message + 8),
        .shown_ns = timed ? (int64_t)get_le64(message + 16) : 0,
    };
    return 0;
}

size_t metadata_encode(const struct metadata *metadata, uint8_t *message)
{
    memset(message, 0, METADATA_HEADER_BYTES);
    message[0] = METADATA_MESSAGE_TYPE;
    message[1] = METADATA_VERSION;
    put_le16(message + 4, metadata->stream);
    put_le64(message + 8, metadata->frame_seq);
    memcpy(message + METADATA_HEADER_BYTES, metadata->bytes, metadata->size);
    return METADATA_HEADER_BYTES + metadata->size;
}
