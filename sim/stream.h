/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture side: a thread that renders the worlds (or the test pattern) straight into the
 * slots of frame rings, each camera on an absolute schedule of its own, and only while somebody
 * wants its frames. A period that is already over when its turn comes is skipped.
 *
 * The main camera chases the robot or looks where it is told, and changes size and rate while
 * running; the further ones sit on the robot and stay as they began.
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
#include "shm/ring.h"
#include "sim/renderer.h"
#include "sim/world.h"

#define STREAM_CAMERAS_MAX 4

struct stream;

/* One that sits on the robot. */
struct stream_camera {
    const char *name; /* of its stream */
    enum renderer_mount mount;
    enum renderer_channel channel;
};

struct stream_config {
    const char *dir;  /* as in ring_producer_config */
    const char *name; /* of the stream */
    struct renderer_size size;
    struct renderer_size size_max;
    uint32_t fps;  /* 1 to 240 */
    bool pattern;  /* the test pattern in place of the world's picture */
    unsigned envs; /* environments in the main camera's picture; 0 or 1: it is no batch */
    struct stream_camera cameras[STREAM_CAMERAS_MAX];
    unsigned camera_count;
};

/* Of the main camera. */
struct stream_status {
    struct renderer_size size;
    uint32_t fps;      /* asked for */
    uint64_t frames;   /* published since the start */
    uint64_t skipped;  /* periods that were over before their turn */
    uint32_t watchers; /* consumers that want frames */
};

/*
 * Opens the rings, starts the thread and waits until it can draw. Borrows `worlds`, one for each
 * environment (a pattern needs but one), until destroyed; the further cameras see the first.
 * On success the caller owns *ret_stream. Errors, all logged: those of ring_producer_open and
 * renderer_create.
 */
int stream_create(const struct stream_config *config, struct world *const *worlds,
                  struct stream **ret_stream);

/* Takes NULL. Ends and joins the thread, then closes the rings. */
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
