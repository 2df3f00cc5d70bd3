/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring as a courier. The producer lives in the sender, the consumer in the receiver, which
 * attaches by itself once the producer is there.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/ring_kit.h"
#include "bench/yardsticks.h"
#include "shm/ring.h"

#define LOOK_MS 100

struct sender {
    struct ring_producer *producer;
    struct ring_loan loan;
    uint64_t frame_id;
};

static int ring_prepare(struct delivery *delivery)
{
    delivery->state = calloc(1, sizeof(struct sender));
    return delivery->state ? 0 : -ENOMEM;
}

static int ring_open(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    return ring_kit_produce(delivery->dir, delivery->picture_bytes, 1, &sender->producer);
}

static void *ring_canvas(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    return ring_loan(sender->producer, &sender->loan) == 0 ? sender->loan.payload : NULL;
}

static int ring_send(struct delivery *delivery)
{
    struct sender *sender = delivery->state;
    struct ring_frame frame = {
        .frame_id = ++sender->frame_id,
        .payload_bytes = delivery->picture_bytes,
        .flags = RING_FRAME_KEYFRAME,
    };
    int64_t seq = ring_publish(sender->producer, &sender->loan, &frame);

    return seq < 0 ? (int)seq : 0;
}

static void ring_close(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    if (sender)
        ring_producer_close(sender->producer);
    free(sender);
}

/* Takes all that is there. */
static void take(struct delivery *delivery, struct ring_consumer *consumer)
{
    struct ring_view view;

    while (ring_acquire(consumer, RING_LATEST, &view) == 0) {
        delivery_arrived(delivery, view.frame.stamp_ns[RING_STAGE_PUBLISHED]);
        ring_release(consumer, &view);
    }
}

static int receive_with(struct delivery *delivery, bool polled)
{
    struct ring_consumer *consumer = ring_kit_attach(delivery->dir, 1);

    if (!consumer)
        return -ETIMEDOUT;
    delivery_ready(delivery);
    while (!delivery_over(delivery)) {
        if (!polled)
            ring_consumer_wait(consumer, LOOK_MS);
        take(delivery, consumer);
    }
    ring_consumer_close(consumer);
    return 0;
}

static int ring_receive(struct delivery *delivery)
{
    return receive_with(delivery, false);
}

static int ring_receive_polled(struct delivery *delivery)
{
    return receive_with(delivery, true);
}

const struct courier courier_ring = {
    .prepare = ring_prepare,
    .open = ring_open,
    .canvas = ring_canvas,
    .send = ring_send,
    .close = ring_close,
    .receive = ring_receive,
};

const struct courier courier_ring_polled = {
    .prepare = ring_prepare,
    .open = ring_open,
    .canvas = ring_canvas,
    .send = ring_send,
    .close = ring_close,
    .receive = ring_receive_polled,
};
