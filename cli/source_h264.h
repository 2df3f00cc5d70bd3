/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes an H.264 byte stream (Annex-B) apart into access units: what shows one picture.
 *
 * Thread: any. Cost: one pass, no allocation.
 * Source: ITU-T H.264 section 7.4.1.2.3 (where an access unit begins) and annex B.
 */
#ifndef SIMCAST_CLI_SOURCE_H264_H
#define SIMCAST_CLI_SOURCE_H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h264_unit {
    const uint8_t *bytes; /* from its first start code on */
    size_t bytes_count;
    bool keyframe; /* has an IDR slice */
};

/*
 * The access unit that begins at `offset`, which is 0 or where the one before ended. Returns the
 * offset after it, or 0 when there is no further picture; *ret_unit is then untouched.
 */
size_t h264_unit_next(const uint8_t *stream, size_t stream_bytes, size_t offset,
                      struct h264_unit *ret_unit);

#endif
