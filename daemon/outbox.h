/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way to clients, other than video: each a finished WebSocket frame, built once
 * and shared by all clients that it goes to, and a bounded queue of them per client.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_OUTBOX_H
#define SIMCAST_DAEMON_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

/* A WebSocket frame, ready for the socket. Counted references; the last unref frees it. */
struct message {
    unsigned references;
    size_t frame_bytes;
    uint8_t frame[];
};

/* One binary WebSocket message of `payload_bytes` bytes, with one reference for the caller. */
struct message *message_new(const void *payload, size_t payload_bytes); /* NULL: no memory */

/*
 * A telemetry message (proto/telemetry.h). Errors: -EMSGSIZE subject or payload too long, -ENOMEM.
 */
int message_new_telemetry(const char *subject, const char *payload, size_t payload_bytes,
                          struct message **ret_message);

void message_ref(struct message *message);
void message_unref(struct message *message); /* takes NULL */

/* First in, first out; when full, the oldest makes room. Embed it. */
struct outbox {
    struct message **slots;
    size_t capacity;
    size_t first;
    size_t count;
};

/* Errors: -ENOMEM. */
int outbox_init(struct outbox *outbox, size_t capacity);
void outbox_fini(struct outbox *outbox);

/* Takes a reference of its own. Returns how many older messages were dropped (0 or 1). */
unsigned outbox_push(struct outbox *outbox, struct message *message);

/* The oldest, whose reference passes to the caller, or NULL. */
struct message *outbox_pop(struct outbox *outbox);

#endif
