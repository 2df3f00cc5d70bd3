/* SPDX-License-Identifier: Apache-2.0 */
/* A thin cover over libev: it owns the ev_loop, and each watch owns one watcher of it. */
#include "daemon/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <ev.h>

#include "base/clock.h"

struct loop {
    struct ev_loop *ev;
};

struct loop_watch {
    struct loop *loop;
    loop_callback callback;
    void *data;
    bool is_timer;
    ev_io io;
    ev_timer timer;
};

int loop_create(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->ev = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop->ev) {
        free(loop);
        return -ENOMEM;
    }
    *ret_loop = loop;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    ev_loop_destroy(loop->ev);
    free(loop);
}

static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
    struct loop_watch *watch = io->data;

    (void)ev;
    (void)events;
    watch->callback(watch->data);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct loop_watch *watch = timer->data;

    (void)ev;
    (void)events;
    watch->callback(watch->data);
}

static struct loop_watch *watch_new(struct loop *loop, loop_callback callback, void *data)
{
    struct loop_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->callback = callback;
    watch->data = data;
    return watch;
}

int loop_watch_fd(struct loop *loop, int fd, loop_callback callback, void *data,
                  struct loop_watch **ret_watch)
{
    struct loop_watch *watch = watch_new(loop, callback, data);

    if (!watch)
        return -ENOMEM;
    ev_io_init(&watch->io, on_io, fd, EV_READ);
    watch->io.data = watch;
    ev_io_start(loop->ev, &watch->io);
    *ret_watch = watch;
    return 0;
}

int loop_watch_time(struct loop *loop, int64_t period_ns, loop_callback callback, void *data,
                    struct loop_watch **ret_watch)
{
    struct loop_watch *watch = watch_new(loop, callback, data);

    if (!watch)
        return -ENOMEM;
    watch->is_timer = true;
    ev_init(&watch->timer, on_timer);
    watch->timer.data = watch;
    loop_watch_set_period(watch, period_ns);
    *ret_watch = watch;
    return 0;
}

void loop_watch_set_period(struct loop_watch *watch, int64_t period_ns)
{
    watch->timer.repeat = (ev_tstamp)period_ns / (ev_tstamp)NS_PER_S;
    ev_timer_again(watch->loop->ev, &watch->timer);
}

void loop_watch_pause(struct loop_watch *watch)
{
    ev_io_stop(watch->loop->ev, &watch->io);
}

void loop_watch_resume(struct loop_watch *watch)
{
    ev_io_start(watch->loop->ev, &watch->io);
}

void loop_watch_destroy(struct loop_watch *watch)
{
    if (!watch)
        return;
    if (watch->is_timer)
        ev_timer_stop(watch->loop->ev, &watch->timer);
    else
        ev_io_stop(watch->loop->ev, &watch->io);
    free(watch);
}

void loop_run(struct loop *loop)
{
    ev_run(loop->ev, 0);
}

void loop_stop(struct loop *loop)
{
    ev_break(loop->ev, EVBREAK_ALL);
}

void loop_run_once(struct loop *loop)
{
    ev_run(loop->ev, EVRUN_NOWAIT);
}

void *loop_native(struct loop *loop)
{
    return loop->ev;
}
