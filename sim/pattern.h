/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test picture that a program can read back after any codec. With b = width / 32:
 *
 *   rows 0 to b         the low 32 bits of the frame's number as 32 blocks of b x b, most
 *                       significant first; white is 1, black is 0
 *   rows h/4 to h/2     six equal patches: red, green, blue, yellow, cyan, magenta
 *   rows h/2 to h       a white bar, b wide, that moves 4 pixels to the right with each frame
 *   elsewhere           grey
 *
 * Of several environments, number n has its patches turned by n and its bar n/8 of the width
 * further to the right.
 *
 * Thread: any. Cost: writes the picture once, no allocation.
 */
#ifndef SIMCAST_SIM_PATTERN_H
#define SIMCAST_SIM_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_WIDTH_MIN 64
#define PATTERN_PATCHES 6
#define PATTERN_BAR_STEP 4
#define PATTERN_GREY 128
#define PATTERN_DEPTH_M_MIN 1.0F
#define PATTERN_DEPTH_M_MAX 3.0F

struct pattern {
    uint32_t width;  /* pixels, PATTERN_WIDTH_MIN or more */
    uint32_t height; /* pixels, more than width / 8 */
    uint64_t frame_id;
    uint32_t env;
};

/* Fills `rgb`: height x (3 * width) bytes, RGB24, top row first. */
void pattern_draw(const struct pattern *pattern, uint8_t *rgb);

/*
 * The same place as a depth map: height x width metres, from PATTERN_DEPTH_M_MIN at the left edge
 * to PATTERN_DEPTH_M_MAX at the right one; or as a confidence map, 1 in the upper half and 0.5
 * below.
 */
void pattern_draw_floats(const struct pattern *pattern, bool depth, float *values);

#endif
