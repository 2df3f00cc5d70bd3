/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All cameras of this process: those that were named, for as long as it runs, and, if so asked,
 * every one whose frame ring appears in the directory, until its simulator has been gone for a
 * while. A camera that cannot be opened is tried again, and the others go on.
 *
 * Thread: one, which calls cameras_tick when the descriptor is readable and at least once per
 * second.
 */
#ifndef SIMCAST_ENCODER_CAMERAS_H
#define SIMCAST_ENCODER_CAMERAS_H

#include <stdbool.h>
#include <stdint.h>

#include "encoder/camera.h"

#define CAMERAS_MAX 32

struct cameras;

struct cameras_config {
    struct stage_config stage; /* of every camera; stream and busy unused. `dir` is borrowed */
    char names[CAMERAS_MAX][RING_STREAM_BYTES]; /* served whether they are there or not */
    unsigned name_count;
    bool all;        /* and whatever appears */
    int64_t gone_ns; /* how long that is served without its simulator */
};

/*
 * Opens what is named and what is there. On success the caller owns *ret_cameras. Errors, logged
 * with a remedy: those of stage_open when the only camera that was named cannot be opened, -errno
 * when the directory cannot be watched; -ENOMEM.
 */
int cameras_open(const struct cameras_config *config, struct cameras **ret_cameras);

/* Ends all. Takes NULL. */
void cameras_close(struct cameras *cameras);

/* Readable when a camera may have appeared; -1 when only named ones are served. Borrowed. */
int cameras_fd(const struct cameras *cameras);

/* Opens what appeared and closes what is gone. */
void cameras_tick(struct cameras *cameras);

/* When the camera that moved least recently was seen to move; now, if there is none. */
int64_t cameras_alive_ns(struct cameras *cameras);

unsigned cameras_count(const struct cameras *cameras);

/* What they do now, as a line for a person: "front: idle: nobody wants packets". */
void cameras_describe(struct cameras *cameras, char *ret_text, size_t text_bytes);

#endif
