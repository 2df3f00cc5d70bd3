/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns two ring consumers that never say they want frames. A ring that is not there counts as
 * one without frames.
 */
#include "cli/observer.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/ring.h"

/* Numbers start at 1 again with each producer; `before` holds what earlier ones published. */
struct tally {
    uint64_t before;
    uint64_t newest;
};

struct observer {
    struct ring_consumer *frames;
    struct ring_consumer *packets;
    struct tally rendered;
    struct tally encoded;
    struct observation seen;
};

static uint64_t tally_add(struct tally *tally, uint64_t newest)
{
    if (newest < tally->newest)
        tally->before += tally->newest;
    tally->newest = newest;
    return tally->before + newest;
}

int observer_open(const char *ipc_dir, const char *stream, struct observer **ret_observer)
{
    struct ring_consumer_config config = {.dir = ipc_dir, .stream = stream};
    struct observer *observer = calloc(1, sizeof(*observer));

    if (!observer)
        return -ENOMEM;
    config.kind = RING_KIND_FRAMES;
    int error = ring_consumer_open(&config, &observer->frames);
    config.kind = RING_KIND_PACKETS;
    if (error == 0)
        error = ring_consumer_open(&config, &observer->packets);
    if (error < 0) {
        observer_close(observer);
        return error;
    }
    *ret_observer = observer;
    return 0;
}

void observer_close(struct observer *observer)
{
    if (!observer)
        return;
    ring_consumer_close(observer->frames);
    ring_consumer_close(observer->packets);
    free(observer);
}

static void look_at_packet(struct observer *observer)
{
    struct observation *seen = &observer->seen;
    struct ring_view view;

    if (ring_acquire(observer->packets, RING_LATEST, &view) < 0)
        return;
    seen->codec = view.frame.codec;
    seen->width = view.frame.width;
    seen->height = view.frame.height;
    seen->to_packet_ns = view.frame.stamp_ns[RING_STAGE_PACKET_PUBLISHED] -
                         view.frame.stamp_ns[RING_STAGE_PUBLISHED];
    ring_release(observer->packets, &view);
}

void observer_look(struct observer *observer)
{
    struct observation *seen = &observer->seen;

    seen->frames_rendered = tally_add(&observer->rendered, ring_consumer_newest(observer->frames));
    seen->frames_encoded = tally_add(&observer->encoded, ring_consumer_newest(observer->packets));
    look_at_packet(observer);
}

const struct observation *observer_seen(const struct observer *observer)
{
    return &observer->seen;
}
