/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing beyond the caller's struct. Runs on any thread. A fault is told by its status. */
#include "daemon/head.h"

#include <string.h>

#include "daemon/ws_request.h"

#define END_BYTES 4u

static bool may_stand_in_head(uint8_t byte)
{
    return byte >= ' ' ? byte != 0x7f : byte == '\t' || byte == '\r' || byte == '\n';
}

/* RFC 9110, 5.6.2. */
static bool may_stand_in_name(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte));
}

static char small(uint8_t byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

/* A byte where a header's name stands. Returns whether it may be there. */
static bool take_name(struct head *head, uint8_t byte)
{
    if (byte == ':' && head->name_bytes > 0) {
        if (ws_request_misreads(head->name, head->name_bytes))
            return false;
        head->place = HEAD_VALUE;
        return true;
    }
    if (!may_stand_in_name(byte))
        return false;
    if (head->name_bytes < HEAD_NAME_BYTES_MAX)
        head->name[head->name_bytes++] = small(byte);
    return true;
}

static enum head_status take(struct head *head, uint8_t byte)
{
    bool after_cr = head->end_bytes % 2 == 1;

    if (after_cr != (byte == '\n') || !may_stand_in_head(byte))
        return HEAD_BROKEN;
    bool last_line = head->name_bytes == 0 && (byte == '\r' || after_cr);
    if (head->place == HEAD_NAME && !last_line && !take_name(head, byte))
        return HEAD_REFUSED;
    head->end_bytes = after_cr || byte == '\r' ? head->end_bytes + 1 : 0;
    if (head->end_bytes == END_BYTES)
        return HEAD_WHOLE;
    if (after_cr) {
        head->place = HEAD_NAME;
        head->name_bytes = 0;
    }
    return ++head->bytes > HEAD_BYTES_MAX ? HEAD_TOO_LONG : HEAD_GOES_ON;
}

enum head_status head_take(struct head *head, const uint8_t *bytes, size_t size, size_t *ret_passed)
{
    enum head_status status = HEAD_GOES_ON;
    size_t passed = 0;

    while (passed < size && status == HEAD_GOES_ON) {
        status = take(head, bytes[passed]);
        passed += status != HEAD_REFUSED && status != HEAD_BROKEN;
    }
    *ret_passed = passed;
    return status;
}

/*
 * Within a name, '~' makes it one that libwebsockets does not know, whatever came of it; the colon
 * ends it.
 */
size_t head_finish(const struct head *head, uint8_t ret_bytes[HEAD_ENDING_BYTES_MAX])
{
    static const uint8_t ending[HEAD_ENDING_BYTES_MAX] = {'~', ':', '\r', '\n', '\r', '\n'};
    size_t start = head->place == HEAD_NAME ? 0 : 2;

    memcpy(ret_bytes, ending + start, sizeof(ending) - start);
    return sizeof(ending) - start;
}
