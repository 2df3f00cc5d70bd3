/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H.264 through libavcodec, for every encoder it knows: x264.c and nvenc.c say in a struct
 * h264_flavour how theirs is named and set up, h264.c does the rest. Annex-B, SPS and PPS in
 * every IDR, no B-frames, one picture in, one access unit out, colours tagged smpte170m and
 * limited range. The caller alone decides which picture is an IDR.
 *
 * Thread: one thread per codec; libavcodec may use more inside, but only until encode returns.
 */
#ifndef SIMCAST_ENCODER_H264_H
#define SIMCAST_ENCODER_H264_H

#include "encoder/codec.h"

struct h264_option {
    const char *name; /* NULL ends the list */
    const char *value;
};

struct h264_flavour {
    const char *encoder; /* libavcodec's name of it */
    const struct h264_option *options;
    const char *const *presets; /* that it knows, the default first; NULL ends the list */
    unsigned slices_max;        /* threads that share a picture, one slice each */
};

int h264_open(const struct h264_flavour *flavour, const struct codec_config *config,
              struct codec **ret_codec);
bool h264_has_preset(const struct h264_flavour *flavour, const char *preset);

/* The other functions of the back-end table, the same for all flavours. */
bool h264_adapt(struct codec *codec, const struct stream_settings *settings);
int h264_load(struct codec *codec, const struct picture *picture);
int h264_encode(struct codec *codec, bool keyframe, struct codec_packet *packet);
void h264_close(struct codec *codec);

#endif
