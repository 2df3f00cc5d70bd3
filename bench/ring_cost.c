/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publish costs the producer. Consumers live in children that end with the probe; a child
 * that cannot attach makes the probe fail.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/delivery.h"
#include "bench/peer.h"
#include "bench/ring_kit.h"
#include "bench/ring_probes.h"
#include "bench/yardsticks.h"

#define READY_MS 8000
#define BURSTS 200
#define BURST_CALLS 100
#define WAITING_FRAMES 120
#define WAITING_FRAMES_BRIEF 30
#define WAITING_GAP_MS 7
#define FLOOD_BURSTS 25
#define FLOOD_BURST 12
#define FLOOD_LEASES 1
#define FLOOD_SLOTS (FLOOD_LEASES + 2)

/* Consumers in one process or in many. */
struct crowd {
    const char *dir;
    unsigned consumers;
    struct peer peers[RING_PROBES_IDLE_MAX];
    _Atomic uint32_t *attached; /* shared */
};

/* Attaches them all and then does something else for ever. */
static int be_idle(void *context)
{
    const struct crowd *crowd = context;

    for (unsigned i = 0; i < crowd->consumers; i++) {
        if (!ring_kit_attach(crowd->dir, 1))
            return 1;
        atomic_fetch_add_explicit(crowd->attached, 1, memory_order_release);
    }
    for (;;)
        pause();
}

/* Attaches one and lives for its frames. */
static int keep_waiting(void *context)
{
    const struct crowd *crowd = context;
    struct ring_consumer *consumer = ring_kit_attach(crowd->dir, 1);
    struct ring_view view;

    if (!consumer)
        return 1;
    atomic_fetch_add_explicit(crowd->attached, 1, memory_order_release);
    for (;;) {
        ring_consumer_wait(consumer, -1);
        while (ring_acquire(consumer, RING_LATEST, &view) == 0)
            ring_release(consumer, &view);
    }
}

static int gather(struct crowd *crowd, bool waiting)
{
    unsigned peers = waiting ? crowd->consumers : crowd->consumers > 0;
    int error = 0;

    crowd->attached = peer_share(sizeof(*crowd->attached));
    if (!crowd->attached)
        return -ENOMEM;
    for (unsigned i = 0; i < peers && error == 0; i++)
        error = peer_start(&crowd->peers[i], waiting ? keep_waiting : be_idle, crowd);
    return error;
}

static void disperse(struct crowd *crowd)
{
    for (unsigned i = 0; i < RING_PROBES_IDLE_MAX; i++) {
        peer_signal(&crowd->peers[i], SIGKILL);
        peer_join(&crowd->peers[i], READY_MS);
    }
    peer_unshare(crowd->attached, sizeof(*crowd->attached));
}

static int open_for(const struct crowd *crowd, unsigned leases_max,
                    struct ring_producer **ret_producer)
{
    int error = ring_kit_produce(crowd->dir, DELIVERY_1080P_BYTES, leases_max, ret_producer);

    if (error == 0 && !peer_await(crowd->attached, crowd->consumers, READY_MS))
        error = -ETIMEDOUT;
    return error;
}

static int publish_bursts(struct ring_producer *producer, struct histogram *ret_calls)
{
    for (unsigned burst = 0; burst <= BURSTS; burst++) {
        int64_t began_ns = clock_now_ns();
        for (unsigned i = 0; i < BURST_CALLS; i++) {
            if (ring_kit_publish(producer, DELIVERY_1080P_BYTES) < 0)
                return -EIO;
        }
        if (burst > 0) /* the first one wakes whoever had said that it waits */
            histogram_record(ret_calls, (clock_now_ns() - began_ns) / BURST_CALLS);
    }
    return 0;
}

int ring_loan_publish(const char *dir, unsigned consumers, struct histogram *ret_calls)
{
    struct crowd crowd = {.dir = dir, .consumers = consumers};
    struct ring_producer *producer = NULL;
    int error = gather(&crowd, false);

    if (error == 0)
        error = open_for(&crowd, RING_PROBES_IDLE_MAX, &producer);
    if (error == 0)
        error = publish_bursts(producer, ret_calls);
    ring_producer_close(producer);
    disperse(&crowd);
    return error;
}

static int publish_slowly(struct ring_producer *producer, unsigned frames,
                          struct histogram *ret_calls)
{
    struct ring_frame frame = {.payload_bytes = DELIVERY_1080P_BYTES, .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;

    for (unsigned i = 0; i < frames; i++) {
        /* Irregular, so that nobody can foresee the next one and spin for it. */
        poll(NULL, 0, (int)(WAITING_GAP_MS + i * i % WAITING_GAP_MS));
        int error = ring_loan(producer, &loan);
        if (error < 0)
            return error;
        int64_t began_ns = clock_now_ns();
        ring_publish(producer, &loan, &frame);
        histogram_record(ret_calls, clock_now_ns() - began_ns);
    }
    return 0;
}

int ring_publish_to_waiting(const char *dir, unsigned consumers, bool brief,
                            struct histogram *ret_calls)
{
    struct crowd crowd = {.dir = dir, .consumers = consumers};
    struct ring_producer *producer = NULL;
    int error = gather(&crowd, true);

    if (error == 0)
        error = open_for(&crowd, RING_PROBES_IDLE_MAX, &producer);
    if (error == 0)
        error = publish_slowly(producer, brief ? WAITING_FRAMES_BRIEF : WAITING_FRAMES, ret_calls);
    disperse(&crowd);
    ring_producer_close(producer);
    return error;
}

/* One picture after the other without a pause: the time that each took, on average. */
static int publish_pictures(struct ring_producer *producer, const void *picture,
                            struct histogram *ret_frames)
{
    struct ring_frame frame = {.payload_bytes = DELIVERY_1080P_BYTES, .flags = RING_FRAME_KEYFRAME};
    int64_t began_ns = clock_now_ns();
    struct ring_loan loan;

    for (unsigned i = 0; i < FLOOD_BURST; i++) {
        int error = ring_loan(producer, &loan);
        if (error < 0)
            return error;
        memcpy(loan.payload, picture, DELIVERY_1080P_BYTES);
        ring_publish(producer, &loan, &frame);
    }
    histogram_record(ret_frames, (clock_now_ns() - began_ns) / FLOOD_BURST);
    return 0;
}

static void copy_pictures(struct yardstick_memcpy *copier, const void *picture,
                          struct histogram *ret_copies)
{
    int64_t began_ns = clock_now_ns();

    for (unsigned i = 0; i < FLOOD_BURST; i++)
        yardstick_memcpy_copy(copier, picture);
    histogram_record(ret_copies, (clock_now_ns() - began_ns) / FLOOD_BURST);
}

/* The two take turns often, so that whatever slows memory down hits both. */
static int flood(struct ring_producer *producer, struct ring_flood *ret_flood)
{
    struct yardstick_memcpy copier = {0};
    void *picture = malloc(DELIVERY_1080P_BYTES);
    int error = picture ? 0 : -ENOMEM;

    if (picture)
        memset(picture, 7, DELIVERY_1080P_BYTES);
    if (error == 0)
        error = yardstick_memcpy_open(&copier, DELIVERY_1080P_BYTES, FLOOD_SLOTS);
    for (unsigned burst = 0; burst < FLOOD_BURSTS && error == 0; burst++) {
        error = publish_pictures(producer, picture, &ret_flood->frames);
        copy_pictures(&copier, picture, &ret_flood->copies);
    }
    yardstick_memcpy_close(&copier);
    free(picture);
    return error;
}

int ring_flood(const char *dir, struct ring_flood *ret_flood)
{
    struct crowd crowd = {.dir = dir, .consumers = 1};
    struct ring_producer *producer = NULL;
    int error = gather(&crowd, true);

    if (error == 0)
        error = open_for(&crowd, FLOOD_LEASES, &producer);
    if (error == 0)
        error = flood(producer, ret_flood);
    disperse(&crowd);
    ring_producer_close(producer);
    return error;
}
