/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-bench-copies: counts the bytes of a raw picture that memcpy and its relatives copy
 * while it is made into a JPEG (copy_counter.h). Prints "PICTURE COPIED": the bytes of the pictures
 * given to the codec, and how many of these were copied. Exit code 1: coding failed, or the
 * counting did not work.
 *
 * It cannot see copies made without a call, such as a loop; that the codec has no memory to copy
 * a picture into is tests/test_jpeg.c's to show.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/copy_counter.h"
#include "encoder/codec.h"
#include "proto/pixel.h"

#define WIDTH 1280U
#define HEIGHT 720U
#define PACKET_BYTES (WIDTH * HEIGHT * 2UL)

static const uint8_t *picture_bytes; /* what is watched */

static int encode(uint32_t fourcc)
{
    static uint8_t packet_bytes[PACKET_BYTES];
    ptrdiff_t stride = (ptrdiff_t)WIDTH * pixel_bytes(fourcc);
    struct codec_packet packet = {.bytes = packet_bytes, .bytes_max = PACKET_BYTES};
    struct picture picture = {.top = picture_bytes + (HEIGHT - 1) * stride,
                              .stride_bytes = -stride,
                              .fourcc = fourcc,
                              .width = WIDTH,
                              .height = HEIGHT};
    struct codec_config config = {
        .settings = {.codec = VIDEO_CODEC_JPEG,
                     .jpeg_quality = 80,
                     .width = WIDTH,
                     .height = HEIGHT},
        .packet_bytes_max = PACKET_BYTES,
    };
    struct codec *codec;

    if (fourcc == PIXEL_NV12) {
        picture.chroma_top = picture_bytes + (HEIGHT * 3 / 2 - 1) * stride;
        picture.chroma_stride_bytes = -stride;
    }
    if (codec_jpeg.open(&config, &codec) < 0)
        return -1;
    int rc = codec_jpeg.load(codec, &picture);
    if (rc == 0)
        rc = codec_jpeg.encode(codec, true, &packet);
    codec_jpeg.close(codec);
    return rc;
}

/* Whether our counting sees a copy of ours, and that libjpeg copies its own rows for grey. */
static bool counting_works(void)
{
    static uint8_t elsewhere[WIDTH];
    void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;

    copy(elsewhere, picture_bytes, WIDTH);
    bool ours = copy_counter_copied() == WIDTH;
    size_t before = copy_counter_other();
    return ours && encode(PIXEL_GREY) == 0 &&
           copy_counter_other() - before >= (size_t)WIDTH * HEIGHT / 2;
}

int main(void)
{
    static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_BGRA, PIXEL_NV12};
    size_t seen_bytes = 0;
    uint8_t *bytes = malloc(WIDTH * HEIGHT * 4UL);

    if (!bytes)
        return EXIT_FAILURE;
    for (size_t i = 0; i < WIDTH * HEIGHT * 4UL; i++)
        bytes[i] = (uint8_t)(i / 256);
    picture_bytes = bytes;
    copy_counter_watch(bytes, WIDTH * HEIGHT * 4UL);
    if (!counting_works()) {
        fputs("simcast-bench-copies: copies are made that it cannot see\n", stderr);
        return EXIT_FAILURE;
    }
    copy_counter_watch(bytes, WIDTH * HEIGHT * 4UL);
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (encode(layouts[i]) < 0)
            return EXIT_FAILURE;
        seen_bytes +=
            WIDTH * HEIGHT * (layouts[i] == PIXEL_NV12 ? 3UL : 2UL * pixel_bytes(layouts[i])) / 2;
    }
    printf("%zu %zu\n", seen_bytes, copy_counter_copied());
    free(bytes);
    return EXIT_SUCCESS;
}
