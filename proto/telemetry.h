/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The telemetry message, server to client: type 0x02, u16 subject length, subject, payload (the
 * JSON as it came from the bus, not parsed).
 *
 * Source: docs/wire.md "WebSocket". Thread: any. Cost: one copy of the payload, no allocation.
 */
#ifndef SIMCAST_PROTO_TELEMETRY_H
#define SIMCAST_PROTO_TELEMETRY_H

#include <stddef.h>
#include <stdint.h>

#define TELEMETRY_MESSAGE_TYPE 0x02
#define TELEMETRY_SUBJECT_BYTES_MAX 256
#define TELEMETRY_PAYLOAD_BYTES_MAX 65536
#define TELEMETRY_PREFIX_BYTES 3
#define TELEMETRY_MESSAGE_BYTES_MAX                                                                \
    (TELEMETRY_PREFIX_BYTES + TELEMETRY_SUBJECT_BYTES_MAX + TELEMETRY_PAYLOAD_BYTES_MAX)

/* Everything the simulator, the daemon and the HAL publish lives below this prefix. */
#define TELEMETRY_SUBJECT_PREFIX "telemetry."

struct telemetry {
    const char *subject;
    size_t subject_bytes;
    const char *payload;
    size_t payload_bytes;
};

/*
 * Writes the message into `buffer`. Returns 0 and sets *ret_bytes. Errors: -EMSGSIZE when the
 * subject or payload is over its limit (the caller drops and counts it) or the buffer is short.
 */
int telemetry_encode(const struct telemetry *telemetry, uint8_t *buffer, size_t buffer_bytes,
                     size_t *ret_bytes);

/* Points into `message`, which it borrows. Errors: -EPROTO truncated or another type. */
int telemetry_decode(const uint8_t *message, size_t message_bytes, struct telemetry *ret_telemetry);

#endif
