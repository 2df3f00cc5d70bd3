/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test picture of `simcast source`. With b = width / 32:
 *
 *   rows 0 to b         the low 32 bits of the frame's number as 32 blocks of b x b, most
 *                       significant first; white is 1, black is 0
 *   rows h/4 to h/2     six equal patches: red, green, blue, yellow, cyan, magenta
 *   elsewhere           grey
 *
 * Thread: any. Cost: writes the picture once.
 */
#ifndef SIMCAST_CLI_SOURCE_PATTERN_H
#define SIMCAST_CLI_SOURCE_PATTERN_H

#include <stdint.h>

/* Fills `rgb`: height x (3 * width) bytes, RGB24, top row first. */
void source_pattern_draw(uint8_t *rgb, uint32_t width, uint32_t height, uint64_t number);

#endif
