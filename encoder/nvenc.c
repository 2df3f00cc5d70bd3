/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's encoder: the tables and two wrappers that make h264.c a back end; owns no state.
 * Where there is no driver, no device or no encoder engine (data-centre GPUs have none), open
 * says -ENODEV and codec_h264_complaint() why.
 */
#include <errno.h>

#include "encoder/h264.h"

static const struct h264_option options[] = {
    {"tune", "ull"},     {"rc", "cbr"},        {"zerolatency", "1"},
    {"delay", "0"},      {"surfaces", "1"}, /* with delay 0: or it lags two pictures behind */
    {"forced-idr", "1"}, {"no-scenecut", "1"}, {NULL, NULL},
};

static const char *const presets[] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", NULL};

static const struct h264_flavour flavour = {
    .encoder = "h264_nvenc",
    .options = options,
    .presets = presets,
    .slices_max = 1,
};

static bool has_preset(const char *preset)
{
    return h264_has_preset(&flavour, preset);
}

static int open_nvenc(const struct codec_config *config, struct codec **ret_codec)
{
    int rc = h264_open(&flavour, config, ret_codec);

    return rc < 0 && rc != -ENOMEM ? -ENODEV : rc;
}

const struct codec_backend codec_nvenc = {
    .name = "h264_nvenc",
    .codec = VIDEO_CODEC_H264,
    .borrows_picture = false,
    .has_preset = has_preset,
    .open = open_nvenc,
    .adapt = h264_adapt,
    .load = h264_load,
    .encode = h264_encode,
    .close = h264_close,
};
