/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures for the encoder's tests: a scene that is a pure function of its coordinates, laid out
 * in any of the pixel layouts in memory that cannot be written afterwards, and its comparison
 * with what a decoder made of it. Rows H/4 to H/2 are six equal patches, red, green, blue,
 * yellow, cyan, magenta; the rest is a soft gradient with a bar that moves with `phase`.
 *
 * Thread: any. Errors abort the test: this is test code.
 */
#ifndef SIMCAST_TESTS_PICTURE_KIT_H
#define SIMCAST_TESTS_PICTURE_KIT_H

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <check.h>

#include "encoder/picture.h"
#include "proto/pixel.h"
#include "shm/ring.h"

#define KIT_PATCHES 6

struct kit_rgb {
    uint8_t r, g, b;
};

/* Pixels in RGB, top row first, no padding: what decoders are made to deliver. */
struct kit_image {
    uint32_t width;
    uint32_t height;
    struct kit_rgb *pixels;
};

/* A frame as a simulator publishes it; `bytes` is mapped read-only. */
struct kit_frame {
    uint8_t *bytes;
    size_t mapped_bytes;
    struct ring_frame frame;
};

static const struct kit_rgb kit_patches[KIT_PATCHES] = {
    {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 0}, {0, 255, 255}, {255, 0, 255},
};

static inline struct kit_rgb kit_scene(uint32_t x, uint32_t y, const struct ring_frame *frame,
                                       unsigned phase)
{
    uint32_t width = frame->width;
    uint32_t height = frame->height;

    assert(width > 0 && height > 0);
    if (y >= height / 4 && y < height / 2)
        return kit_patches[(uint64_t)x * KIT_PATCHES / width];
    if (y > height * 5 / 8 && (x + width - 4 * phase % width) % width < width / 8)
        return (struct kit_rgb){235, 235, 235};
    // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): asserted above
    return (struct kit_rgb){(uint8_t)(40 + 150 * x / width), (uint8_t)(40 + 150 * y / height),
                            (uint8_t)(40 + 75 * x / width + 75 * y / height)};
}

static inline uint8_t kit_byte(double value)
{
    return (uint8_t)lround(fmin(fmax(value, 0), 255));
}

static inline uint8_t kit_luma(struct kit_rgb c)
{
    return kit_byte(16 + (65.738 * c.r + 129.057 * c.g + 25.064 * c.b) / 256);
}

static inline void kit_put(uint8_t *row, uint32_t x, uint32_t fourcc, struct kit_rgb c)
{
    uint8_t *at = row + (size_t)x * pixel_bytes(fourcc);

    if (fourcc == PIXEL_GREY)
        *at = c.g;
    else if (fourcc == PIXEL_NV12)
        *at = kit_luma(c);
    else if (fourcc == PIXEL_BGRA)
        memcpy(at, (uint8_t[]){c.b, c.g, c.r, 0x7f}, 4);
    else if (fourcc == PIXEL_RGB24)
        memcpy(at, (uint8_t[]){c.r, c.g, c.b}, 3);
    else
        memcpy(at, (uint8_t[]){c.r, c.g, c.b, 0x7f}, 4);
}

static inline uint32_t kit_min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* BT.601 limited chroma of each block of two by two pixels, averaged. */
static inline void kit_put_chroma(struct kit_frame *kit, unsigned phase)
{
    const struct ring_frame *frame = &kit->frame;
    uint8_t *plane = kit->bytes + (size_t)frame->height * frame->stride_bytes;
    uint32_t rows = (frame->height + 1) / 2;

    for (uint32_t y = 0; y < rows; y++) {
        uint32_t row = frame->flags & RING_FRAME_BOTTOM_UP ? rows - 1 - y : y;
        for (uint32_t x = 0; x < (frame->width + 1) / 2; x++) {
            double r = 0, g = 0, b = 0;
            for (uint32_t i = 0; i < 4; i++) {
                struct kit_rgb c =
                    kit_scene(kit_min(2 * x + i % 2, frame->width - 1),
                              kit_min(2 * y + i / 2, frame->height - 1), frame, phase);
                r += c.r / 4.0;
                g += c.g / 4.0;
                b += c.b / 4.0;
            }
            uint8_t *at = plane + (size_t)row * frame->stride_bytes + (size_t)2 * x;
            at[0] = kit_byte(128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256);
            at[1] = kit_byte(128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256);
        }
    }
}

/* The scene in memory; `flags` as in struct ring_frame. Rows are padded by a few bytes. */
static inline struct kit_frame kit_frame_make(uint32_t fourcc, uint32_t width, uint32_t height,
                                              uint32_t flags, unsigned phase)
{
    struct kit_frame kit = {.frame = {.fourcc = fourcc,
                                      .width = width,
                                      .height = height,
                                      .stride_bytes = width * pixel_bytes(fourcc) + 12,
                                      .flags = flags | RING_FRAME_KEYFRAME}};
    struct ring_frame *frame = &kit.frame;

    if (fourcc == PIXEL_NV12) {
        frame->matrix = RING_MATRIX_BT601;
        frame->range = RING_RANGE_LIMITED;
    }
    frame->payload_bytes = pixel_frame_bytes(fourcc, width, height, frame->stride_bytes);
    kit.mapped_bytes = frame->payload_bytes;
    kit.bytes =
        mmap(NULL, kit.mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(kit.bytes != MAP_FAILED);
    for (uint32_t y = 0; y < height; y++) {
        uint32_t row = flags & RING_FRAME_BOTTOM_UP ? height - 1 - y : y;
        for (uint32_t x = 0; x < width; x++)
            kit_put(kit.bytes + (size_t)row * frame->stride_bytes, x, fourcc,
                    kit_scene(x, y, frame, phase));
    }
    if (fourcc == PIXEL_NV12)
        kit_put_chroma(&kit, phase);
    int rc = mprotect(kit.bytes, kit.mapped_bytes, PROT_READ);
    assert(rc == 0);
    (void)rc;
    return kit;
}

static inline void kit_frame_free(struct kit_frame *kit)
{
    munmap(kit->bytes, kit->mapped_bytes);
}

static inline struct picture kit_picture(const struct kit_frame *kit)
{
    struct picture picture = {0};
    const char *reason = NULL;
    int rc = picture_from_frame(&kit->frame, kit->bytes, &picture, &reason);

    if (rc < 0) {
        fprintf(stderr, "kit_picture: %s\n", reason);
        abort();
    }
    return picture;
}

static inline struct kit_image kit_image_make(uint32_t width, uint32_t height)
{
    struct kit_image image = {width, height, calloc((size_t)width * height, 3)};

    assert(image.pixels);
    return image;
}

/* Peak signal to noise ratio in dB of a decoded image against the scene; 99 when identical. */
static inline double kit_psnr(const struct kit_image *image, const struct ring_frame *frame,
                              unsigned phase)
{
    double squares = 0;

    for (uint32_t y = 0; y < image->height; y++) {
        for (uint32_t x = 0; x < image->width; x++) {
            struct kit_rgb want = kit_scene(x, y, frame, phase);
            struct kit_rgb got = image->pixels[(size_t)y * image->width + x];
            squares += (want.r - got.r) * (want.r - got.r) + (want.g - got.g) * (want.g - got.g) +
                       (want.b - got.b) * (want.b - got.b);
        }
    }
    double mean = squares / (3.0 * image->width * image->height);
    return mean > 0 ? 10 * log10(255.0 * 255.0 / mean) : 99;
}

/* What a perfect codec would show of the scene: a grey layout has lost its colours. */
static inline struct kit_rgb kit_want(uint32_t x, uint32_t y, const struct ring_frame *frame,
                                      unsigned phase)
{
    struct kit_rgb c = kit_scene(x, y, frame, phase);

    return frame->fourcc == PIXEL_GREY ? (struct kit_rgb){c.g, c.g, c.g} : c;
}

/* PSNR in dB of Y, Cb and Cr, as BT.601 makes them of both images in full range; 99: identical. */
struct kit_plane_psnr {
    double planes[3];
};

static inline struct kit_plane_psnr kit_plane_psnr(const struct kit_image *image,
                                                   const struct ring_frame *frame, unsigned phase)
{
    static const double weights[3][3] = {
        {0.299, 0.587, 0.114}, {-0.168736, -0.331264, 0.5}, {0.5, -0.418688, -0.081312}};
    double squares[3] = {0};
    struct kit_plane_psnr psnr;

    for (uint32_t i = 0; i < image->width * image->height; i++) {
        struct kit_rgb want = kit_want(i % image->width, i / image->width, frame, phase);
        struct kit_rgb got = image->pixels[i];
        for (unsigned plane = 0; plane < 3; plane++) {
            const double *weight = weights[plane];
            double error = weight[0] * (want.r - got.r) + weight[1] * (want.g - got.g) +
                           weight[2] * (want.b - got.b);
            squares[plane] += error * error;
        }
    }
    for (unsigned plane = 0; plane < 3; plane++) {
        double mean = squares[plane] / ((double)image->width * image->height);
        psnr.planes[plane] = mean > 0 ? fmin(10 * log10(255.0 * 255.0 / mean), 99) : 99;
    }
    return psnr;
}

/* Whether the six patches are large enough that no neighbour's colour reaches their middle. */
static inline bool kit_has_patches(const struct ring_frame *frame)
{
    return frame->fourcc != PIXEL_GREY && frame->width >= 32 * KIT_PATCHES && frame->height >= 128;
}

/* The largest distance of a patch's centre, in one channel, from its true colour. */
static inline int kit_patch_error(const struct kit_image *image)
{
    int worst = 0;

    for (unsigned i = 0; i < KIT_PATCHES; i++) {
        uint32_t x = (2 * i + 1) * image->width / (2 * KIT_PATCHES);
        uint32_t y = image->height * 3 / 8;
        struct kit_rgb got = image->pixels[(size_t)y * image->width + x];
        int errors[] = {abs(got.r - kit_patches[i].r), abs(got.g - kit_patches[i].g),
                        abs(got.b - kit_patches[i].b)};
        for (unsigned channel = 0; channel < 3; channel++)
            worst = errors[channel] > worst ? errors[channel] : worst;
    }
    return worst;
}

/* Layouts that every codec takes. */
#define KIT_LAYOUTS 6
static const uint32_t kit_layouts[KIT_LAYOUTS] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_RGBX,
                                                  PIXEL_BGRA,  PIXEL_NV12, PIXEL_GREY};

struct kit_shape {
    uint32_t width;
    uint32_t height;
};

/* Calls `check` for pictures from the smallest up, odd in either side and in both, and for both
 * orders of rows; 4K is for those who have the time. */
static inline void kit_every_shape(uint32_t fourcc,
                                   void (*check)(uint32_t fourcc, struct kit_shape shape,
                                                 uint32_t flags))
{
    static const struct kit_shape shapes[] = {{16, 16},   {17, 16},   {16, 17},   {33, 31},
                                              {199, 161}, {322, 243}, {1280, 720}};

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        check(fourcc, shapes[i], 0);
        /* picture.h: bottom-up NV12 of odd height is refused */
        if (fourcc != PIXEL_NV12 || shapes[i].height % 2 == 0)
            check(fourcc, shapes[i], RING_FRAME_BOTTOM_UP);
    }
}

/* That a decoded image is as good as a good codec makes it: each plane, and the six colours. */
static inline void kit_check_image(const struct kit_image *image, const struct ring_frame *frame,
                                   unsigned phase)
{
    struct kit_plane_psnr psnr = kit_plane_psnr(image, frame, phase);
    /* Chroma has a quarter of the samples; in small pictures nearly all of it is edges. */
    double chroma = frame->width < 64 ? 17 : 24;
    double least[] = {30, chroma, chroma};

    for (unsigned plane = 0; plane < 3; plane++)
        ck_assert_msg(psnr.planes[plane] >= least[plane], "%s %ux%u flags %u: plane %u has %.1f dB",
                      pixel_name(frame->fourcc), frame->width, frame->height, frame->flags, plane,
                      psnr.planes[plane]);
    if (kit_has_patches(frame))
        ck_assert_msg(kit_patch_error(image) <= 3, "%s %ux%u: a patch is off by %d",
                      pixel_name(frame->fourcc), frame->width, frame->height,
                      kit_patch_error(image));
}

/* One pixel of BT.601 limited range, by the standard's own numbers. */
static inline struct kit_rgb kit_rgb_from_yuv(int y, int u, int v)
{
    double luma = (y - 16) * 255.0 / 219;
    double cb = (u - 128) * 255.0 / 224;
    double cr = (v - 128) * 255.0 / 224;

    return (struct kit_rgb){kit_byte(luma + 1.402 * cr),
                            kit_byte(luma - 0.344136 * cb - 0.714136 * cr),
                            kit_byte(luma + 1.772 * cb)};
}

#endif
