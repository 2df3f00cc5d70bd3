/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the queues and, through counted references, the messages in them. */
#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/telemetry.h"

#define WS_HEADER_BYTES_MAX 10
#define WS_FIN_BINARY 0x82

/* The header of an unmasked binary message (RFC 6455, 5.2); returns its length. */
static size_t write_header(uint8_t *bytes, size_t payload_bytes)
{
    bytes[0] = WS_FIN_BINARY;
    if (payload_bytes < 126) {
        bytes[1] = (uint8_t)payload_bytes;
        return 2;
    }
    if (payload_bytes <= UINT16_MAX) {
        bytes[1] = 126;
        bytes[2] = (uint8_t)(payload_bytes >> 8);
        bytes[3] = (uint8_t)payload_bytes;
        return 4;
    }
    bytes[1] = 127;
    for (unsigned i = 0; i < 8; i++)
        bytes[2 + i] = (uint8_t)((uint64_t)payload_bytes >> (56 - 8 * i));
    return WS_HEADER_BYTES_MAX;
}

/* A message with its header; *ret_payload is where the payload goes. */
static struct message *message_allocate(size_t payload_bytes, uint8_t **ret_payload)
{
    struct message *message = malloc(sizeof(*message) + WS_HEADER_BYTES_MAX + payload_bytes);

    if (!message)
        return NULL;
    size_t header_bytes = write_header(message->frame, payload_bytes);
    message->references = 1;
    message->frame_bytes = header_bytes + payload_bytes;
    *ret_payload = message->frame + header_bytes;
    return message;
}

struct message *message_new(const void *payload, size_t payload_bytes)
{
    uint8_t *at;
    struct message *message = message_allocate(payload_bytes, &at);

    if (message)
        memcpy(at, payload, payload_bytes);
    return message;
}

int message_new_telemetry(const char *subject, const char *payload, size_t payload_bytes,
                          struct message **ret_message)
{
    const struct telemetry telemetry = {
        .subject = subject,
        .subject_bytes = strlen(subject),
        .payload = payload,
        .payload_bytes = payload_bytes,
    };
    size_t size = TELEMETRY_PREFIX_BYTES + telemetry.subject_bytes + payload_bytes;
    uint8_t *at;

    if (size > TELEMETRY_MESSAGE_BYTES_MAX)
        return -EMSGSIZE;
    struct message *message = message_allocate(size, &at);
    if (!message)
        return -ENOMEM;
    int error = telemetry_encode(&telemetry, at, size, &size);
    if (error < 0) {
        free(message);
        return error;
    }
    *ret_message = message;
    return 0;
}

void message_ref(struct message *message)
{
    message->references++;
}

void message_unref(struct message *message)
{
    if (message && --message->references == 0)
        free(message);
}

int outbox_init(struct outbox *outbox, size_t capacity)
{
    struct message **slots = calloc(capacity, sizeof(struct message *));

    if (!slots)
        return -ENOMEM;
    *outbox = (struct outbox){.slots = slots, .capacity = capacity};
    return 0;
}

void outbox_fini(struct outbox *outbox)
{
    struct message *message;

    while ((message = outbox_pop(outbox)))
        message_unref(message);
    free(outbox->slots);
    outbox->slots = NULL;
}

unsigned outbox_push(struct outbox *outbox, struct message *message)
{
    unsigned dropped = 0;

    if (outbox->count == outbox->capacity) {
        message_unref(outbox_pop(outbox));
        dropped = 1;
    }
    message_ref(message);
    outbox->slots[(outbox->first + outbox->count++) % outbox->capacity] = message;
    return dropped;
}

struct message *outbox_pop(struct outbox *outbox)
{
    if (outbox->count == 0)
        return NULL;
    struct message *message = outbox->slots[outbox->first];
    outbox->first = (outbox->first + 1) % outbox->capacity;
    outbox->count--;
    return message;
}
