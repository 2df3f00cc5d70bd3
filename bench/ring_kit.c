/* SPDX-License-Identifier: Apache-2.0 */
/* Short cuts over shm/ring.h; owns nothing. */
#include "bench/ring_kit.h"

#include "base/clock.h"

#define STREAM "bench"
#define LOOK_MS 100
#define ATTACH_NS (5 * NS_PER_S)

int ring_kit_produce(const char *dir, size_t picture_bytes, unsigned leases_max,
                     struct ring_producer **ret_producer)
{
    struct ring_producer_config config = {
        .dir = dir,
        .stream = STREAM,
        .kind = RING_KIND_FRAMES,
        .payload_bytes_max = picture_bytes,
        .leases_max = leases_max,
    };

    return ring_producer_open(&config, ret_producer);
}

int64_t ring_kit_publish(struct ring_producer *producer, size_t picture_bytes)
{
    struct ring_frame frame = {.payload_bytes = picture_bytes, .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;
    int error = ring_loan(producer, &loan);

    return error < 0 ? error : ring_publish(producer, &loan, &frame);
}

struct ring_consumer *ring_kit_attach(const char *dir, unsigned leases)
{
    struct ring_consumer_config config = {
        .dir = dir, .stream = STREAM, .kind = RING_KIND_FRAMES, .leases = leases};
    int64_t give_up_ns = clock_now_ns() + ATTACH_NS;
    struct ring_consumer *consumer;
    struct ring_view view;

    if (ring_consumer_open(&config, &consumer) < 0)
        return NULL;
    ring_consumer_want(consumer, true);
    while (ring_consumer_link(consumer) != RING_ATTACHED && clock_now_ns() < give_up_ns) {
        if (ring_acquire(consumer, RING_LATEST, &view) == 0)
            ring_release(consumer, &view);
        else if (ring_consumer_link(consumer) != RING_ATTACHED)
            ring_consumer_wait(consumer, LOOK_MS);
    }
    if (ring_consumer_link(consumer) == RING_ATTACHED)
        return consumer;
    ring_consumer_close(consumer);
    return NULL;
}
