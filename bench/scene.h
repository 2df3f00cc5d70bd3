/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What encoders are measured on: the walking quadruped as simcast-sim draws it, 60 pictures a
 * second of simulated time, always the same ones. Drawn once, by a process of its own that is
 * gone afterwards with all that OpenGL started, and kept until we end.
 *
 * Thread: one, which must have started no others (it forks). Cost: the first call of each size
 * takes seconds; later ones nothing.
 */
#ifndef SIMCAST_BENCH_SCENE_H
#define SIMCAST_BENCH_SCENE_H

#include <stddef.h>
#include <stdint.h>

/* Read by all; written by nobody. Rows are not padded; the bottom row comes first. */
struct scene {
    uint32_t width;  /* pixels, even */
    uint32_t height; /* pixels, even */
    unsigned pictures;
    size_t picture_pixels;
    const uint8_t *rgb24; /* picture after picture, 3 bytes per pixel */
    const uint8_t *rgba;  /* the same, 4 bytes per pixel */
    const uint8_t *nv12;  /* the same, BT.601 full range as JPEG has it; 3/2 bytes per pixel */
};

/*
 * Errors: -ENODEV OpenGL cannot draw off screen here (the child's log says why); -ENOMEM;
 * -ETIMEDOUT drawing took minutes.
 */
int scene_720p(const struct scene **ret_scene);
int scene_1080p(const struct scene **ret_scene);

/* The picture to show `n`-th: forward, then backward, so that the motion never jumps. */
unsigned scene_picture(const struct scene *scene, unsigned n);

/* The n-th picture to show, in RGB24. */
const uint8_t *scene_rgb24(const struct scene *scene, unsigned n);

#endif
