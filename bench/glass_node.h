/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usual way to bring a simulator's pictures to a browser without simcast: raw RGB24 into a
 * pipe, ffmpeg's command line makes JPEG of it, a Node server sends it on with npm's ws.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_GLASS_NODE_H
#define SIMCAST_BENCH_GLASS_NODE_H

#include "base/histogram.h"
#include "bench/scene.h"

/* What is missing and how to get it; NULL: nothing. */
const char *glass_node_missing(void);

/*
 * From a picture at hand to the last byte at one viewer, for that many pictures at fps.
 * Errors: -EPIPE a program ended; -ETIMEDOUT it got stuck.
 */
int glass_node_measure(const struct scene *clip, unsigned fps, unsigned pictures,
                       struct histogram *ret_times);

#endif
