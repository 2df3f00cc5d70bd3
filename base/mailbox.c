/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns a circular byte buffer under a mutex, one scratch buffer that belongs to the taking
 * thread, and an eventfd. Both buffers are allocated at creation; nothing grows.
 */
#include "base/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct record {
    uint32_t tag;
    uint32_t head_bytes;
    uint32_t body_bytes;
};

struct mailbox {
    pthread_mutex_t lock;
    int event_fd;
    size_t capacity_bytes;
    size_t read_at;
    size_t used_bytes;
    uint64_t dropped;
    char *queue;   /* capacity_bytes, guarded by lock */
    char *scratch; /* capacity_bytes + 2, the taker's */
};

int mailbox_create(size_t capacity_bytes, struct mailbox **ret_mailbox)
{
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

    if (!mailbox)
        return -ENOMEM;
    mailbox->capacity_bytes = capacity_bytes;
    mailbox->queue = malloc(capacity_bytes);
    mailbox->scratch = malloc(capacity_bytes + 2);
    mailbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&mailbox->lock, NULL);
    if (!mailbox->queue || !mailbox->scratch || mailbox->event_fd < 0) {
        int error = mailbox->event_fd < 0 ? -EMFILE : -ENOMEM;
        mailbox_destroy(mailbox);
        return error;
    }
    *ret_mailbox = mailbox;
    return 0;
}

void mailbox_destroy(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    if (mailbox->event_fd >= 0)
        close(mailbox->event_fd);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox->queue);
    free(mailbox->scratch);
    free(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->event_fd;
}

static void queue_write(struct mailbox *mailbox, const void *bytes, size_t length)
{
    size_t at = (mailbox->read_at + mailbox->used_bytes) % mailbox->capacity_bytes;
    size_t first = mailbox->capacity_bytes - at < length ? mailbox->capacity_bytes - at : length;

    if (length == 0)
        return;
    memcpy(mailbox->queue + at, bytes, first);
    memcpy(mailbox->queue, (const char *)bytes + first, length - first);
    mailbox->used_bytes += length;
}

static void queue_read(struct mailbox *mailbox, void *bytes, size_t length)
{
    size_t at = mailbox->read_at;
    size_t first = mailbox->capacity_bytes - at < length ? mailbox->capacity_bytes - at : length;

    memcpy(bytes, mailbox->queue + at, first);
    memcpy((char *)bytes + first, mailbox->queue, length - first);
    mailbox->read_at = (at + length) % mailbox->capacity_bytes;
    mailbox->used_bytes -= length;
}

int mailbox_post(struct mailbox *mailbox, const struct mailbox_message *message)
{
    size_t need = sizeof(struct record) + message->head_bytes + message->body_bytes;
    struct record record = {
        .tag = message->tag,
        .head_bytes = (uint32_t)message->head_bytes,
        .body_bytes = (uint32_t)message->body_bytes,
    };
    int result = 0;

    if (message->head_bytes > mailbox->capacity_bytes ||
        message->body_bytes > mailbox->capacity_bytes || need > mailbox->capacity_bytes)
        return -EMSGSIZE;
    pthread_mutex_lock(&mailbox->lock);
    if (need > mailbox->capacity_bytes - mailbox->used_bytes) {
        mailbox->dropped++;
        result = -EAGAIN;
    } else {
        if (mailbox->used_bytes == 0)
            eventfd_write(mailbox->event_fd, 1);
        queue_write(mailbox, &record, sizeof(record));
        queue_write(mailbox, message->head, message->head_bytes);
        queue_write(mailbox, message->body, message->body_bytes);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return result;
}

int mailbox_take(struct mailbox *mailbox, struct mailbox_message *ret_message)
{
    struct record record;
    char *head = mailbox->scratch;

    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->used_bytes == 0) {
        pthread_mutex_unlock(&mailbox->lock);
        return -EAGAIN;
    }
    queue_read(mailbox, &record, sizeof(record));
    char *body = head + record.head_bytes + 1;
    queue_read(mailbox, head, record.head_bytes);
    queue_read(mailbox, body, record.body_bytes);
    if (mailbox->used_bytes == 0) {
        eventfd_t drained;
        eventfd_read(mailbox->event_fd, &drained);
    }
    pthread_mutex_unlock(&mailbox->lock);
    head[record.head_bytes] = '\0';
    body[record.body_bytes] = '\0';
    *ret_message = (struct mailbox_message){
        .tag = record.tag,
        .head = head,
        .head_bytes = record.head_bytes,
        .body = body,
        .body_bytes = record.body_bytes,
    };
    return 0;
}

uint64_t mailbox_dropped(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    uint64_t dropped = mailbox->dropped;
    pthread_mutex_unlock(&mailbox->lock);
    return dropped;
}
