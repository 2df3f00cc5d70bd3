/* SPDX-License-Identifier: Apache-2.0 */
/* One producer in a directory of its own, and short ways to attach, publish and acquire. */
#ifndef SIMCAST_TESTS_RING_KIT_H
#define SIMCAST_TESTS_RING_KIT_H

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "shm/ring.h"
#include "tests/support.h"

#define PAYLOAD_BYTES 5000

static char dir[SUPPORT_PATH_BYTES];
static struct ring_producer *producer;

__attribute__((unused)) static struct ring_producer *open_producer(unsigned leases_max,
                                                                   unsigned history)
{
    struct ring_producer_config config = {
        .dir = dir,
        .stream = "front",
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = PAYLOAD_BYTES,
        .leases_max = leases_max,
        .history = history,
    };
    struct ring_producer *opened = NULL;

    ck_assert_int_eq(ring_producer_open(&config, &opened), 0);
    return opened;
}

__attribute__((unused)) static struct ring_consumer *open_consumer(unsigned leases)
{
    struct ring_consumer_config config = {
        .dir = dir, .stream = "front", .kind = RING_KIND_FRAMES, .leases = leases};
    struct ring_consumer *opened = NULL;

    ck_assert_int_eq(ring_consumer_open(&config, &opened), 0);
    return opened;
}

/* Acquires, waiting for the descriptor for at most two seconds. */
__attribute__((unused)) static int acquire(struct ring_consumer *consumer, enum ring_policy policy,
                                           struct ring_view *view)
{
    int64_t give_up_ns = clock_now_ns() + 2 * NS_PER_S;
    int error;

    do {
        error = ring_acquire(consumer, policy, view);
        if (error != -EAGAIN && error != -EPIPE)
            return error;
        ring_consumer_wait(consumer, 100);
    } while (clock_now_ns() < give_up_ns);
    return error;
}

__attribute__((unused)) static struct ring_consumer *attached_consumer(unsigned leases)
{
    struct ring_consumer *consumer = open_consumer(leases);
    struct ring_view view;

    for (int i = 0; i < 40 && ring_consumer_link(consumer) != RING_ATTACHED; i++) {
        if (ring_acquire(consumer, RING_LATEST, &view) == 0)
            ring_release(consumer, &view);
        else if (ring_consumer_link(consumer) != RING_ATTACHED)
            ring_consumer_wait(consumer, 100);
    }
    ck_assert_int_eq(ring_consumer_link(consumer), RING_ATTACHED);
    return consumer;
}

__attribute__((unused)) static uint64_t publish(uint8_t fill, uint32_t flags)
{
    struct ring_loan loan;
    struct ring_frame frame = {.payload_bytes = PAYLOAD_BYTES, .flags = flags, .frame_id = fill};

    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    memset(loan.payload, fill, PAYLOAD_BYTES);
    int64_t seq = ring_publish(producer, &loan, &frame);
    ck_assert_int_gt(seq, 0);
    return (uint64_t)seq;
}

__attribute__((unused)) static struct ring_demand demand_now(void)
{
    struct ring_demand demand;

    ring_producer_demand(producer, &demand);
    return demand;
}

__attribute__((unused)) static void setup(void)
{
    support_dir_make(dir);
    producer = open_producer(8, 0);
}

__attribute__((unused)) static void teardown(void)
{
    ring_producer_close(producer);
    ck_assert_uint_eq(support_count_entries(dir), 0); /* the socket is gone */
    rmdir(dir);
}

#endif
