/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the GPU does with pixels that its encoders do not take as they lie: one function per pixel
 * and the job that it works on. cuda_kernels.cu makes kernels of them, and tests/fake_cuda runs
 * them on the processor, so both execute these lines.
 *
 * Addresses are the GPU's; strides may be negative (bottom-up). Everything is 8 bits.
 */
#ifndef SIMCAST_ENCODER_CUDA_KERNELS_H
#define SIMCAST_ENCODER_CUDA_KERNELS_H

#include <stdint.h>

#if defined(__CUDA__) || defined(__CUDACC__)
#define CUDA_PIXEL __attribute__((device)) static inline
#else
#define CUDA_PIXEL static inline
#endif

#define CUDA_PACK_NAME "simcast_pack"
#define CUDA_ROWS_NAME "simcast_rows"
#define CUDA_NV12_NAME "simcast_nv12"

/* Where a plane lies. */
struct cuda_plane {
    uint64_t address; /* of the top row */
    int64_t stride_bytes;
};

/* Interleaved or grey pixels to RGB or RGBX. */
struct cuda_pack_job {
    struct cuda_plane from;
    struct cuda_plane into;
    uint32_t width;
    uint32_t height;
    uint32_t from_bytes; /* per pixel: 1 grey, 3 or 4 */
    uint32_t into_bytes; /* per pixel: 3 or 4 */
    uint32_t is_bgr;     /* the first and third byte of a source pixel change places */
    uint32_t reserved;
};

/* Rows of bytes, in another order perhaps. */
struct cuda_rows_job {
    struct cuda_plane from;
    struct cuda_plane into;
    uint32_t width_bytes;
    uint32_t height;
};

/* NV12 of BT.601 to RGB or RGBX. */
struct cuda_nv12_job {
    struct cuda_plane luma;
    struct cuda_plane chroma;
    struct cuda_plane into;
    uint32_t width;
    uint32_t height;
    uint32_t into_bytes; /* per pixel: 3 or 4 */
    uint32_t is_limited; /* luma 16 to 235, chroma 16 to 240 */
};

CUDA_PIXEL uint8_t *cuda_at(struct cuda_plane plane, uint32_t x_bytes, uint32_t y)
{
    return (uint8_t *)(uintptr_t)(plane.address + (uint64_t)((int64_t)y * plane.stride_bytes)) +
           x_bytes;
}

CUDA_PIXEL void cuda_put(uint8_t *into, uint32_t into_bytes, uint32_t r, uint32_t g, uint32_t b)
{
    into[0] = (uint8_t)r;
    into[1] = (uint8_t)g;
    into[2] = (uint8_t)b;
    if (into_bytes == 4)
        into[3] = 255;
}

CUDA_PIXEL void cuda_pack_pixel(const struct cuda_pack_job *job, uint32_t x, uint32_t y)
{
    const uint8_t *from = cuda_at(job->from, x * job->from_bytes, y);
    uint8_t *into = cuda_at(job->into, x * job->into_bytes, y);

    if (job->from_bytes == 1)
        cuda_put(into, job->into_bytes, from[0], from[0], from[0]);
    else if (job->is_bgr)
        cuda_put(into, job->into_bytes, from[2], from[1], from[0]);
    else
        cuda_put(into, job->into_bytes, from[0], from[1], from[2]);
}

CUDA_PIXEL void cuda_rows_byte(const struct cuda_rows_job *job, uint32_t x, uint32_t y)
{
    *cuda_at(job->into, x, y) = *cuda_at(job->from, x, y);
}

/* Sixteen bits after the point, to a byte. */
CUDA_PIXEL uint32_t cuda_byte(int32_t value)
{
    int32_t rounded = (value + 32768) >> 16;

    return rounded < 0 ? 0 : rounded > 255 ? 255 : (uint32_t)rounded;
}

CUDA_PIXEL void cuda_nv12_pixel(const struct cuda_nv12_job *job, uint32_t x, uint32_t y)
{
    const uint8_t *chroma = cuda_at(job->chroma, x / 2 * 2, y / 2);
    int32_t luma = *cuda_at(job->luma, x, y);
    int32_t cb = chroma[0] - 128;
    int32_t cr = chroma[1] - 128;
    int32_t is_limited = job->is_limited != 0;
    /* 255/219 and 255/224 of 1, 1.402, 0.344136, 0.714136 and 1.772, times 65536 */
    int32_t base = is_limited ? (luma - 16) * 76309 : luma * 65536;
    int32_t red = is_limited ? cr * 104597 : cr * 91881;
    int32_t green = is_limited ? cb * 25675 + cr * 53279 : cb * 22553 + cr * 46802;
    int32_t blue = is_limited ? cb * 132201 : cb * 116130;

    cuda_put(cuda_at(job->into, x * job->into_bytes, y), job->into_bytes, cuda_byte(base + red),
             cuda_byte(base - green), cuda_byte(base + blue));
}

#endif
