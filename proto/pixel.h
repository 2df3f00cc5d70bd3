/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pixel layouts by their DRM fourcc codes. DRM names a layout from the most significant bit of a
 * little-endian word down, so the name reads backwards from memory: DRM_FORMAT_BGR888 has the
 * bytes R, G, B. The names here follow memory order, as the rest of the field's software does.
 *
 * Source: drm_fourcc.h of the Linux kernel.
 */
#ifndef SIMCAST_PROTO_PIXEL_H
#define SIMCAST_PROTO_PIXEL_H

#include <stdint.h>

#define PIXEL_FOURCC(a, b, c, d)                                                                   \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define PIXEL_RGB24 PIXEL_FOURCC('B', 'G', '2', '4') /* DRM_FORMAT_BGR888: R, G, B */
#define PIXEL_RGBA PIXEL_FOURCC('A', 'B', '2', '4')  /* DRM_FORMAT_ABGR8888: R, G, B, A */
#define PIXEL_RGBX PIXEL_FOURCC('X', 'B', '2', '4')  /* DRM_FORMAT_XBGR8888: R, G, B, unused */
#define PIXEL_BGRA PIXEL_FOURCC('A', 'R', '2', '4')  /* DRM_FORMAT_ARGB8888: B, G, R, A */
#define PIXEL_NV12 PIXEL_FOURCC('N', 'V', '1', '2')  /* Y plane, then interleaved Cb, Cr */
#define PIXEL_GREY PIXEL_FOURCC('R', '8', ' ', ' ')  /* DRM_FORMAT_R8 */
#define PIXEL_DEPTH                                                                                \
    PIXEL_FOURCC('R', '3', '2', 'F') /* one 32-bit float; DRM has no name for it                   \
                                      */

/* Bytes of one pixel in the first plane; 0 for a fourcc that simcast does not know. */
unsigned pixel_bytes(uint32_t fourcc);

/*
 * Bytes of a whole frame of `height` rows with `stride_bytes` per row (NV12: both planes).
 * 0 for an unknown fourcc, a stride too small for the width, or a size over 2^40.
 */
uint64_t pixel_frame_bytes(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t stride_bytes);

/* "rgb24", "rgba", "rgbx", "bgra", "nv12", "grey", "depth", or "unknown"; a string constant. */
const char *pixel_name(uint32_t fourcc);

#endif
