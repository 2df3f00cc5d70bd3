/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames whose header and batch say anything at all. What is accepted lies within the payload:
 * every row of every tile is read, from memory that ends where the payload does.
 *
 * Sources: encoder/mosaic.c encoder/picture.c
 */
#include <stdlib.h>
#include <string.h>

#include "encoder/mosaic.h"
#include "proto/batch.h"
#include "proto/pixel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the input begins with; small numbers, or no frame would ever fit its payload. */
struct story {
    uint16_t width;
    uint16_t height;
    uint16_t stride_bytes;
    uint16_t payload_bytes;
    uint8_t layout;
    uint8_t flags;
    uint8_t matrix;
    uint8_t range;
    struct frame_batch batch;
    uint8_t odd; /* whether the sizes are left as large as 32 bits go */
};

static unsigned sum_rows(const uint8_t *top, ptrdiff_t stride, uint32_t rows, uint32_t row_bytes)
{
    unsigned sum = 0;

    for (ptrdiff_t y = 0; y < (ptrdiff_t)rows; y++) {
        for (uint32_t x = 0; x < row_bytes; x++)
            sum += top[y * stride + x];
    }
    return sum;
}

static unsigned read_all(const struct mosaic *mosaic)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < mosaic->count; i++) {
        struct picture tile = mosaic_tile(mosaic, i);
        sum += sum_rows(tile.top, tile.stride_bytes, tile.height,
                        tile.width * pixel_bytes(tile.fourcc));
        if (tile.chroma_top)
            sum += sum_rows(tile.chroma_top, tile.chroma_stride_bytes, (tile.height + 1) / 2,
                            tile.width / 2 * 2);
    }
    return sum;
}

static struct ring_view view_of(const struct story *story)
{
    static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX,  PIXEL_BGRA,
                                       PIXEL_NV12,  PIXEL_GREY, PIXEL_DEPTH, 0};
    uint32_t much = story->odd & 1 ? UINT32_C(0x10001) : 1;

    return (struct ring_view){.user = &story->batch,
                              .frame = {.payload_bytes = story->payload_bytes,
                                        .flags = story->flags,
                                        .fourcc = layouts[story->layout % 8],
                                        .width = story->width * much,
                                        .height = story->height * much,
                                        .stride_bytes = story->stride_bytes * much,
                                        .matrix = story->matrix,
                                        .range = story->range,
                                        .user_bytes = story->odd & 2 ? 0 : sizeof(story->batch)}};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned sink;
    struct story story;
    struct mosaic mosaic;
    const char *reason = NULL;

    if (size < sizeof(story))
        return 0;
    memcpy(&story, data, sizeof(story));
    if (story.odd & 4)
        story.batch.magic = FRAME_BATCH_MAGIC;
    struct ring_view view = view_of(&story);
    uint8_t *payload = calloc(1, view.frame.payload_bytes);
    if (!payload)
        return 0;
    view.payload = payload;
#ifdef PLANTED_BUG
    view.frame.payload_bytes += 2000;
#endif
    if (mosaic_from_view(&view, &mosaic, &reason) == 0)
        sink += read_all(&mosaic);
    else if (!reason)
        abort();
    free(payload);
    return 0;
}
