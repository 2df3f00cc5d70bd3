/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture side: a thread that renders the world (or the test pattern) straight into the
 * slots of the frame ring, on an absolute schedule, and only while somebody wants frames. A
 * period that is already over when its turn comes is skipped.
 *
 * Each frame carries its robot_state as user metadata, of the same instant as the picture.
 *
 * Thread: create and destroy on one thread, the rest on any.
 */
#ifndef SIMCAST_SIM_STREAM_H
#define SIMCAST_SIM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/settings.h"
#include "sim/renderer.h"
#include "sim/world.h"

struct stream;

struct stream_config {
    const char *dir;  /* as in ring_producer_config */
    const char *name; /* of the stream */
    struct renderer_size size;
    struct renderer_size size_max;
    uint32_t fps; /* 1 to 240 */
    bool pattern; /* the test pattern in place of the world's picture */
};

struct stream_status {
    struct renderer_size size;
    uint32_t fps;      /* asked for */
    uint64_t frames;   /* published since the start */
    uint64_t skipped;  /* periods that were over before their turn */
    uint32_t watchers; /* consumers that want frames */
};

/*
 * Opens the ring, starts the thread and waits until it can draw. Borrows `world` until destroyed.
 * On success the caller owns *ret_stream. Errors, all logged: those of ring_producer_open and
 * renderer_create.
 */
int stream_create(const struct stream_config *config, struct world *world,
                  struct stream **ret_stream);

/* Takes NULL. Ends and joins the thread, then closes the ring. */
void stream_destroy(struct stream *stream);

/*
 * Whether a picture can have this size: even, PATTERN_WIDTH_MIN wide or more, no flatter than
 * 1:8, and within size_max.
 */
bool stream_size_fits(struct renderer_size size, struct renderer_size size_max);

/*
 * Applies size and rate, each if not 0, from the next picture on. Errors: -ERANGE a size that
 * does not fit; then nothing changes.
 */
int stream_apply(struct stream *stream, const struct stream_settings *settings);

/* Where to look from. */
void stream_look(struct stream *stream, const struct renderer_camera *camera);

void stream_status(struct stream *stream, struct stream_status *ret_status);

#endif
