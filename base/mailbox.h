/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mailbox carries small messages between two threads, usually from a library's callback thread
 * to a loop. A bounded byte queue with an eventfd: posting never blocks and never allocates; when
 * it is full the new message is refused and counted, so a flood costs memory nothing.
 *
 * A message is a tag (the caller's meaning) and two byte strings, for instance subject and
 * payload. Order is kept.
 *
 * Thread: any thread may post; one thread takes. Cost: a mutex held for the copy, and one
 * eventfd write when the mailbox was empty.
 */
#ifndef SIMCAST_BASE_MAILBOX_H
#define SIMCAST_BASE_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

struct mailbox;

struct mailbox_message {
    uint32_t tag;
    const char *head; /* head_bytes bytes, then a NUL that is not counted */
    size_t head_bytes;
    const char *body; /* body_bytes bytes, then a NUL that is not counted */
    size_t body_bytes;
};

/*
 * Creates a mailbox that holds at most `capacity_bytes` of queued messages (each costs its bytes
 * plus about 32). On success the caller owns *ret_mailbox. Errors: -ENOMEM, -EMFILE.
 */
int mailbox_create(size_t capacity_bytes, struct mailbox **ret_mailbox);

/* Takes NULL. No other thread may use the mailbox any more. */
void mailbox_destroy(struct mailbox *mailbox);

/* Readable while messages are queued; level-triggered. Borrowed: do not read or close it. */
int mailbox_fd(const struct mailbox *mailbox);

/* Copies the message in. Errors: -EAGAIN full (counted in mailbox_dropped), -EMSGSIZE never fits.
 */
int mailbox_post(struct mailbox *mailbox, const struct mailbox_message *message);

/*
 * Takes the oldest message. Its strings live in the mailbox's own buffer and stay valid until the
 * next mailbox_take or mailbox_destroy. Errors: -EAGAIN when nothing is queued.
 */
int mailbox_take(struct mailbox *mailbox, struct mailbox_message *ret_message);

/* Messages refused since creation because the mailbox was full. */
uint64_t mailbox_dropped(struct mailbox *mailbox);

#endif
