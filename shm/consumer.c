/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer: pins and unpins frames, and waits for them. Runs on the caller's one thread and
 * keeps no other; shm/link.c finds the producer and follows it over restarts. While frames flow
 * no call here enters the kernel, except to sleep and to empty the pipe that woke us.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/probe.h"
#include "shm/fork_guard.h"
#include "shm/layout.h"
#include "shm/link.h"
#include "shm/rhythm.h"
#include "shm/ring.h"

#define SERVICE_NS NS_PER_MS
#define PIN_TRIES 64
#define SPINS_PER_LOOK 16 /* at the clock */

struct ring_consumer {
    struct link link;
    struct rhythm rhythm;
    bool woken; /* the caller's wait said that something happened */
    bool slack_set;

    uint64_t seq;  /* last frame acquired or skipped in this epoch */
    uint64_t lost; /* missed since the last acquired frame */
    bool resync;   /* RING_NEXT: skip to a keyframe */
    uint64_t pins; /* so far */
    uint64_t frames;
    uint64_t lost_ever;
    uint64_t spin_ns;
    struct attachment *held[RING_CONSUMER_LEASES_MAX]; /* by lease; NULL: free */
    uint64_t held_word[RING_CONSUMER_LEASES_MAX];
};

static void service(struct ring_consumer *consumer)
{
    consumer->woken = false;
    if (!link_service(&consumer->link))
        return;
    consumer->seq = 0;
    consumer->lost = 0;
    consumer->resync = true;
    consumer->frames = 0;
    consumer->lost_ever = 0;
    consumer->spin_ns = 0;
    consumer->rhythm = (struct rhythm){0};
}

/* ---- demand ------------------------------------------------------------------------------- */

void ring_consumer_want(struct ring_consumer *consumer, bool wanted)
{
    if (consumer->link.demand.wanted == (uint32_t)wanted)
        return;
    consumer->link.demand.wanted = wanted;
    link_tell(&consumer->link);
}

void ring_consumer_request_keyframe(struct ring_consumer *consumer)
{
    consumer->link.demand.keyframe_requests++;
    link_tell(&consumer->link);
}

void ring_consumer_settings(struct ring_consumer *consumer, const struct stream_settings *settings)
{
    stream_settings_merge(&consumer->link.demand.settings, settings);
    consumer->link.demand.settings_changes++;
    link_tell(&consumer->link);
}

/* ---- acquire and release ------------------------------------------------------------------ */

static int free_lease(const struct ring_consumer *consumer)
{
    for (unsigned i = 0; i < consumer->link.terms.leases; i++) {
        if (!consumer->held[i])
            return (int)i;
    }
    return -EBUSY;
}

/*
 * Pins the slot that held frame seq when `entry` was read. After the store the producer's next
 * claim sees it; if an earlier claim won, the generation differs and the pin is taken back.
 */
static bool pin(struct ring_consumer *consumer, unsigned lease, uint64_t entry)
{
    const struct attachment *attachment = consumer->link.attachment;
    uint32_t slot = ring_entry_slot(entry);

    if (slot >= attachment->slot_count)
        return false;
    consumer->pins++;
    consumer->held_word[lease] = consumer->pins << RING_LEASE_PINS_SHIFT | (slot + 1);
    atomic_store_explicit(&attachment->leases->words[lease], consumer->held_word[lease],
                          memory_order_seq_cst);
    uint64_t generation =
        atomic_load_explicit(&attachment_slot(attachment, slot)->generation, memory_order_seq_cst);
    if (generation == ring_generation_of(ring_entry_seq(entry)))
        return true;
    atomic_store_explicit(&attachment->leases->words[lease], 0, memory_order_release);
    return false;
}

/* Returns whether the pin held until now. */
static bool unpin(const struct attachment *attachment, unsigned lease, uint64_t word)
{
    /* Pairs with the load in door_pinned: our reads happen before the slot is written again. */
    return atomic_exchange_explicit(&attachment->leases->words[lease], 0, memory_order_acq_rel) ==
           word;
}

static uint64_t load_entry(const _Atomic uint64_t *entry)
{
    /* Pairs with the producer's stores in ring_publish. seq_cst for arm(). */
    return atomic_load_explicit(entry, memory_order_seq_cst);
}

static int pin_latest(struct ring_consumer *consumer, unsigned lease, uint64_t *ret_entry)
{
    const struct attachment *attachment = consumer->link.attachment;

    for (unsigned i = 0; i < PIN_TRIES; i++) {
        uint64_t entry = load_entry(&attachment->header->newest);
        uint64_t seq = ring_entry_seq(entry);
        if (seq <= consumer->seq)
            return -EAGAIN;
        if (!pin(consumer, lease, entry))
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
    const struct attachment *attachment = consumer->link.attachment;
    uint64_t newest = ring_entry_seq(load_entry(&attachment->header->newest));
    uint64_t first = newest > RING_INDEX_ENTRIES ? newest - RING_INDEX_ENTRIES + 1 : 1;

    if (first <= consumer->seq)
        first = consumer->seq + 1;
    for (uint64_t seq = newest; seq >= first; seq--) {
        uint64_t entry = entry_of_seq(attachment, seq);
        if ((entry & RING_ENTRY_KEYFRAME) && pin(consumer, lease, entry)) {
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
    const struct attachment *attachment = consumer->link.attachment;

    if (!consumer->resync) {
        uint64_t want = consumer->seq + 1;
        if (ring_entry_seq(load_entry(&attachment->header->newest)) < want)
            return -EAGAIN;
        uint64_t entry = entry_of_seq(attachment, want);
        if (entry != 0 && pin(consumer, lease, entry)) {
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
    if (atomic_load_explicit(&attachment->leases->waiting, memory_order_seq_cst))
        return false;
    attachment_hush(attachment);
    atomic_store_explicit(&attachment->leases->waiting, 1, memory_order_seq_cst);
    return true;
}

static int pin_or_arm(struct ring_consumer *consumer, enum ring_policy policy, unsigned lease,
                      uint64_t *ret_entry)
{
    int error = pin_by(consumer, policy, lease, ret_entry);

    if (error != -EAGAIN)
        return error;
    if (consumer->woken || clock_now_ns() - consumer->link.serviced_ns > SERVICE_NS)
        service(consumer);
    if (consumer->link.state != RING_ATTACHED)
        return -EPIPE;
    if (arm(consumer->link.attachment))
        return pin_by(consumer, policy, lease, ret_entry);
    return error;
}

static int64_t stamp_of_publish(const struct ring_consumer *consumer,
                                const struct ring_frame *frame)
{
    return frame->stamp_ns[consumer->link.kind == RING_KIND_PACKETS ? RING_STAGE_PACKET_PUBLISHED
                                                                    : RING_STAGE_PUBLISHED];
}

/* Tells the producer about us, for ring_inspect. */
static void report(const struct ring_consumer *consumer)
{
    struct ring_leases *leases = consumer->link.attachment->leases;

    atomic_store_explicit(&leases->seq, consumer->seq, memory_order_relaxed);
    atomic_store_explicit(&leases->frames, consumer->frames, memory_order_relaxed);
    atomic_store_explicit(&leases->lost, consumer->lost_ever, memory_order_relaxed);
    atomic_store_explicit(&leases->spin_ns, consumer->spin_ns, memory_order_relaxed);
}

static int fill_view(struct ring_consumer *consumer, unsigned lease, uint64_t entry,
                     struct ring_view *ret_view)
{
    struct attachment *attachment = consumer->link.attachment;
    const struct ring_slot *slot = attachment_slot(attachment, ring_entry_slot(entry));
    struct ring_view view = {
        .payload = attachment_payload(attachment, ring_entry_slot(entry)),
        .user = slot->user,
        .frame = slot->frame,
        .epoch = attachment->epoch,
        .lost = consumer->lost,
        .lease = lease,
        .memory = attachment->memory,
        .cuda_device = attachment->device.device.ordinal,
    };

    consumer->seq = ring_entry_seq(entry);
    if (view.frame.payload_bytes > attachment->payload_bytes_max ||
        view.frame.user_bytes > RING_USER_BYTES || view.frame.seq != consumer->seq) {
        unpin(attachment, lease, consumer->held_word[lease]);
        consumer->lost++;
        consumer->resync = true;
        return -EPROTO;
    }
    consumer->frames++;
    consumer->lost_ever += view.lost;
    consumer->lost = 0;
    consumer->held[lease] = attachment;
    attachment_view(attachment);
    rhythm_observe(&consumer->rhythm, view.frame.seq, stamp_of_publish(consumer, &view.frame));
    report(consumer);
    PROBE5(ring_acquire, attachment->header->stream, consumer->link.kind, consumer->seq,
           view.frame.frame_id, view.lost);
    *ret_view = view;
    return 0;
}

int ring_acquire(struct ring_consumer *consumer, enum ring_policy policy,
                 struct ring_view *ret_view)
{
    uint64_t entry;
    int lease = free_lease(consumer);

    if (consumer->link.fork_generation != fork_guard_generation())
        return -ESTALE;
    if (lease < 0)
        return lease;
    if (consumer->link.state != RING_ATTACHED)
        service(consumer);
    if (consumer->link.state != RING_ATTACHED)
        return -EPIPE;
    int error = pin_or_arm(consumer, policy, (unsigned)lease, &entry);
    if (error < 0)
        return error;
    return fill_view(consumer, (unsigned)lease, entry, ret_view);
}

int ring_release(struct ring_consumer *consumer, const struct ring_view *view)
{
    struct attachment *attachment = consumer->held[view->lease];
    bool held = false;

    /* After a fork the lease page is still the parent's. */
    if (consumer->link.fork_generation == fork_guard_generation())
        held = unpin(attachment, view->lease, consumer->held_word[view->lease]);
    consumer->held[view->lease] = NULL;
    attachment_unview(attachment);
    return held ? 0 : -ESTALE;
}

int ring_check(const struct ring_consumer *consumer, const struct ring_view *view)
{
    const struct attachment *attachment = consumer->held[view->lease];

    if (consumer->link.fork_generation != fork_guard_generation())
        return -ESTALE;
    /* As in unpin; a plain load would let our reads of the payload come after it. */
    uint64_t word =
        atomic_fetch_or_explicit(&attachment->leases->words[view->lease], 0, memory_order_acq_rel);
    return word == consumer->held_word[view->lease] ? 0 : -ESTALE;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static int sleep_until(const struct ring_consumer *consumer, int64_t until_ns)
{
    const struct link *link = &consumer->link;
    struct pollfd wakes[] = {{.fd = link->epoll_fd, .events = POLLIN},
                             {.fd = link->socket_fd, .events = POLLIN}};
    int64_t left_ns = until_ns - clock_now_ns();
    struct timespec timeout = {0};

    if (left_ns > 0) {
        timeout.tv_sec = left_ns / NS_PER_S;
        timeout.tv_nsec = left_ns % NS_PER_S;
    }
    /* A wake-up through an epoll set passes two wait queues: while attached, poll what matters. */
    if (link->state == RING_ATTACHED)
        wakes[0].fd = link->attachment->wake_fd;
    int ready = ppoll(wakes, link->state == RING_ATTACHED ? 2 : 1,
                      until_ns == INT64_MAX ? NULL : &timeout, NULL);
    if (ready < 0)
        return -errno;
    return ready > 0 ? 0 : -ETIMEDOUT;
}

static bool frame_is_there(const struct ring_consumer *consumer)
{
    return ring_entry_seq(load_entry(&consumer->link.attachment->header->newest)) > consumer->seq;
}

static void relax_processor(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spins until a frame is there or the time is over; while we do, nobody needs to wake us. */
static bool spin(struct ring_consumer *consumer, int64_t spin_ns_max)
{
    struct ring_leases *leases = consumer->link.attachment->leases;
    int64_t begin_ns = clock_now_ns();
    int64_t now_ns = begin_ns;
    bool there = frame_is_there(consumer);

    atomic_store_explicit(&leases->waiting, 0, memory_order_seq_cst);
    while (!there && now_ns - begin_ns < spin_ns_max) {
        for (unsigned i = 0; i < SPINS_PER_LOOK && !there; i++) {
            relax_processor();
            there = frame_is_there(consumer);
        }
        now_ns = clock_now_ns();
    }
    if (!there) /* from here on the producer must wake us again */
        atomic_store_explicit(&leases->waiting, 1, memory_order_seq_cst);
    there = there || frame_is_there(consumer);
    consumer->spin_ns += (uint64_t)(now_ns - begin_ns);
    rhythm_learn(&consumer->rhythm, now_ns - begin_ns, there);
    return there;
}

/* Returns 0 when the frame came as predicted, or an error when plain waiting must go on. */
static int wait_with_rhythm(struct ring_consumer *consumer, int64_t deadline_ns)
{
    struct rhythm_plan plan;

    if (consumer->link.state != RING_ATTACHED || !rhythm_plan(&consumer->rhythm, &plan) ||
        plan.wake_ns + plan.spin_ns_max > deadline_ns ||
        plan.wake_ns + plan.spin_ns_max <= clock_now_ns())
        return -ETIMEDOUT;
    if (!consumer->slack_set)
        prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
    consumer->slack_set = true;
    int error = sleep_until(consumer, plan.wake_ns);
    if (error != -ETIMEDOUT)
        return error;
    return spin(consumer, plan.spin_ns_max) ? 0 : -ETIMEDOUT;
}

int ring_consumer_wait(struct ring_consumer *consumer, int timeout_ms)
{
    int64_t deadline_ns = timeout_ms < 0 ? INT64_MAX : clock_now_ns() + timeout_ms * NS_PER_MS;

    if (consumer->link.fork_generation != fork_guard_generation())
        return -ESTALE;
    /* Armed by ring_acquire already, unless the caller stopped before it said -EAGAIN. */
    if (consumer->link.state == RING_ATTACHED &&
        (frame_is_there(consumer) || (arm(consumer->link.attachment) && frame_is_there(consumer))))
        return 0;
    int error = wait_with_rhythm(consumer, deadline_ns);
    if (error == -ETIMEDOUT) {
        error = sleep_until(consumer, deadline_ns);
        consumer->woken = error == 0;
    }
    return error;
}

/* ---- open and close ----------------------------------------------------------------------- */

int ring_consumer_open(const struct ring_consumer_config *config,
                       struct ring_consumer **ret_consumer)
{
    struct sockaddr_un address;
    struct attachment_terms terms = {
        .leases = config->leases ? config->leases : 1,
        .accept_cuda = config->accept_cuda,
        .pin_for_cuda = config->pin_for_cuda,
        .cuda_device = config->cuda_device,
    };
    int error = handoff_address(config->dir, config->stream, config->kind, &address);

    if (error < 0)
        return error;
    if (terms.leases > RING_CONSUMER_LEASES_MAX)
        return -EINVAL;
    struct ring_consumer *consumer = calloc(1, sizeof(*consumer));
    if (!consumer)
        return -ENOMEM;
    error = link_init(&consumer->link, &address, config->kind, &terms);
    if (error < 0) {
        free(consumer);
        return error;
    }
    *ret_consumer = consumer;
    return 0;
}

void ring_consumer_close(struct ring_consumer *consumer)
{
    if (!consumer)
        return;
    for (unsigned i = 0; i < consumer->link.terms.leases; i++) {
        struct ring_view held = {.lease = i};
        if (consumer->held[i])
            ring_release(consumer, &held);
    }
    link_fini(&consumer->link);
    free(consumer);
}

int ring_consumer_fd(const struct ring_consumer *consumer)
{
    return consumer->link.epoll_fd;
}

enum ring_link ring_consumer_link(const struct ring_consumer *consumer)
{
    return consumer->link.state;
}

const char *ring_consumer_link_reason(const struct ring_consumer *consumer)
{
    return consumer->link.reason;
}

const char *ring_consumer_pin_reason(const struct ring_consumer *consumer)
{
    return consumer->link.attachment ? consumer->link.attachment->pin.reason : "";
}

uint64_t ring_consumer_newest(struct ring_consumer *consumer)
{
    if (consumer->link.state != RING_ATTACHED ||
        clock_now_ns() - consumer->link.serviced_ns > SERVICE_NS)
        service(consumer);
    if (consumer->link.state != RING_ATTACHED)
        return 0;
    return ring_entry_seq(load_entry(&consumer->link.attachment->header->newest));
}
