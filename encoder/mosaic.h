/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame as one or many pictures of equal size: a batch (proto/batch.h) of several environments
 * is laid out as a grid, so that people see them side by side. A frame that is no batch is one
 * picture.
 *
 * Thread: any. Cost: arithmetic; no pixel is touched.
 */
#ifndef SIMCAST_ENCODER_MOSAIC_H
#define SIMCAST_ENCODER_MOSAIC_H

#include "encoder/picture.h"

#define MOSAIC_TILES_MAX 1024
/* What a grid is made to fit when nobody says how large it may be. */
#define MOSAIC_WIDTH 1920
#define MOSAIC_HEIGHT 1080

struct mosaic {
    struct picture first; /* the tile at the top of the frame */
    unsigned count;       /* tiles */
};

struct mosaic_size {
    uint32_t width; /* pixels */
    uint32_t height;
};

/* How the tiles are placed: rows from the top, each from the left; the last may be shorter. */
struct mosaic_grid {
    unsigned columns;
    unsigned rows;
    struct mosaic_size tile; /* each drawn at this size, even unless it is the only one in full */
};

/* Errors and ownership as picture_from_view. */
int mosaic_from_view(const struct ring_view *view, struct mosaic *ret_mosaic,
                     const char **ret_reason);

/* Tile `i` of count. */
struct picture mosaic_tile(const struct mosaic *mosaic, unsigned i);

/*
 * The grid that shows the tiles largest within the box, none enlarged. A box of 0 by 0 is as large
 * as the frame, or for more than one tile MOSAIC_WIDTH by MOSAIC_HEIGHT.
 */
struct mosaic_grid mosaic_grid(const struct mosaic *mosaic, struct mosaic_size box);

#endif
