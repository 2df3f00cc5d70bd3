/* SPDX-License-Identifier: Apache-2.0 */
/* A pure function on any bytes; it never looks past their end. */
#include "cli/source_h264.h"

enum nal_type {
    NAL_SLICE = 1,
    NAL_IDR = 5,
    NAL_SEI = 6,
    NAL_SPS = 7,
    NAL_PPS = 8,
    NAL_DELIMITER = 9,
};

#define NAL_TYPE_MASK 0x1f
#define NO_NAL ((size_t)-1)

/* The next start code (three bytes, with the zero before them if there is one), or NO_NAL. */
static size_t find_start(const uint8_t *stream, size_t stream_bytes, size_t from)
{
    for (size_t i = from; i + 3 < stream_bytes; i++) {
        if (stream[i] == 0 && stream[i + 1] == 0 && stream[i + 2] == 1)
            return i > from && stream[i - 1] == 0 ? i - 1 : i;
    }
    return NO_NAL;
}

/* Its first byte: the NAL unit's header. */
static size_t header_at(const uint8_t *stream, size_t start)
{
    return start + (stream[start + 2] == 1 ? 3 : 4);
}

static bool is_slice(unsigned type)
{
    return type == NAL_SLICE || type == NAL_IDR;
}

/*
 * Whether this NAL unit begins an access unit once the one before has its picture: parameter sets
 * and the like do, and a slice that begins at macroblock 0, which Exp-Golomb codes as a set bit.
 */
static bool begins_unit(const uint8_t *stream, size_t stream_bytes, size_t header)
{
    unsigned type = stream[header] & NAL_TYPE_MASK;

    if (is_slice(type))
        return header + 1 < stream_bytes && (stream[header + 1] & 0x80) != 0;
    return type >= NAL_SEI && type <= NAL_DELIMITER;
}

size_t h264_unit_next(const uint8_t *stream, size_t stream_bytes, size_t offset,
                      struct h264_unit *ret_unit)
{
    size_t begin = find_start(stream, stream_bytes, offset);
    size_t start = begin;
    bool picture = false;
    bool keyframe = false;

    while (start != NO_NAL) {
        size_t header = header_at(stream, start);
        if (picture && begins_unit(stream, stream_bytes, header))
            break;
        picture = picture || is_slice(stream[header] & NAL_TYPE_MASK);
        keyframe = keyframe || (stream[header] & NAL_TYPE_MASK) == NAL_IDR;
        start = find_start(stream, stream_bytes, header);
    }
    if (!picture)
        return 0;
    size_t end = start == NO_NAL ? stream_bytes : start;
    *ret_unit = (struct h264_unit){stream + begin, end - begin, keyframe};
    return end;
}
