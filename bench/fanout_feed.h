/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the pictures come from: a process that hands them to a server at a steady rate when it is
 * told how many, and is silent otherwise. To simcastd as the encoder does, through a packet ring;
 * to the others through a pipe, as ffmpeg does.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_FANOUT_FEED_H
#define SIMCAST_BENCH_FANOUT_FEED_H

#include <stdatomic.h>
#include <stdint.h>

#include "bench/fanout_picture.h"
#include "bench/peer.h"

struct fanout_feed_setup {
    const struct fanout_album *album;
    const char *dir;    /* of the ring */
    const char *stream; /* its name; NULL: into the pipe */
    int pipe;           /* borrowed until fanout_feed_start returns */
    unsigned fps;
};

struct fanout_feed {
    struct peer peer;
    struct fanout_feed_setup setup;
    int orders[2];               /* how many, as uint32_t */
    _Atomic uint64_t *published; /* pictures ever; of both processes */
    uint64_t ordered;
};

/* On success the caller ends it with fanout_feed_stop. Errors: -ENOMEM, -EMFILE, -EAGAIN. */
int fanout_feed_start(struct fanout_feed *feed, const struct fanout_feed_setup *setup);

/* That many more pictures, from now on. Never waits. Errors: -EPIPE the process ended. */
int fanout_feed_order(struct fanout_feed *feed, unsigned pictures);

/* Waits until all that was ordered is published. Errors: -ETIMEDOUT the server blocks. */
int fanout_feed_await(const struct fanout_feed *feed, int timeout_ms);

/* Takes one that is zeroed or stopped. */
void fanout_feed_stop(struct fanout_feed *feed);

#endif
