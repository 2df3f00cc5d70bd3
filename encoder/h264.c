/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Home of libavcodec. Owns the encoder, one I420 picture that every frame is converted into, and
 * one packet whose bytes are the caller's slot; on the stage's thread. Encoding happens inside
 * avcodec_send_frame, which calls get_packet_memory() for the room. If that room is too small or
 * the encoder fails, the picture is lost and the next one has to be an IDR.
 *
 * Rate control counts pictures, not seconds: libx264 is told one nominal rate at open, and a
 * picture's share of the bitrate is what adapt changes. So fps may change while running, too.
 */
#include "encoder/h264.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "base/log.h"
#include "encoder/convert.h"

#define NOMINAL_FPS 30
#define VBV_PICTURES 4 /* a picture may take as much as this many average ones */
#define GOP_ENDLESS 1000000
#define SLICE_PIXELS 400000
#define COMPLAINT_BYTES 256

struct codec {
    AVCodecContext *context;
    AVFrame *frame;
    AVPacket *packet;
    struct stream_settings settings;
    size_t packet_bytes_max;
    int64_t pts;
    struct codec_packet *room; /* where the running encode puts its packet; else NULL */
    bool room_too_small;
};

static _Thread_local char complaint[COMPLAINT_BYTES];

const char *codec_h264_complaint(void)
{
    return complaint;
}

/* FFmpeg's own words go to our log at debug level; its errors are also kept for the caller. */
static void on_log(void *object, int level, const char *format, va_list args)
{
    char line[COMPLAINT_BYTES];
    int print_prefix = 0;

    if (level > AV_LOG_INFO)
        return;
    av_log_format_line2(object, level, format, args, line, sizeof(line), &print_prefix);
    line[strcspn(line, "\n")] = '\0';
    if (level <= AV_LOG_ERROR)
        memcpy(complaint, line, sizeof(line));
    log_debug("ffmpeg: %s", line);
}

static int errno_from_av(int code)
{
    return code == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL;
}

/*
 * Hands the slot to libavcodec, which fills `size` bytes and clears the padding after them.
 * The slot is not ours to free, so the buffer that names it frees nothing.
 */
static void keep_slot(void *opaque, uint8_t *bytes) // NOLINT(readability-non-const-parameter)
{
    (void)opaque;
    (void)bytes;
}

static int get_packet_memory(AVCodecContext *context, AVPacket *packet, int flags)
{
    struct codec *codec = context->opaque;
    size_t bytes = (size_t)packet->size + AV_INPUT_BUFFER_PADDING_SIZE;

    (void)flags;
    if (!codec->room || bytes > codec->room->bytes_max) {
        codec->room_too_small = true;
        return AVERROR(EINVAL);
    }
    packet->buf = av_buffer_create(codec->room->bytes, bytes, keep_slot, NULL, 0);
    if (!packet->buf)
        return AVERROR(ENOMEM);
    packet->data = codec->room->bytes;
    return 0;
}

/*
 * Bits per picture, at most what a slot holds; then in the encoder's nominal time. libx264 and
 * NVENC compare these fields with their own before each picture and reconfigure themselves.
 */
static void set_rate(struct codec *codec)
{
    AVCodecContext *context = codec->context;
    int64_t slot_bits = (int64_t)codec->packet_bytes_max * 8;
    int64_t picture_bits = codec->settings.bitrate_bps / codec->settings.fps;

    if (picture_bits > slot_bits / VBV_PICTURES)
        picture_bits = slot_bits / VBV_PICTURES;
    if (picture_bits > INT32_MAX / VBV_PICTURES)
        picture_bits = INT32_MAX / VBV_PICTURES;
    context->bit_rate = picture_bits * NOMINAL_FPS;
    context->rc_max_rate = context->bit_rate;
    context->rc_buffer_size = (int)(picture_bits * VBV_PICTURES);
}

/* Threads share a picture by slices; below SLICE_PIXELS waking them costs more than it saves. */
static int slice_count(unsigned slices_max, const struct stream_settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long slices = (long)settings->width * settings->height / SLICE_PIXELS;

    if (slices > cores)
        slices = cores;
    if (slices > (long)slices_max)
        slices = (long)slices_max;
    return slices < 1 ? 1 : (int)slices;
}

static void set_picture_format(AVCodecContext *context, const struct stream_settings *settings)
{
    context->width = (int)convert_even(settings->width);
    context->height = (int)convert_even(settings->height);
    context->pix_fmt = AV_PIX_FMT_YUV420P;
    context->color_primaries = AVCOL_PRI_SMPTE170M;
    context->color_trc = AVCOL_TRC_SMPTE170M;
    context->colorspace = AVCOL_SPC_SMPTE170M;
    context->color_range = AVCOL_RANGE_MPEG;
    context->chroma_sample_location = AVCHROMA_LOC_CENTER;
    context->time_base = (AVRational){1, NOMINAL_FPS};
    context->framerate = (AVRational){NOMINAL_FPS, 1};
}

static int set_options(AVCodecContext *context, const struct h264_flavour *flavour,
                       const char *preset)
{
    int rc = av_opt_set(context->priv_data, "preset", preset, 0);

    for (const struct h264_option *option = flavour->options; rc >= 0 && option->name; option++)
        rc = av_opt_set(context->priv_data, option->name, option->value, 0);
    return rc;
}

static int open_encoder(struct codec *codec, const struct h264_flavour *flavour)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name(flavour->encoder);
    const char *preset = codec->settings.preset;

    if (!encoder) {
        snprintf(complaint, sizeof(complaint), "this FFmpeg was built without %s",
                 flavour->encoder);
        return -ENODEV;
    }
    if (!(encoder->capabilities & AV_CODEC_CAP_DR1))
        return -ENODEV;
    codec->context = avcodec_alloc_context3(encoder);
    if (!codec->context)
        return -ENOMEM;

    AVCodecContext *context = codec->context;
    context->opaque = codec;
    context->get_encode_buffer = get_packet_memory;
    set_picture_format(context, &codec->settings);
    context->gop_size = GOP_ENDLESS;
    context->max_b_frames = 0;
    context->thread_count = slice_count(flavour->slices_max, &codec->settings);
    context->thread_type = FF_THREAD_SLICE; /* frame threads would add a picture of delay each */
    set_rate(codec);
    if (!h264_has_preset(flavour, preset))
        preset = flavour->presets[0];
    int rc = set_options(context, flavour, preset);
    if (rc >= 0)
        rc = avcodec_open2(context, encoder, NULL);
    return rc < 0 ? errno_from_av(rc) : 0;
}

static int make_frame(struct codec *codec)
{
    codec->frame = av_frame_alloc();
    codec->packet = av_packet_alloc();
    if (!codec->frame || !codec->packet)
        return -ENOMEM;
    codec->frame->format = codec->context->pix_fmt;
    codec->frame->width = codec->context->width;
    codec->frame->height = codec->context->height;
    int rc = av_frame_get_buffer(codec->frame, 0);
    return rc < 0 ? errno_from_av(rc) : 0;
}

bool h264_has_preset(const struct h264_flavour *flavour, const char *preset)
{
    for (const char *const *known = flavour->presets; *known; known++) {
        if (strcmp(*known, preset) == 0)
            return true;
    }
    return false;
}

int h264_open(const struct h264_flavour *flavour, const struct codec_config *config,
              struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    av_log_set_callback(on_log);
    codec->settings = config->settings;
    codec->packet_bytes_max = config->packet_bytes_max;
    int rc = open_encoder(codec, flavour);
    if (rc == 0)
        rc = make_frame(codec);
    if (rc < 0) {
        h264_close(codec);
        return rc;
    }
    *ret_codec = codec;
    return 0;
}

void h264_close(struct codec *codec)
{
    if (!codec)
        return;
    av_packet_free(&codec->packet);
    av_frame_free(&codec->frame);
    avcodec_free_context(&codec->context);
    free(codec);
}

bool h264_adapt(struct codec *codec, const struct stream_settings *settings)
{
    if (settings->width != codec->settings.width || settings->height != codec->settings.height ||
        strcmp(settings->preset, codec->settings.preset) != 0)
        return false;
    codec->settings = *settings;
    set_rate(codec);
    return true;
}

int h264_load(struct codec *codec, const struct picture *picture)
{
    struct i420 into = {
        .width = (uint32_t)codec->frame->width,
        .height = (uint32_t)codec->frame->height,
    };

    for (unsigned plane = 0; plane < 3; plane++) {
        into.planes[plane] = codec->frame->data[plane];
        into.strides_bytes[plane] = codec->frame->linesize[plane];
    }
    return convert_to_i420(picture, &into);
}

static int code_picture(struct codec *codec, bool keyframe)
{
    codec->frame->pts = codec->pts++;
    codec->frame->pict_type = keyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    int rc = avcodec_send_frame(codec->context, codec->frame);
    return rc < 0 ? rc : avcodec_receive_packet(codec->context, codec->packet);
}

int h264_encode(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    codec->room = packet;
    codec->room_too_small = false;
    int rc = code_picture(codec, keyframe);
    codec->room = NULL;
    if (rc < 0)
        return codec->room_too_small ? -EMSGSIZE : -EIO;
    assert(codec->packet->data == packet->bytes);
    packet->size_bytes = (size_t)codec->packet->size;
    packet->keyframe = codec->packet->flags & AV_PKT_FLAG_KEY;
    packet->degraded = false;
    av_packet_unref(codec->packet);
    return 0;
}
