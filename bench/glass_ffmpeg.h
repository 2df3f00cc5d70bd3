/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual ways to bring a simulator's pictures to a browser without simcast: raw RGB24 into a
 * pipe, ffmpeg's command line makes JPEG of it, and another program serves it.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_GLASS_FFMPEG_H
#define SIMCAST_BENCH_GLASS_FFMPEG_H

#include "base/histogram.h"
#include "bench/scene.h"

enum glass_server {
    GLASS_NODE,      /* with npm's ws */
    GLASS_USTREAMER, /* the pictures come from a pretended camera */
};

/* What is missing and how to get it; NULL: nothing. */
const char *glass_ffmpeg_missing(enum glass_server server);

/*
 * From a picture at hand to the last byte at one viewer, for that many pictures at fps; those that
 * the server drops are not in it. Errors: -EPIPE a program ended; -ETIMEDOUT it got stuck.
 */
int glass_ffmpeg_measure(enum glass_server server, const struct scene *clip, unsigned fps,
                         unsigned pictures, struct histogram *ret_times);

#endif
