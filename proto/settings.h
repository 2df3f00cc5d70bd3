/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may ask of a stream (the `settings` command), as one flat struct that travels in
 * a command, in the demand that flows back on a ring, and into the encoder. In every field 0
 * means "leave it as it is".
 */
#ifndef SIMCAST_PROTO_SETTINGS_H
#define SIMCAST_PROTO_SETTINGS_H

#include <assert.h>
#include <stdint.h>

#define SETTINGS_PRESET_BYTES 16

struct stream_settings {
    uint32_t codec;                     /* enum video_codec */
    uint32_t jpeg_quality;              /* 1 to 100 */
    uint32_t bitrate_bps;               /* 50,000 to 200,000,000 */
    uint32_t fps;                       /* 1 to 240 */
    uint32_t width;                     /* pixels, 16 to 4096, even */
    uint32_t height;                    /* pixels, 16 to 4096, even */
    char preset[SETTINGS_PRESET_BYTES]; /* x264 or NVENC preset name, NUL-terminated; "" = leave */
};

static_assert(sizeof(struct stream_settings) == 40, "stream_settings is shared between processes");

/*
 * Overwrites in `into` what `from` sets. Values out of the ranges above and unknown codecs are
 * left out and make the result -ERANGE; what is valid is merged all the same.
 */
int stream_settings_merge(struct stream_settings *into, const struct stream_settings *from);

#endif
