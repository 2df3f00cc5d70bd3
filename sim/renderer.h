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

#define RENDERER_DEPTH_M_MAX 10.0F /* what is further away is no surface */
#define RENDERER_ENVS_MAX 64

struct renderer;

struct renderer_size {
    uint32_t width;
    uint32_t height;
};

enum renderer_mount {
    RENDERER_CHASE, /* behind the robot */
    RENDERER_HEAD,  /* on the robot, looking forward and a little down */
    RENDERER_REAR,  /* on the robot, looking back and a little down */
};

enum renderer_channel {
    RENDERER_COLOUR,     /* RGB24 */
    RENDERER_DEPTH,      /* float, metres along the optical axis; 0: no surface */
    RENDERER_CONFIDENCE, /* float, 1 where there is a depth, else 0 */
};

struct renderer_camera {
    bool fixed; /* false: as `mount` says; true: as follows */
    double position_m[3];
    double lookat_m[3];
    enum renderer_mount mount;
    enum renderer_channel channel;
    unsigned env; /* 0 to RENDERER_ENVS_MAX - 1: whose robot the chase follows */
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
 * Draws one picture, at most size_max large, into `pixels`: height x width, RGB24 or float
 * (aligned) as camera->channel says, without gaps. Colours come bottom row first where
 * renderer_is_bottom_up says so; depth and confidence always top row first.
 */
void renderer_draw(struct renderer *renderer, const struct robot_pose *pose,
                   const struct renderer_camera *camera, struct renderer_size size, void *pixels);

/* Whether the driver hands out colours bottom row first, as OpenGL does; Mesa can do better. */
bool renderer_is_bottom_up(const struct renderer *renderer);

/* What draws, as its driver calls it. */
const char *renderer_name(const struct renderer *renderer);

#endif
