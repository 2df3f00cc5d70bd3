/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the queues and, through counted references, the messages in them. */
#include "daemon/outbox.h"

#include <assert.h>
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

/* Whether each of them counts, and not only the newest. */
static bool is_event(const char *subject)
{
    static const char commands[] = TELEMETRY_SUBJECT_PREFIX "command.";

    return strncmp(subject, commands, sizeof(commands) - 1) == 0 ||
           strcmp(subject, TELEMETRY_SUBJECT_PREFIX "policy.list") == 0 ||
           strcmp(subject, TELEMETRY_SUBJECT_PREFIX "safety.cmd_timeout") == 0 ||
           strcmp(subject, TELEMETRY_SUBJECT_PREFIX "operator.lease") == 0;
}

static bool same_state(const struct message *one, const struct message *other)
{
    return one->state_bytes > 0 && one->state_bytes == other->state_bytes &&
           memcmp(one->frame + one->state_at, other->frame + other->state_at, one->state_bytes) ==
               0;
}

/* A message with its header; *ret_payload is where the payload goes. */
static struct message *message_allocate(size_t payload_bytes, uint8_t **ret_payload)
{
    struct message *message = malloc(sizeof(*message) + WS_HEADER_BYTES_MAX + payload_bytes);

    if (!message)
        return NULL;
    size_t header_bytes = write_header(message->frame, payload_bytes);
    message->references = 1;
    message->state_bytes = 0;
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
    if (!is_event(subject)) {
        message->state_at = (uint16_t)(at + TELEMETRY_PREFIX_BYTES - message->frame);
        message->state_bytes = (uint16_t)telemetry.subject_bytes;
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

/* Where an older one of its subject waits, or NULL. */
static struct message **find_older(const struct outbox *outbox, const struct message *message)
{
    for (size_t i = 0; i < outbox->count && message->state_bytes > 0; i++) {
        struct message **slot = &outbox->slots[(outbox->first + i) % outbox->capacity];
        if (same_state(*slot, message))
            return slot;
    }
    return NULL;
}

enum outbox_push outbox_push(struct outbox *outbox, struct message *message)
{
    enum outbox_push result = OUTBOX_QUEUED;
    struct message **older = find_older(outbox, message);

    assert(outbox->capacity > 0); /* of outbox_init */
    message_ref(message);
    if (older) {
        message_unref(*older);
        *older = message;
        return OUTBOX_REPLACED;
    }
    if (outbox->count == outbox->capacity) {
        message_unref(outbox_pop(outbox));
        result = OUTBOX_DROPPED;
    }
    outbox->slots[(outbox->first + outbox->count++) % outbox->capacity] = message;
    return result;
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

/* The place of a subject, new or old; NULL: all are taken by messages that wait. */
static struct pace *find_pace(struct pacing *pacing, const struct message *message)
{
    struct pace *quietest = NULL;

    for (size_t i = 0; i < pacing->count; i++) {
        struct pace *pace = &pacing->paces[i];
        if (same_state(pace->newest, message))
            return pace;
        if (!pace->waits && (!quietest || pace->sent_ns < quietest->sent_ns))
            quietest = pace;
    }
    if (pacing->count < PACING_SUBJECTS)
        return &pacing->paces[pacing->count++];
    if (quietest) {
        message_unref(quietest->newest);
        *quietest = (struct pace){0};
    }
    return quietest;
}

static void keep(struct pace *pace, struct message *message)
{
    message_ref(message);
    message_unref(pace->newest);
    pace->newest = message;
}

enum pacing_take pacing_take(struct pacing *pacing, struct message *message, int64_t now_ns)
{
    struct pace *pace = message->state_bytes > 0 ? find_pace(pacing, message) : NULL;

    if (!pace)
        return PACING_SEND;
    bool first = !pace->newest;
    bool waited = pace->waits;
    keep(pace, message);
    if (waited)
        return PACING_SUPERSEDED;
    pace->waits = !first && now_ns - pace->sent_ns < pacing->period_ns;
    if (pace->waits)
        return PACING_HELD;
    pace->sent_ns = now_ns;
    return PACING_SEND;
}

/* Time is counted on from when it might have been sent: one that ticks late is not slower for it.
 */
struct message *pacing_due(struct pacing *pacing, int64_t now_ns)
{
    for (size_t i = 0; i < pacing->count; i++) {
        struct pace *pace = &pacing->paces[i];
        int64_t since_ns = now_ns - pace->sent_ns;
        if (!pace->waits || since_ns < pacing->period_ns)
            continue;
        pace->waits = false;
        pace->sent_ns =
            since_ns < 2 * pacing->period_ns ? pace->sent_ns + pacing->period_ns : now_ns;
        message_ref(pace->newest);
        return pace->newest;
    }
    return NULL;
}

void pacing_fini(struct pacing *pacing)
{
    for (size_t i = 0; i < pacing->count; i++)
        message_unref(pacing->paces[i].newest);
    pacing->count = 0;
}
