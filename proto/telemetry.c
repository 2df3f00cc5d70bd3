/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's bytes. */
#include "proto/telemetry.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

int telemetry_encode(const struct telemetry *telemetry, uint8_t *buffer, size_t buffer_bytes,
                     size_t *ret_bytes)
{
    if (telemetry->subject_bytes > TELEMETRY_SUBJECT_BYTES_MAX ||
        telemetry->payload_bytes > TELEMETRY_PAYLOAD_BYTES_MAX)
        return -EMSGSIZE;
    size_t need = TELEMETRY_PREFIX_BYTES + telemetry->subject_bytes + telemetry->payload_bytes;
    if (need > buffer_bytes)
        return -EMSGSIZE;
    buffer[0] = TELEMETRY_MESSAGE_TYPE;
    put_le16(buffer + 1, (uint16_t)telemetry->subject_bytes);
    memcpy(buffer + TELEMETRY_PREFIX_BYTES, telemetry->subject, telemetry->subject_bytes);
    memcpy(buffer + TELEMETRY_PREFIX_BYTES + telemetry->subject_bytes, telemetry->payload,
           telemetry->payload_bytes);
    *ret_bytes = need;
    return 0;
}

int telemetry_decode(const uint8_t *message, size_t message_bytes, struct telemetry *ret_telemetry)
{
    if (message_bytes < TELEMETRY_PREFIX_BYTES || message[0] != TELEMETRY_MESSAGE_TYPE)
        return -EPROTO;
    size_t subject_bytes = get_le16(message + 1);
    if (subject_bytes > message_bytes - TELEMETRY_PREFIX_BYTES)
        return -EPROTO;
    const char *subject = (const char *)message + TELEMETRY_PREFIX_BYTES;
    *ret_telemetry = (struct telemetry){
        .subject = subject,
        .subject_bytes = subject_bytes,
        .payload = subject + subject_bytes,
        .payload_bytes = message_bytes - TELEMETRY_PREFIX_BYTES - subject_bytes,
    };
    return 0;
}
