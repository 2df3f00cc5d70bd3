/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way to clients, other than video: each a finished WebSocket frame, built once
 * and shared by all clients that it goes to, and a bounded queue of them per client.
 *
 * Telemetry tells a state, of which only the newest is of interest: in a queue it takes the place
 * of an older one of its subject. What tells an event (telemetry.command.>, telemetry.policy.list,
 * telemetry.safety.cmd_timeout, telemetry.operator.lease) and what is no telemetry replaces
 * nothing.
 *
 * Thread: the loop. Cost: a queue is searched only when something is put into it, that is, for a
 * client that does not keep up.
 */
#ifndef SIMCAST_DAEMON_OUTBOX_H
#define SIMCAST_DAEMON_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACING_SUBJECTS 64

/* A WebSocket frame, ready for the socket. Counted references; the last unref frees it. */
struct message {
    unsigned references;
    uint16_t state_at;    /* where in the frame the subject of a state is */
    uint16_t state_bytes; /* its length; 0: not a state */
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

/*
 * First in, first out, but a state takes the place of an older one of its subject; when full, the
 * oldest makes room. Embed it.
 */
struct outbox {
    struct message **slots;
    size_t capacity;
    size_t first;
    size_t count;
};

/* `capacity`: 1 or more. Errors: -ENOMEM. */
int outbox_init(struct outbox *outbox, size_t capacity);
void outbox_fini(struct outbox *outbox);

enum outbox_push {
    OUTBOX_QUEUED,
    OUTBOX_REPLACED, /* an older one of its subject, which nobody will see */
    OUTBOX_DROPPED,  /* the oldest, for lack of room */
};

/* Takes a reference of its own. */
enum outbox_push outbox_push(struct outbox *outbox, struct message *message);

/* The oldest, whose reference passes to the caller, or NULL. */
struct message *outbox_pop(struct outbox *outbox);

/*
 * Holds back states of a subject that come faster than once in `period_ns`, all but the newest.
 * Beyond PACING_SUBJECTS subjects at once, those that were quiet longest are forgotten and may go
 * too early. Zero it, but for period_ns; the other fields belong to outbox.c.
 */
struct pacing {
    int64_t period_ns;
    size_t count;
    struct pace {
        struct message *newest;
        int64_t sent_ns;
        bool waits; /* `newest` was not sent yet */
    } paces[PACING_SUBJECTS];
};

enum pacing_take {
    PACING_SEND,       /* now; it is the caller's to send */
    PACING_HELD,       /* pacing_due will return it */
    PACING_SUPERSEDED, /* the same, and the one that waited will not be sent */
};

/* A message is to be sent. What is not a state always is. */
enum pacing_take pacing_take(struct pacing *pacing, struct message *message, int64_t now_ns);

/* One that waited long enough, with a reference for the caller; NULL: no more of them. */
struct message *pacing_due(struct pacing *pacing, int64_t now_ns);

void pacing_fini(struct pacing *pacing);

#endif
