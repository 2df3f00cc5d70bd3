/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer: finds the producer, attaches, pins and unpins frames, and attaches again when the
 * producer comes back. Runs on the caller's one thread and keeps no other. A producer that is
 * gone, silent or wrong makes it DETACHED or REFUSED and it tries again every 50 ms.
 *
 * One epoll descriptor stands for everything that can happen: the wake-up, the connection and
 * the retry timer. While frames flow no call here enters the kernel, except to clear the eventfd
 * that woke the caller.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/attachment.h"
#include "shm/handoff.h"
#include "shm/layout.h"
#include "shm/ring.h"

#define RETRY_NS (50 * NS_PER_MS)
#define HOUSEKEEPING_NS NS_PER_MS
#define PIN_TRIES 64
#define REASON_BYTES 256

struct ring_consumer {
    struct sockaddr_un address;
    enum ring_kind kind;
    unsigned leases;

    int epoll_fd;
    int timer_fd;
    int socket_fd; /* -1: not connected */
    enum ring_link link;
    struct attachment *attachment; /* NULL unless link is RING_ATTACHED */
    char reason[REASON_BYTES];
    bool woken;              /* the caller's wait said that something happened */
    int64_t housekeeping_ns; /* when it was last done */

    uint64_t seq;  /* last frame acquired or skipped in this epoch */
    uint64_t lost; /* missed since the last acquired frame */
    bool resync;   /* RING_NEXT: skip to a keyframe */
    struct attachment *held[RING_CONSUMER_LEASES_MAX]; /* by lease; NULL: free */

    struct handoff_demand demand;
    bool demand_unsent;
};

/* ---- demand ------------------------------------------------------------------------------- */

static void send_demand(struct ring_consumer *consumer)
{
    if (consumer->link != RING_ATTACHED) {
        consumer->demand_unsent = true;
        return;
    }
    int error =
        handoff_send(consumer->socket_fd, &consumer->demand, sizeof(consumer->demand), NULL, 0);
    consumer->demand_unsent = error == -EAGAIN;
}

void ring_consumer_want(struct ring_consumer *consumer, bool wanted)
{
    if (consumer->demand.wanted == (uint32_t)wanted)
        return;
    consumer->demand.wanted = wanted;
    send_demand(consumer);
}

void ring_consumer_request_keyframe(struct ring_consumer *consumer)
{
    consumer->demand.keyframe_requests++;
    send_demand(consumer);
}

void ring_consumer_settings(struct ring_consumer *consumer, const struct stream_settings *settings)
{
    stream_settings_merge(&consumer->demand.settings, settings);
    consumer->demand.settings_changes++;
    send_demand(consumer);
}

/* ---- attaching ---------------------------------------------------------------------------- */

static void watch(const struct ring_consumer *consumer, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(consumer->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void arm_retry(const struct ring_consumer *consumer)
{
    struct itimerspec in_a_while = {.it_value.tv_nsec = RETRY_NS};

    timerfd_settime(consumer->timer_fd, 0, &in_a_while, NULL);
}

/* Views that are still held keep the old memory mapped; the last release unmaps it. */
static void drop_attachment(struct ring_consumer *consumer)
{
    struct attachment *attachment = consumer->attachment;

    consumer->attachment = NULL;
    if (!attachment)
        return;
    epoll_ctl(consumer->epoll_fd, EPOLL_CTL_DEL, attachment->wake_fd, NULL);
    if (attachment->views == 0)
        attachment_destroy(attachment);
}

static void detach(struct ring_consumer *consumer, enum ring_link link, const char *reason)
{
    drop_attachment(consumer);
    if (consumer->socket_fd >= 0)
        close(consumer->socket_fd); /* also leaves the epoll set */
    consumer->socket_fd = -1;
    consumer->link = link;
    snprintf(consumer->reason, sizeof(consumer->reason), "%s", reason);
    arm_retry(consumer);
}

static void say_hello(struct ring_consumer *consumer)
{
    struct handoff_hello hello = {
        .magic = HANDOFF_MAGIC,
        .version = RING_LAYOUT_VERSION,
        .kind = consumer->kind,
        .leases = consumer->leases,
    };
    char reason[REASON_BYTES];
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? -errno : 0;

    consumer->socket_fd = fd;
    if (error == 0 &&
        connect(fd, (const struct sockaddr *)&consumer->address, sizeof(consumer->address)) < 0)
        error = -errno;
    if (error == 0)
        error = handoff_send(fd, &hello, sizeof(hello), NULL, 0);
    if (error < 0) {
        snprintf(reason, sizeof(reason), "no producer listens at %s (%s)",
                 consumer->address.sun_path, strerror(-error));
        detach(consumer, RING_DETACHED, reason);
        return;
    }
    watch(consumer, fd);
}

static void refused(struct ring_consumer *consumer, int status)
{
    const char *why = "it gave no reason that this version knows";
    char reason[REASON_BYTES];

    if (status == -EPROTONOSUPPORT)
        why = "it speaks another ring version; run the same simcast version on both sides";
    else if (status == -EBUSY)
        why = "all its leases are taken; raise the producer's leases_max or stop a consumer";
    else if (status == -EPROTO)
        why = "its memory is not a ring";
    snprintf(reason, sizeof(reason), "the producer at %s cannot be used: %s",
             consumer->address.sun_path, why);
    detach(consumer, RING_REFUSED, reason);
}

static void take_welcome(struct ring_consumer *consumer)
{
    struct handoff_welcome welcome;
    int fds[HANDOFF_FDS];
    struct attachment *attachment;
    int error = handoff_receive(consumer->socket_fd, &welcome, sizeof(welcome), fds);

    if (error == -EAGAIN)
        return;
    if (error < 0) {
        detach(consumer, RING_DETACHED, "the producer hung up while being asked");
        return;
    }
    if (welcome.magic != HANDOFF_MAGIC)
        error = -EPROTO;
    else if (welcome.status != 0)
        error = welcome.status;
    else if (welcome.leases != consumer->leases)
        error = -EPROTO;
    if (error < 0) {
        for (unsigned i = 0; i < HANDOFF_FDS; i++) {
            if (fds[i] >= 0)
                close(fds[i]);
        }
    } else {
        error = attachment_create(fds, consumer->leases, &attachment);
    }
    if (error < 0) {
        refused(consumer, error);
        return;
    }
    consumer->attachment = attachment;
    consumer->link = RING_ATTACHED;
    consumer->reason[0] = '\0';
    consumer->seq = 0;
    consumer->lost = 0;
    consumer->resync = true;
    watch(consumer, attachment->wake_fd);
    send_demand(consumer);
}

/* What the descriptor may have to tell besides frames. Bounded: a handful of system calls. */
static void housekeeping(struct ring_consumer *consumer)
{
    uint64_t expired;
    char unexpected;

    consumer->woken = false;
    consumer->housekeeping_ns = clock_now_ns();
    if (consumer->socket_fd < 0) {
        if (read(consumer->timer_fd, &expired, sizeof(expired)) == sizeof(expired))
            say_hello(consumer);
    }
    if (consumer->socket_fd >= 0 && consumer->link != RING_ATTACHED) {
        take_welcome(consumer);
    } else if (consumer->link == RING_ATTACHED) {
        eventfd_t wakes;
        eventfd_read(consumer->attachment->wake_fd, &wakes);
        ssize_t got = recv(consumer->socket_fd, &unexpected, 1, MSG_DONTWAIT);
        if (got >= 0 || (errno != EAGAIN && errno != EINTR))
            detach(consumer, RING_DETACHED, "the producer is gone");
        else if (consumer->demand_unsent)
            send_demand(consumer);
    }
}

/* ---- acquire and release ------------------------------------------------------------------ */

static int free_lease(const struct ring_consumer *consumer)
{
    for (unsigned i = 0; i < consumer->leases; i++) {
        if (!consumer->held[i])
            return (int)i;
    }
    return -EBUSY;
}

/*
 * Pins the slot that held frame seq when `entry` was read. After the store the producer's next
 * claim sees it; if an earlier claim won, the generation differs and the pin is taken back.
 */
static bool pin(const struct attachment *attachment, unsigned lease, uint64_t entry)
{
    uint32_t slot = ring_entry_slot(entry);

    if (slot >= attachment->slot_count)
        return false;
    atomic_store_explicit(&attachment->leases->slot_plus_1[lease], (uint64_t)slot + 1,
                          memory_order_seq_cst);
    uint64_t generation =
        atomic_load_explicit(&attachment_slot(attachment, slot)->generation, memory_order_seq_cst);
    if (generation == ring_generation_of(ring_entry_seq(entry)))
        return true;
    atomic_store_explicit(&attachment->leases->slot_plus_1[lease], 0, memory_order_release);
    return false;
}

static void unpin(const struct attachment *attachment, unsigned lease)
{
    /* Pairs with the load in door_pinned: our reads happen before the slot is written again. */
    atomic_store_explicit(&attachment->leases->slot_plus_1[lease], 0, memory_order_release);
}

static uint64_t load_entry(const _Atomic uint64_t *entry)
{
    /* Pairs with the producer's stores in ring_publish. seq_cst for arm(). */
    return atomic_load_explicit(entry, memory_order_seq_cst);
}

static int pin_latest(struct ring_consumer *consumer, unsigned lease, uint64_t *ret_entry)
{
    const struct attachment *attachment = consumer->attachment;

    for (unsigned i = 0; i < PIN_TRIES; i++) {
        uint64_t entry = load_entry(&attachment->header->newest);
        uint64_t seq = ring_entry_seq(entry);
        if (seq <= consumer->seq)
            return -EAGAIN;
        if (!pin(attachment, lease, entry))
            continue; /* the producer went a whole round meanwhile */
        consumer->lost += consumer->seq > 0 ? seq - consumer->seq - 1 : 0;
        *ret_entry = entry;
        return 0;
    }
    return -EAGAIN;
}

static uint64_t entry_of_seq(const struct attachment *attachment, uint64_t seq)
{
    uint64_t entry = load_entry(&attachment->header->index[seq % RING_INDEX_ENTRIES]);

    return ring_entry_seq(entry) == seq ? entry : 0;
}

/* Pins the newest keyframe after the last frame seen, or skips everything that is there. */
static int pin_keyframe(struct ring_consumer *consumer, unsigned lease, uint64_t *ret_entry)
{
    const struct attachment *attachment = consumer->attachment;
    uint64_t newest = ring_entry_seq(load_entry(&attachment->header->newest));
    uint64_t first = newest > RING_INDEX_ENTRIES ? newest - RING_INDEX_ENTRIES + 1 : 1;

    if (first <= consumer->seq)
        first = consumer->seq + 1;
    for (uint64_t seq = newest; seq >= first; seq--) {
        uint64_t entry = entry_of_seq(attachment, seq);
        if ((entry & RING_ENTRY_KEYFRAME) && pin(attachment, lease, entry)) {
            consumer->lost += consumer->seq > 0 ? seq - consumer->seq - 1 : 0;
            consumer->resync = false;
            *ret_entry = entry;
            return 0;
        }
    }
    if (newest > consumer->seq) {
        consumer->lost += consumer->seq > 0 ? newest - consumer->seq : 0;
        consumer->seq = newest;
    }
    return -EAGAIN;
}

static int pin_next(struct ring_consumer *consumer, unsigned lease, uint64_t *ret_entry)
{
    const struct attachment *attachment = consumer->attachment;

    if (!consumer->resync) {
        uint64_t want = consumer->seq + 1;
        if (ring_entry_seq(load_entry(&attachment->header->newest)) < want)
            return -EAGAIN;
        uint64_t entry = entry_of_seq(attachment, want);
        if (entry != 0 && pin(attachment, lease, entry)) {
            *ret_entry = entry;
            return 0;
        }
        consumer->resync = true; /* lapped */
    }
    return pin_keyframe(consumer, lease, ret_entry);
}

static int pin_by(struct ring_consumer *consumer, enum ring_policy policy, unsigned lease,
                  uint64_t *ret_entry)
{
    return policy == RING_NEXT ? pin_next(consumer, lease, ret_entry)
                               : pin_latest(consumer, lease, ret_entry);
}

/*
 * Says that we sleep from now on, then the caller looks once more. The producer publishes, then
 * looks whether we sleep; all four are seq_cst, so either it wakes us or we see its frame.
 * Returns false when the wake-up was armed already and nothing can have been missed.
 */
static bool arm(const struct attachment *attachment)
{
    eventfd_t wakes;

    if (atomic_load_explicit(&attachment->leases->waiting, memory_order_seq_cst))
        return false;
    eventfd_read(attachment->wake_fd, &wakes);
    atomic_store_explicit(&attachment->leases->waiting, 1, memory_order_seq_cst);
    return true;
}

static int pin_or_arm(struct ring_consumer *consumer, enum ring_policy policy, unsigned lease,
                      uint64_t *ret_entry)
{
    int error = pin_by(consumer, policy, lease, ret_entry);

    if (error != -EAGAIN)
        return error;
    if (consumer->woken || clock_now_ns() - consumer->housekeeping_ns > HOUSEKEEPING_NS)
        housekeeping(consumer);
    if (consumer->link != RING_ATTACHED)
        return -EPIPE;
    if (arm(consumer->attachment))
        return pin_by(consumer, policy, lease, ret_entry);
    return error;
}

static int fill_view(struct ring_consumer *consumer, unsigned lease, uint64_t entry,
                     struct ring_view *ret_view)
{
    struct attachment *attachment = consumer->attachment;
    const struct ring_slot *slot = attachment_slot(attachment, ring_entry_slot(entry));
    struct ring_view view = {
        .payload = (const char *)slot + RING_PAYLOAD_OFFSET,
        .user = slot->user,
        .frame = slot->frame,
        .epoch = attachment->epoch,
        .lost = consumer->lost,
        .lease = lease,
    };

    consumer->seq = ring_entry_seq(entry);
    if (view.frame.payload_bytes > attachment->payload_bytes_max ||
        view.frame.user_bytes > RING_USER_BYTES || view.frame.seq != consumer->seq) {
        unpin(attachment, lease);
        consumer->lost++;
        consumer->resync = true;
        return -EPROTO;
    }
    consumer->lost = 0;
    consumer->held[lease] = attachment;
    attachment->views++;
    *ret_view = view;
    return 0;
}

int ring_acquire(struct ring_consumer *consumer, enum ring_policy policy,
                 struct ring_view *ret_view)
{
    uint64_t entry;
    int lease = free_lease(consumer);

    if (lease < 0)
        return lease;
    if (consumer->link != RING_ATTACHED)
        housekeeping(consumer);
    if (consumer->link != RING_ATTACHED)
        return -EPIPE;
    int error = pin_or_arm(consumer, policy, (unsigned)lease, &entry);
    if (error < 0)
        return error;
    return fill_view(consumer, (unsigned)lease, entry, ret_view);
}

void ring_release(struct ring_consumer *consumer, const struct ring_view *view)
{
    struct attachment *attachment = consumer->held[view->lease];

    consumer->held[view->lease] = NULL;
    unpin(attachment, view->lease);
    attachment->views--;
    if (attachment->views == 0 && attachment != consumer->attachment)
        attachment_destroy(attachment);
}

/* ---- open, wait, close -------------------------------------------------------------------- */

int ring_consumer_open(const struct ring_consumer_config *config,
                       struct ring_consumer **ret_consumer)
{
    struct sockaddr_un address;
    unsigned leases = config->leases ? config->leases : 1;
    int error = handoff_address(config->dir, config->stream, config->kind, &address);

    if (error < 0)
        return error;
    if (leases > RING_CONSUMER_LEASES_MAX)
        return -EINVAL;
    struct ring_consumer *consumer = calloc(1, sizeof(*consumer));
    if (!consumer)
        return -ENOMEM;
    consumer->address = address;
    consumer->kind = config->kind;
    consumer->leases = leases;
    consumer->socket_fd = -1;
    consumer->demand.magic = HANDOFF_MAGIC;
    consumer->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    consumer->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (consumer->epoll_fd < 0 || consumer->timer_fd < 0) {
        ring_consumer_close(consumer);
        return -EMFILE;
    }
    watch(consumer, consumer->timer_fd);
    say_hello(consumer);
    *ret_consumer = consumer;
    return 0;
}

void ring_consumer_close(struct ring_consumer *consumer)
{
    if (!consumer)
        return;
    for (unsigned i = 0; i < consumer->leases; i++) {
        struct ring_view held = {.lease = i};
        if (consumer->held[i])
            ring_release(consumer, &held);
    }
    attachment_destroy(consumer->attachment);
    int fds[] = {consumer->socket_fd, consumer->timer_fd, consumer->epoll_fd};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    free(consumer);
}

int ring_consumer_fd(const struct ring_consumer *consumer)
{
    return consumer->epoll_fd;
}

int ring_consumer_wait(struct ring_consumer *consumer, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = consumer->epoll_fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, timeout_ms);

    if (ready < 0)
        return -errno;
    consumer->woken = ready > 0;
    return ready > 0 ? 0 : -ETIMEDOUT;
}

enum ring_link ring_consumer_link(const struct ring_consumer *consumer)
{
    return consumer->link;
}

const char *ring_consumer_link_reason(const struct ring_consumer *consumer)
{
    return consumer->reason;
}

uint64_t ring_consumer_newest(struct ring_consumer *consumer)
{
    if (consumer->link != RING_ATTACHED ||
        clock_now_ns() - consumer->housekeeping_ns > HOUSEKEEPING_NS)
        housekeeping(consumer);
    if (consumer->link != RING_ATTACHED)
        return 0;
    return ring_entry_seq(load_entry(&consumer->attachment->header->newest));
}
