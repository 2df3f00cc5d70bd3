/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the scaled pictures, one per size, and a tile in I420 on its way. On the camera's thread.
 * A tile is converted at its own size and then scaled plane by plane: so each pixel is the mean of
 * those that it covers at any ratio, which libyuv does for single planes only.
 */
#include "encoder/scale.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/convert.h"
#include "encoder/rendition_spec.h"
#include "proto/pixel.h"

#define LUMA_BLACK 16
#define CHROMA_NEUTRAL 128

/* I420 in one piece of memory. */
struct canvas {
    struct i420 i420;
    uint8_t *bytes;
    size_t bytes_max;
};

struct scaled {
    struct mosaic_grid grid;
    unsigned count;       /* tiles; 0: this place is free */
    struct canvas canvas; /* its chroma is on its way to `pairs` */
    uint8_t *pairs;       /* Cb, Cr */
    bool made;            /* of the frame that scaler_begin began */
};

struct scaler {
    struct scaled sizes[RENDITIONS_MAX];
    unsigned oldest; /* of these, the next to give up its place */
    struct canvas tile;
    const uint8_t *tile_of; /* the picture that it was made of, in this frame */
};

int scaler_create(struct scaler **ret_scaler)
{
    struct scaler *scaler = calloc(1, sizeof(*scaler));

    if (!scaler)
        return -ENOMEM;
    *ret_scaler = scaler;
    return 0;
}

void scaler_destroy(struct scaler *scaler)
{
    if (!scaler)
        return;
    for (unsigned i = 0; i < RENDITIONS_MAX; i++) {
        free(scaler->sizes[i].canvas.bytes);
        free(scaler->sizes[i].pairs);
    }
    free(scaler->tile.bytes);
    free(scaler);
}

void scaler_begin(struct scaler *scaler)
{
    for (unsigned i = 0; i < RENDITIONS_MAX; i++)
        scaler->sizes[i].made = false;
    scaler->tile_of = NULL;
}

/* Gives the canvas a size, with new memory only if it has too little. */
static int canvas_resize(struct canvas *canvas, uint32_t width, uint32_t height)
{
    size_t luma = (size_t)width * height;

    if (luma * 3 / 2 > canvas->bytes_max) {
        uint8_t *bytes = malloc(luma * 3 / 2);
        if (!bytes)
            return -ENOMEM;
        free(canvas->bytes);
        canvas->bytes = bytes;
        canvas->bytes_max = luma * 3 / 2;
    }
    canvas->i420 = (struct i420){
        .planes = {canvas->bytes, canvas->bytes + luma, canvas->bytes + luma * 5 / 4},
        .strides_bytes = {(int)width, (int)width / 2, (int)width / 2},
        .width = width,
        .height = height,
    };
    return 0;
}

static bool same_grid(const struct mosaic_grid *a, const struct mosaic_grid *b)
{
    return a->columns == b->columns && a->rows == b->rows && a->tile.width == b->tile.width &&
           a->tile.height == b->tile.height;
}

static int prepare(struct scaled *scaled, const struct mosaic_grid *grid, unsigned count)
{
    uint32_t width = grid->columns * grid->tile.width;
    uint32_t height = grid->rows * grid->tile.height;
    size_t luma = (size_t)width * height;

    scaled->count = 0;
    uint8_t *pairs = realloc(scaled->pairs, luma / 2);
    if (!pairs)
        return -ENOMEM;
    scaled->pairs = pairs;
    if (canvas_resize(&scaled->canvas, width, height) < 0)
        return -ENOMEM;
    /* Where no tile comes it stays black. */
    memset(scaled->canvas.bytes, LUMA_BLACK, luma);
    memset(scaled->canvas.bytes + luma, CHROMA_NEUTRAL, luma / 2);
    scaled->grid = *grid;
    scaled->count = count;
    return 0;
}

/* The place of that grid, made ready if there is none. NULL: no memory. */
static struct scaled *place_for(struct scaler *scaler, const struct mosaic_grid *grid,
                                unsigned count)
{
    for (unsigned i = 0; i < RENDITIONS_MAX; i++) {
        struct scaled *scaled = &scaler->sizes[i];
        if (scaled->count == count && same_grid(&scaled->grid, grid))
            return scaled;
    }
    struct scaled *scaled = &scaler->sizes[scaler->oldest];
    while (scaled->made) { /* one is not: there are as many as renditions, and ours needs one */
        scaler->oldest = (scaler->oldest + 1) % RENDITIONS_MAX;
        scaled = &scaler->sizes[scaler->oldest];
    }
    scaler->oldest = (scaler->oldest + 1) % RENDITIONS_MAX;
    return prepare(scaled, grid, count) < 0 ? NULL : scaled;
}

/* Where tile `i` belongs. */
static struct i420 cell(const struct scaled *scaled, unsigned i)
{
    const struct i420 *whole = &scaled->canvas.i420;
    struct mosaic_size size = scaled->grid.tile;
    struct i420 into = {.width = size.width, .height = size.height};
    ptrdiff_t x = (ptrdiff_t)(i % scaled->grid.columns) * size.width;
    ptrdiff_t y = (ptrdiff_t)(i / scaled->grid.columns) * size.height;

    for (unsigned plane = 0; plane < 3; plane++) {
        unsigned shrink = plane == 0 ? 1 : 2;
        into.strides_bytes[plane] = whole->strides_bytes[plane];
        into.planes[plane] =
            whole->planes[plane] + y / shrink * whole->strides_bytes[plane] + x / shrink;
    }
    return into;
}

static int draw(struct scaler *scaler, const struct picture *tile, const struct i420 *into)
{
    uint32_t width = convert_even(tile->width);
    uint32_t height = convert_even(tile->height);
    int rc = 0;

    if (into->width == width && into->height == height)
        return convert_to_i420(tile, into);
    if (scaler->tile_of != tile->top) {
        scaler->tile_of = NULL;
        rc = canvas_resize(&scaler->tile, width, height);
        if (rc == 0)
            rc = convert_to_i420(tile, &scaler->tile.i420);
        if (rc < 0)
            return rc;
        scaler->tile_of = tile->top;
    }
    convert_scale(&scaler->tile.i420, into);
    return 0;
}

static int make(struct scaler *scaler, const struct mosaic *mosaic, struct scaled *scaled)
{
    for (unsigned i = 0; i < mosaic->count; i++) {
        struct picture tile = mosaic_tile(mosaic, i);
        struct i420 into = cell(scaled, i);
        int rc = draw(scaler, &tile, &into);
        if (rc < 0)
            return rc;
    }
    convert_weave_chroma(&scaled->canvas.i420, scaled->pairs, (int)scaled->canvas.i420.width);
    scaled->made = true;
    return 0;
}

int scaler_fit(struct scaler *scaler, const struct mosaic *mosaic, struct mosaic_size box,
               struct picture *ret_picture)
{
    struct mosaic_grid grid = mosaic_grid(mosaic, box);

    if (mosaic->count == 1 && grid.tile.width == mosaic->first.width &&
        grid.tile.height == mosaic->first.height) {
        *ret_picture = mosaic->first;
        return 1;
    }
    if (mosaic->first.memory != RING_MEMORY_HOST)
        return -EPROTONOSUPPORT;
    struct scaled *scaled = place_for(scaler, &grid, mosaic->count);
    if (!scaled)
        return -ENOMEM;
    if (!scaled->made) {
        int rc = make(scaler, mosaic, scaled);
        if (rc < 0)
            return rc;
    }
    const struct i420 *i420 = &scaled->canvas.i420;
    *ret_picture = (struct picture){
        .top = i420->planes[0],
        .stride_bytes = i420->strides_bytes[0],
        .chroma_top = scaled->pairs,
        .chroma_stride_bytes = i420->strides_bytes[0],
        .fourcc = PIXEL_NV12,
        .width = i420->width,
        .height = i420->height,
        .limited_range = true,
    };
    return 0;
}
