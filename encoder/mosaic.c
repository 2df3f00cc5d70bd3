/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on the caller's structs; what a frame says of itself is not believed. */
#include "encoder/mosaic.h"

#include <errno.h>
#include <string.h>

#include "proto/batch.h"
#include "proto/pixel.h"

#define TILE_SIDE_MIN 2U

/* How many pictures the frame says it holds; 1 when it says nothing. */
static uint32_t batch_count(const struct ring_frame *frame, const void *user)
{
    struct frame_batch batch;

    if (frame->user_bytes < sizeof(batch))
        return 1;
    memcpy(&batch, user, sizeof(batch));
    return batch.magic == FRAME_BATCH_MAGIC ? batch.count : 1;
}

static const char *unsupported(const struct ring_frame *frame, uint32_t count)
{
    if (count == 0 || count > MOSAIC_TILES_MAX)
        return "its batch is not of 1 to 1024 pictures";
    if (frame->height % count != 0)
        return "its batch does not divide its height";
    if (frame->fourcc == PIXEL_NV12 && frame->height / count % 2 != 0)
        return "NV12 pictures of odd height cannot be a batch: two would share a row of chroma";
    return NULL;
}

/* Where the first tile lies, of which picture_from_view saw only the first rows in memory. */
static void place_first(const struct ring_view *view, struct picture *first)
{
    const uint8_t *pixels = view->payload;
    ptrdiff_t stride = (ptrdiff_t)view->frame.stride_bytes;
    ptrdiff_t rows = (ptrdiff_t)view->frame.height;
    bool bottom_up = view->frame.flags & RING_FRAME_BOTTOM_UP;

    first->top = bottom_up ? pixels + (rows - 1) * stride : pixels;
    if (first->chroma_top)
        first->chroma_top = pixels + (rows + (bottom_up ? rows / 2 - 1 : 0)) * stride;
}

int mosaic_from_view(const struct ring_view *view, struct mosaic *ret_mosaic,
                     const char **ret_reason)
{
    const struct ring_frame *frame = &view->frame;
    uint32_t count = batch_count(frame, view->user);
    struct mosaic mosaic = {.count = count};
    struct ring_view one = *view;
    const char *reason = count == 1 ? NULL : unsupported(frame, count);

    if (reason) {
        *ret_reason = reason;
        return -EPROTO;
    }
    one.frame.height = frame->height / count;
    int rc = picture_from_view(&one, &mosaic.first, ret_reason);
    if (rc < 0)
        return rc;
    uint64_t bytes =
        pixel_frame_bytes(frame->fourcc, frame->width, frame->height, frame->stride_bytes);
    if (bytes == 0 || bytes > frame->payload_bytes) {
        *ret_reason = "its rows reach past its payload";
        return -EPROTO;
    }
    if (count > 1)
        place_first(view, &mosaic.first);
    *ret_mosaic = mosaic;
    return 0;
}

struct picture mosaic_tile(const struct mosaic *mosaic, unsigned i)
{
    struct picture tile = mosaic->first;
    ptrdiff_t rows = (ptrdiff_t)tile.height * (ptrdiff_t)i;

    tile.top += rows * tile.stride_bytes;
    if (tile.chroma_top)
        tile.chroma_top += rows / 2 * tile.chroma_stride_bytes;
    return tile;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* How many times as large the tiles could be in so many columns. */
static double scale_of(const struct mosaic *mosaic, unsigned columns, struct mosaic_size box)
{
    unsigned rows = (mosaic->count + columns - 1) / columns;

    return smaller(box.width / ((double)columns * mosaic->first.width),
                   box.height / ((double)rows * mosaic->first.height));
}

/* Even, and `least` at least. */
static uint32_t scaled(uint32_t pixels, double scale, uint32_t least)
{
    uint32_t even = (uint32_t)(pixels * scale + 1e-6) & ~UINT32_C(1);

    return even < least ? least : even;
}

struct mosaic_grid mosaic_grid(const struct mosaic *mosaic, struct mosaic_size box)
{
    const struct picture *tile = &mosaic->first;
    struct mosaic_grid grid = {1, mosaic->count, {tile->width, tile->height}};

    if (box.width == 0 && mosaic->count == 1)
        return grid;
    if (box.width == 0)
        box = (struct mosaic_size){MOSAIC_WIDTH, MOSAIC_HEIGHT};
    double scale = 0;
    for (unsigned columns = 1; columns <= mosaic->count; columns++) {
        if (scale_of(mosaic, columns, box) > scale) {
            scale = scale_of(mosaic, columns, box);
            grid.columns = columns;
        }
    }
    grid.rows = (mosaic->count + grid.columns - 1) / grid.columns;
    if (mosaic->count == 1 && scale >= 1)
        return grid;
    scale = smaller(scale, 1);
    uint32_t least = mosaic->count > 1 ? TILE_SIDE_MIN : PICTURE_SIDE_MIN;
    grid.tile.width = scaled(tile->width, scale, least);
    grid.tile.height = scaled(tile->height, scale, least);
    return grid;
}
