/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libx264. Owns one I420 picture that every frame is converted into; libx264 copies that in turn,
 * so the frame is free as soon as it is loaded.
 */
#include <errno.h>
#include <stdlib.h>

#include <libavutil/frame.h>
#include <libavutil/pixfmt.h>

#include "encoder/convert.h"
#include "encoder/lavc.h"

static const struct lavc_option options[] = {
    {"tune", "zerolatency"}, /* no look-ahead, no B-frames, one picture in, one out */
    {"forced-idr", "1"},     /* an I picture that we ask for is an IDR */
    {"sc_threshold", "0"},   /* and no others are made */
    {NULL, NULL},
};

static const char *const presets[] = {
    "ultrafast", "superfast", "veryfast", "faster",   "fast",
    "medium",    "slow",      "slower",   "veryslow", NULL,
};

static const struct lavc_flavour flavour = {
    .encoder = "libx264",
    .options = options,
    .presets = presets,
    .slices_max = 4,
    .vbv_pictures = 4,
};

struct codec {
    struct lavc lavc;
    AVFrame *frame;
};

static bool has_preset(const char *preset)
{
    return lavc_has_preset(&flavour, preset);
}

static void close_x264(struct codec *codec)
{
    if (!codec)
        return;
    av_frame_free(&codec->frame);
    lavc_close(&codec->lavc);
    free(codec);
}

static int make_frame(struct codec *codec)
{
    codec->frame = av_frame_alloc();
    if (!codec->frame)
        return -ENOMEM;
    codec->frame->format = AV_PIX_FMT_YUV420P;
    codec->frame->width = (int)convert_even(codec->lavc.config.settings.width);
    codec->frame->height = (int)convert_even(codec->lavc.config.settings.height);
    int rc = av_frame_get_buffer(codec->frame, 0);
    return rc < 0 ? lavc_errno(rc) : 0;
}

static int open_x264(const struct codec_config *config, struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    int rc = lavc_open(&codec->lavc, &flavour, config, NULL);
    if (rc == 0)
        rc = make_frame(codec);
    if (rc < 0) {
        close_x264(codec);
        return rc;
    }
    *ret_codec = codec;
    return 0;
}

static bool adapt(struct codec *codec, const struct stream_settings *settings)
{
    return lavc_adapt(&codec->lavc, settings);
}

static int load(struct codec *codec, const struct picture *picture)
{
    struct i420 into = {
        .width = (uint32_t)codec->frame->width,
        .height = (uint32_t)codec->frame->height,
    };

    if (picture->memory != RING_MEMORY_HOST)
        return -EPROTONOSUPPORT;
    for (unsigned plane = 0; plane < 3; plane++) {
        into.planes[plane] = codec->frame->data[plane];
        into.strides_bytes[plane] = codec->frame->linesize[plane];
    }
    return convert_to_i420(picture, &into);
}

static int encode(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    bool rate_refused; /* libx264 takes every rate */

    return lavc_encode(&codec->lavc, codec->frame, keyframe, packet, &rate_refused);
}

const struct codec_backend codec_x264 = {
    .name = "libx264",
    .codec = VIDEO_CODEC_H264,
    .borrows_picture = false,
    .has_preset = has_preset,
    .open = open_x264,
    .adapt = adapt,
    .load = load,
    .encode = encode,
    .close = close_x264,
};
