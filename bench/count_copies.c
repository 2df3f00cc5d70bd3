/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simcast-bench-copies: counts the bytes of a raw picture that memcpy and its relatives copy
 * while it is made into a JPEG. This program has its own memcpy, which the libraries that it
 * loads use as well. Prints "PICTURE COPIED": the bytes of the pictures given to the codec, and
 * how many of these were copied. Exit code 1: coding failed, or the counting did not work.
 *
 * It cannot see copies made without a call, such as a loop; that the codec has no memory to copy
 * a picture into is tests/test_jpeg.c's to show.
 */
#include <stdio.h>
#include <stdlib.h>

#include "encoder/codec.h"
#include "proto/pixel.h"

#define WIDTH 1280U
#define HEIGHT 720U
#define PACKET_BYTES (WIDTH * HEIGHT * 2UL)

void *memcpy(void *restrict into, const void *restrict from, size_t bytes);
void *memmove(void *into, const void *from, size_t bytes);
void *mempcpy(void *restrict into, const void *restrict from, size_t bytes);
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room);
void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room);

static const uint8_t *picture_bytes; /* what is watched */
static size_t picture_size_bytes;
static size_t copied_bytes; /* from there */
static size_t other_bytes;  /* from elsewhere */

static void count(const void *from, size_t bytes)
{
    const uint8_t *at = from;

    if (at >= picture_bytes && at < picture_bytes + picture_size_bytes)
        copied_bytes += bytes;
    else
        other_bytes += bytes;
}

/* volatile, and none of the names below: or the compiler makes calls of them out of it. */
static void *copy_counted(void *into, const void *from, size_t bytes)
{
    volatile uint8_t *to = into;
    const volatile uint8_t *at = from;

    count(from, bytes);
    if ((uintptr_t)into < (uintptr_t)from) {
        for (size_t i = 0; i < bytes; i++)
            to[i] = at[i];
    } else {
        for (size_t i = bytes; i > 0; i--)
            to[i - 1] = at[i - 1];
    }
    return into;
}

void *memmove(void *into, const void *from, size_t bytes)
{
    return copy_counted(into, from, bytes);
}

void *memcpy(void *restrict into, const void *restrict from, size_t bytes)
{
    return copy_counted(into, from, bytes);
}

void *mempcpy(void *restrict into, const void *restrict from, size_t bytes)
{
    return (uint8_t *)copy_counted(into, from, bytes) + bytes;
}

/* What Debian's libraries call instead: they are built with _FORTIFY_SOURCE. */
void *__memcpy_chk(void *restrict into, const void *restrict from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_counted(into, from, bytes);
}

void *__memmove_chk(void *into, const void *from, size_t bytes, size_t room)
{
    if (bytes > room)
        abort();
    return copy_counted(into, from, bytes);
}

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

    copied_bytes = 0;
    copy(elsewhere, picture_bytes, WIDTH);
    bool ours = copied_bytes == WIDTH;
    other_bytes = 0;
    return ours && encode(PIXEL_GREY) == 0 && other_bytes >= (size_t)WIDTH * HEIGHT / 2;
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
    picture_size_bytes = WIDTH * HEIGHT * 4UL;
    if (!counting_works()) {
        fputs("simcast-bench-copies: copies are made that it cannot see\n", stderr);
        return EXIT_FAILURE;
    }
    copied_bytes = 0;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (encode(layouts[i]) < 0)
            return EXIT_FAILURE;
        seen_bytes +=
            WIDTH * HEIGHT * (layouts[i] == PIXEL_NV12 ? 3UL : 2UL * pixel_bytes(layouts[i])) / 2;
    }
    printf("%zu %zu\n", seen_bytes, copied_bytes);
    free(bytes);
    return EXIT_SUCCESS;
}
