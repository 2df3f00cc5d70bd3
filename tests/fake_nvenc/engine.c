/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one encoder of libavcodec, its picture and its last packet. */
#include "tests/fake_nvenc/engine.h"

#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libyuv.h>

struct engine {
    AVCodecContext *context;
    AVFrame *frame;
    AVPacket *packet;
    int64_t pts;
};

static bool open_encoder(struct engine *engine, const struct engine_config *config)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(config->is_hevc ? "libx265" : "libx264");

    engine->context = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!engine->context)
        return false;
    AVCodecContext *context = engine->context;
    context->width = config->width;
    context->height = config->height;
    context->pix_fmt = AV_PIX_FMT_YUV420P;
    context->time_base = (AVRational){config->fps_den, config->fps_num};
    context->framerate = (AVRational){config->fps_num, config->fps_den};
    context->gop_size = 1000000;
    context->max_b_frames = 0;
    context->thread_count = 1;
    context->bit_rate = config->bitrate_bps;
    context->rc_max_rate = config->bitrate_bps_max;
    context->rc_buffer_size = config->vbv_bits;
    context->color_primaries = config->primaries;
    context->color_trc = config->transfer;
    context->colorspace = config->matrix;
    context->color_range = config->is_full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    av_opt_set(context->priv_data, "preset", "ultrafast", 0);
    av_opt_set(context->priv_data, "tune", "zerolatency", 0);
    av_opt_set(context->priv_data, "forced-idr", "1", 0);
    av_opt_set(context->priv_data, "sc_threshold", "0", 0);
    av_opt_set(context->priv_data, "x265-params", "log-level=none:pools=none:scenecut=0", 0);
    return avcodec_open2(context, codec, NULL) >= 0;
}

struct engine *engine_open(const struct engine_config *config)
{
    struct engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return NULL;
    engine->frame = av_frame_alloc();
    engine->packet = av_packet_alloc();
    bool opened = engine->frame && engine->packet && open_encoder(engine, config);
    if (opened) {
        engine->frame->format = AV_PIX_FMT_YUV420P;
        engine->frame->width = config->width;
        engine->frame->height = config->height;
        opened = av_frame_get_buffer(engine->frame, 0) >= 0;
    }
    if (!opened) {
        engine_close(engine);
        return NULL;
    }
    return engine;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    av_packet_free(&engine->packet);
    av_frame_free(&engine->frame);
    avcodec_free_context(&engine->context);
    free(engine);
}

/* NVENC converts RGB to BT.601 limited range, as libyuv does. */
static void convert(AVFrame *frame, const struct engine_picture *from)
{
    uint8_t *y = frame->data[0];
    uint8_t *u = frame->data[1];
    uint8_t *v = frame->data[2];
    const int *strides = frame->linesize;

    if (from->layout == ENGINE_NV12)
        NV12ToI420(from->pixels, from->stride_bytes,
                   from->pixels + (ptrdiff_t)from->stride_bytes * frame->height, from->stride_bytes,
                   y, strides[0], u, strides[1], v, strides[2], frame->width, frame->height);
    else if (from->layout == ENGINE_RGBX)
        ABGRToI420(from->pixels, from->stride_bytes, y, strides[0], u, strides[1], v, strides[2],
                   frame->width, frame->height);
    else
        ARGBToI420(from->pixels, from->stride_bytes, y, strides[0], u, strides[1], v, strides[2],
                   frame->width, frame->height);
}

bool engine_encode(struct engine *engine, const struct engine_picture *picture, bool idr,
                   const uint8_t **ret_bytes, size_t *ret_size_bytes)
{
    AVFrame *frame = engine->frame;

    if (av_frame_make_writable(frame) < 0)
        return false;
    convert(frame, picture);
    frame->pts = engine->pts++;
    frame->pict_type = idr ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    av_packet_unref(engine->packet);
    if (avcodec_send_frame(engine->context, frame) < 0 ||
        avcodec_receive_packet(engine->context, engine->packet) < 0)
        return false;
    *ret_bytes = engine->packet->data;
    *ret_size_bytes = (size_t)engine->packet->size;
    return true;
}
