/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consumers that are stopped or killed while they hold a lease, and what the producer notices.
 * They are children; signals reach them through bench/peer.h alone.
 */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "bench/delivery.h"
#include "bench/peer.h"
#include "bench/ring_kit.h"
#include "bench/ring_probes.h"

#define READY_MS 8000
#define PERIOD_NS (NS_PER_S / 120)
#define RESUME_AFTER_NS (PERIOD_NS * 9 / 10) /* the newest frame is nearly a period old then */
#define RUNNING_FRAMES 30
#define STOPPED_FRAMES 120
#define WAIT_MS 100
#define RECLAIM_NS (2 * NS_PER_S)
#define RECLAIM_LOOK_NS (20 * NS_PER_US)

/* What the consumer and we tell each other. */
struct shared {
    _Atomic uint32_t attached;
    _Atomic uint32_t holding; /* seq of the frame that the lease pins, 0: none yet */
    _Atomic uint32_t resumed; /* we let it run again */
    _Atomic uint32_t done;    /* age_ns is valid */
    int64_t age_ns;
};

struct victim {
    const char *dir;
    struct shared *shared;
    struct peer peer;
    struct ring_producer *producer;
};

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {at_ns / NS_PER_S, at_ns % NS_PER_S};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int start(struct victim *victim, int (*body)(void *context))
{
    victim->shared = peer_share(sizeof(*victim->shared));
    if (!victim->shared)
        return -ENOMEM;
    int error = peer_start(&victim->peer, body, victim);
    if (error == 0)
        error = ring_kit_produce(victim->dir, DELIVERY_1080P_BYTES, 2, &victim->producer);
    if (error == 0 && !peer_await(&victim->shared->attached, 1, READY_MS))
        error = -ETIMEDOUT;
    return error;
}

static void end(struct victim *victim)
{
    peer_signal(&victim->peer, SIGKILL);
    peer_join(&victim->peer, READY_MS);
    ring_producer_close(victim->producer);
    peer_unshare(victim->shared, sizeof(*victim->shared));
}

/* Attaches and pins the first frame for ever. */
static struct ring_consumer *hold_one(const struct victim *victim)
{
    struct ring_consumer *consumer = ring_kit_attach(victim->dir, 2);
    struct ring_view view;

    if (!consumer)
        return NULL;
    atomic_store_explicit(&victim->shared->attached, 1, memory_order_release);
    while (ring_acquire(consumer, RING_LATEST, &view) < 0)
        ring_consumer_wait(consumer, WAIT_MS);
    atomic_store_explicit(&victim->shared->holding, (uint32_t)view.frame.seq, memory_order_release);
    return consumer;
}

/* ---- stopped ------------------------------------------------------------------------------- */

static int be_stopped(void *context)
{
    const struct victim *victim = context;
    struct shared *shared = victim->shared;
    struct ring_consumer *consumer = hold_one(victim);
    struct ring_view view;

    while (consumer) {
        ring_consumer_wait(consumer, WAIT_MS);
        /* Read before the acquire: only an acquire that began after the stop counts. */
        bool resumed = atomic_load_explicit(&shared->resumed, memory_order_acquire);
        if (ring_acquire(consumer, RING_LATEST, &view) < 0)
            continue;
        if (resumed && !atomic_load_explicit(&shared->done, memory_order_relaxed)) {
            shared->age_ns = clock_now_ns() - view.frame.stamp_ns[RING_STAGE_PUBLISHED];
            atomic_store_explicit(&shared->done, 1, memory_order_release);
        }
        ring_release(consumer, &view);
    }
    return 1;
}

/* Publishes at 120 Hz; ret_calls may be NULL. */
static int publish_steadily(struct ring_producer *producer, unsigned frames,
                            struct histogram *ret_calls)
{
    int64_t due_ns = clock_now_ns();

    for (unsigned i = 0; i < frames; i++) {
        due_ns += PERIOD_NS;
        sleep_until(due_ns);
        int64_t began_ns = clock_now_ns();
        int64_t seq = ring_kit_publish(producer, DELIVERY_1080P_BYTES);
        if (seq < 0)
            return (int)seq;
        if (ret_calls)
            histogram_record(ret_calls, clock_now_ns() - began_ns);
    }
    return 0;
}

static int stop_and_resume(struct victim *victim, struct histogram *ret_calls)
{
    int error = publish_steadily(victim->producer, RUNNING_FRAMES, NULL);

    if (error == 0 && !peer_await(&victim->shared->holding, 1, READY_MS))
        error = -ETIMEDOUT;
    if (error == 0)
        error = peer_signal(&victim->peer, SIGSTOP);
    if (error == 0)
        error = publish_steadily(victim->producer, STOPPED_FRAMES, ret_calls);
    sleep_until(clock_now_ns() + RESUME_AFTER_NS);
    atomic_store_explicit(&victim->shared->resumed, 1, memory_order_release);
    if (error == 0)
        error = peer_signal(&victim->peer, SIGCONT);
    if (error == 0)
        error = publish_steadily(victim->producer, RUNNING_FRAMES, NULL);
    if (error == 0 && !peer_await(&victim->shared->done, 1, READY_MS))
        error = -ETIMEDOUT;
    return error;
}

int ring_stopped_consumer(const char *dir, struct histogram *ret_calls, int64_t *ret_age_ns)
{
    struct victim victim = {.dir = dir};
    int error = start(&victim, be_stopped);

    if (error == 0)
        error = stop_and_resume(&victim, ret_calls);
    if (error == 0)
        *ret_age_ns = victim.shared->age_ns;
    end(&victim);
    return error;
}

/* ---- killed -------------------------------------------------------------------------------- */

static int be_killed(void *context)
{
    struct ring_consumer *consumer = hold_one(context);

    while (consumer)
        ring_consumer_wait(consumer, WAIT_MS);
    return 1;
}

/* Publishes one frame that the consumer pins. Returns its slot or an error. */
static int pin_one(const struct victim *victim)
{
    struct ring_frame frame = {.payload_bytes = DELIVERY_1080P_BYTES, .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;
    int error = ring_loan(victim->producer, &loan);

    if (error < 0)
        return error;
    int64_t seq = ring_publish(victim->producer, &loan, &frame);
    if (seq < 0)
        return (int)seq;
    return peer_await(&victim->shared->holding, (uint32_t)seq, READY_MS) ? (int)loan.slot
                                                                         : -ETIMEDOUT;
}

/*
 * Publishes until the slot is lent again. The pinned slot is soon the oldest one, so it is the
 * next to be lent as soon as it is free.
 */
static int await_slot(struct ring_producer *producer, int slot, int64_t began_ns,
                      int64_t *ret_reclaim_ns)
{
    struct ring_frame frame = {.payload_bytes = DELIVERY_1080P_BYTES, .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;
    int64_t now_ns;

    do {
        int error = ring_loan(producer, &loan);
        now_ns = clock_now_ns();
        if (error < 0)
            return error;
        ring_publish(producer, &loan, &frame);
        if ((int)loan.slot == slot) {
            *ret_reclaim_ns = now_ns - began_ns;
            return 0;
        }
        sleep_until(now_ns + RECLAIM_LOOK_NS);
    } while (now_ns - began_ns < RECLAIM_NS);
    return -ETIMEDOUT;
}

static int kill_one(const char *dir, struct histogram *ret_reclaims)
{
    struct victim victim = {.dir = dir};
    int64_t reclaim_ns = 0;
    int error = start(&victim, be_killed);
    int slot = error < 0 ? error : pin_one(&victim);

    if (slot < 0) {
        end(&victim);
        return slot;
    }
    /* Two more frames make the pinned slot the oldest one. */
    publish_steadily(victim.producer, 3, NULL);
    int64_t began_ns = clock_now_ns();
    peer_signal(&victim.peer, SIGKILL);
    error = await_slot(victim.producer, slot, began_ns, &reclaim_ns);
    if (error == 0)
        histogram_record(ret_reclaims, reclaim_ns);
    end(&victim);
    return error;
}

int ring_killed_consumers(const char *dir, unsigned kills, struct histogram *ret_reclaims)
{
    int error = 0;

    for (unsigned i = 0; i < kills && error == 0; i++)
        error = kill_one(dir, ret_reclaims);
    return error;
}
