/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One camera and its frame ring: what a picture is made of, drawn straight into the ring's slots.
 *
 * A picture of several environments is one tall frame (proto/batch.h): the environments below
 * each other, from the top. Its user metadata begins with frame_batch; then, as in every frame,
 * comes the robot_state of the same instant, of the first environment.
 *
 * Thread: open and close on one thread; the rest on the render thread.
 */
#ifndef SIMCAST_SIM_LENS_H
#define SIMCAST_SIM_LENS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/renderer.h"
#include "sim/world.h"

struct lens;

struct lens_config {
    const char *dir;  /* as in ring_producer_config */
    const char *name; /* of the stream */
    enum renderer_channel channel;
    struct renderer_size size_max; /* of one environment's picture */
    bool pattern;                  /* the test pattern in place of the worlds' pictures */
    unsigned envs;                 /* pictures in a frame, 1 to RENDERER_ENVS_MAX */
    struct world *const *worlds;   /* borrowed: one for each environment; a pattern needs one */
};

/* What one picture is made with. */
struct lens_shot {
    struct renderer_size size;
    struct renderer_camera camera;
    uint64_t frame_id;
};

/* On success the caller owns *ret_lens. Errors, logged: those of ring_producer_open. */
int lens_open(const struct lens_config *config, struct lens **ret_lens);

/* Takes NULL. */
void lens_close(struct lens *lens);

/* Readable when the demand changed; lens_is_wanted clears it. Borrowed. */
int lens_demand_fd(const struct lens *lens);

/* Whether somebody wants frames; logs when that changed. */
bool lens_is_wanted(struct lens *lens, uint32_t *ret_watchers);

/* Draws and publishes one picture; false: there was no slot, or it was refused. */
bool lens_shoot(struct lens *lens, struct renderer *renderer, const struct lens_shot *shot);

#endif
