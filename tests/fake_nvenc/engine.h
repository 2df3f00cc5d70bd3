/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of the fake NVENC: I420 pictures to H.264 or HEVC, one in, one out. Home of FFmpeg
 * and libyuv in the fake, so that its other half knows NVIDIA's headers only.
 *
 * Thread: one at a time per engine.
 */
#ifndef SIMCAST_TESTS_FAKE_NVENC_ENGINE_H
#define SIMCAST_TESTS_FAKE_NVENC_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum engine_layout { ENGINE_NV12, ENGINE_RGBX, ENGINE_BGRX };

struct engine_config {
    bool is_hevc;
    int width, height; /* pixels */
    int fps_num, fps_den;
    int64_t bitrate_bps, bitrate_bps_max;
    int vbv_bits;
    int primaries, transfer, matrix; /* as in H.273, for the VUI */
    bool is_full_range;
};

/* A picture in memory; NV12 has its chroma rows behind its luma rows. */
struct engine_picture {
    const uint8_t *pixels;
    int stride_bytes;
    enum engine_layout layout;
};

struct engine;

/* NULL: the library behind it refuses. */
struct engine *engine_open(const struct engine_config *config);
void engine_close(struct engine *engine);

/*
 * Codes one picture. On success *ret_bytes is valid until the next call. False: it failed.
 */
bool engine_encode(struct engine *engine, const struct engine_picture *picture, bool idr,
                   const uint8_t **ret_bytes, size_t *ret_size_bytes);

#endif
