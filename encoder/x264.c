/* SPDX-License-Identifier: Apache-2.0 */
/* libx264: the tables and two wrappers that make h264.c a back end; owns no state. */
#include "encoder/h264.h"

static const struct h264_option options[] = {
    {"tune", "zerolatency"}, /* no look-ahead, no B-frames, one picture in, one out */
    {"forced-idr", "1"},     /* an I picture that we ask for is an IDR */
    {"sc_threshold", "0"},   /* and no others are made */
    {NULL, NULL},
};

static const char *const presets[] = {
    "ultrafast", "superfast", "veryfast", "faster",   "fast",
    "medium",    "slow",      "slower",   "veryslow", NULL,
};

static const struct h264_flavour flavour = {
    .encoder = "libx264",
    .options = options,
    .presets = presets,
    .slices_max = 4,
};

static bool has_preset(const char *preset)
{
    return h264_has_preset(&flavour, preset);
}

static int open_x264(const struct codec_config *config, struct codec **ret_codec)
{
    return h264_open(&flavour, config, ret_codec);
}

const struct codec_backend codec_x264 = {
    .name = "libx264",
    .codec = VIDEO_CODEC_H264,
    .borrows_picture = false,
    .has_preset = has_preset,
    .open = open_x264,
    .adapt = h264_adapt,
    .load = h264_load,
    .encode = h264_encode,
    .close = h264_close,
};
