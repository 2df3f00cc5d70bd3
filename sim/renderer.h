/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws the robot's world into the caller's pixels, off screen. Where the CPU draws, sun shadows
 * are the bodies themselves flattened onto the floor: a shadow map costs five times as much.
 *
 * Thread: create, draw and destroy on one thread (OpenGL's context belongs to it). Cost: about
 * 8 ms for 640 x 480 on one CPU core, less on a GPU; no allocation after create.
 */
#ifndef SIMCAST_SIM_RENDERER_H
#define SIMCAST_SIM_RENDERER_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/robot.h"

struct renderer;

struct renderer_size {
    uint32_t width;
    uint32_t height;
};

struct renderer_camera {
    bool fixed; /* false: chase the robot; true: as follows */
    double position_m[3];
    double lookat_m[3];
};

/*
 * Borrows the robot's model until destroyed. On success the caller owns *ret_renderer.
 * Errors: -ENODEV no OpenGL here, or it cannot draw off screen at this size (logged); -ENOMEM.
 */
int renderer_create(const struct robot *robot, struct renderer_size size_max,
                    struct renderer **ret_renderer);

/* Takes NULL. */
void renderer_destroy(struct renderer *renderer);

/*
 * Draws one picture, at most size_max large, into `rgb`: height x (3 * width) bytes, RGB24,
 * bottom row first.
 */
void renderer_draw(struct renderer *renderer, const struct robot_pose *pose,
                   const struct renderer_camera *camera, struct renderer_size size, uint8_t *rgb);

/* What draws, as its driver calls it. */
const char *renderer_name(const struct renderer *renderer);

#endif
