/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare wake-up: the sender writes the time into shared memory and 1 into an eventfd, in which
 * the receiver blocks. It still draws a picture between two sends, so that the caches are as they
 * are for the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/yardsticks.h"

struct wire {
    int event_fd;
    void *canvas;
};

static int eventfd_prepare(struct delivery *delivery)
{
    struct wire *wire = calloc(1, sizeof(*wire));

    if (!wire)
        return -ENOMEM;
    delivery->state = wire;
    wire->event_fd = eventfd(0, EFD_CLOEXEC);
    if (wire->event_fd < 0)
        return -errno;
    wire->canvas = malloc(delivery->picture_bytes);
    return wire->canvas ? 0 : -ENOMEM;
}

static int eventfd_open(struct delivery *delivery)
{
    (void)delivery; /* was inherited */
    return 0;
}

static void *eventfd_canvas(struct delivery *delivery)
{
    return ((struct wire *)delivery->state)->canvas;
}

static int eventfd_send(struct delivery *delivery)
{
    const struct wire *wire = delivery->state;

    atomic_store_explicit(&delivery->shared->stamp_ns, clock_now_ns(), memory_order_relaxed);
    return eventfd_write(wire->event_fd, 1) < 0 ? -errno : 0;
}

static void eventfd_close(struct delivery *delivery)
{
    struct wire *wire = delivery->state;

    if (!wire)
        return;
    if (wire->event_fd >= 0) {
        eventfd_write(wire->event_fd, 1); /* wakes the receiver for its end */
        close(wire->event_fd);
    }
    free(wire->canvas);
    free(wire);
}

static int eventfd_receive(struct delivery *delivery)
{
    const struct wire *wire = delivery->state;
    eventfd_t wakes;

    delivery_ready(delivery);
    for (;;) {
        if (eventfd_read(wire->event_fd, &wakes) < 0)
            return -errno;
        if (delivery_over(delivery))
            return 0;
        delivery_arrived(delivery,
                         atomic_load_explicit(&delivery->shared->stamp_ns, memory_order_relaxed));
    }
}

const struct courier courier_eventfd = {
    .prepare = eventfd_prepare,
    .open = eventfd_open,
    .canvas = eventfd_canvas,
    .send = eventfd_send,
    .close = eventfd_close,
    .receive = eventfd_receive,
};
