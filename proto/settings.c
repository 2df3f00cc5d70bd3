/* SPDX-License-Identifier: Apache-2.0 */
/* A pure function on the caller's structs. */
#include "proto/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <ctype.h>

#include "proto/video.h"

struct range {
    uint32_t low;
    uint32_t high;
};

static bool merge_number(uint32_t *into, uint32_t from, struct range range)
{
    if (from == 0)
        return true;
    if (from < range.low || from > range.high)
        return false;
    *into = from;
    return true;
}

static bool merge_preset(char into[SETTINGS_PRESET_BYTES], const char from[SETTINGS_PRESET_BYTES])
{
    size_t length = strnlen(from, SETTINGS_PRESET_BYTES);

    if (length == 0)
        return true;
    if (length == SETTINGS_PRESET_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)from[i]))
            return false;
    }
    memcpy(into, from, length + 1);
    return true;
}

int stream_settings_merge(struct stream_settings *into, const struct stream_settings *from)
{
    bool valid = true;

    valid &=
        merge_number(&into->codec, from->codec, (struct range){VIDEO_CODEC_H264, VIDEO_CODEC_JPEG});
    valid &= merge_number(&into->jpeg_quality, from->jpeg_quality, (struct range){1, 100});
    valid &= merge_number(&into->bitrate_bps, from->bitrate_bps,
                          (struct range){50 * 1000, 200 * 1000 * 1000});
    valid &= merge_number(&into->fps, from->fps, (struct range){1, 240});
    if (from->width % 2 == 0 && from->height % 2 == 0 &&
        (from->width == 0) == (from->height == 0)) {
        valid &= merge_number(&into->width, from->width, (struct range){16, 4096});
        valid &= merge_number(&into->height, from->height, (struct range){16, 4096});
    } else {
        valid = false;
    }
    valid &= merge_preset(into->preset, from->preset);
    return valid ? 0 : -ERANGE;
}
