/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Home of libavcodec. Owns the encoder and one packet whose bytes are the caller's slot; on the
 * stage's thread. Encoding happens inside avcodec_send_frame, which calls get_packet_memory() for
 * the room. If that room is too small or the encoder fails, the picture is lost and the next one
 * has to be an IDR.
 *
 * Rate control counts pictures, not seconds: an encoder is told one nominal rate at open, and a
 * picture's share of the bitrate is what adapt changes. So fps may change while running, too.
 */
#include "encoder/lavc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/hwcontext.h>
#include <libavutil/opt.h>

#include "base/log.h"
#include "encoder/convert.h"

#define NOMINAL_FPS 30
#define GOP_ENDLESS 1000000
#define INTRA_REFRESH_PICTURES 60 /* after so many, every column was renewed */
#define SLICE_PIXELS 400000
#define LINE_BYTES 384

/* Types of NAL units: H.264 table 7-1, H.265 table 7-1. */
#define H264_IDR 5
#define HEVC_FIRST_IRAP 16
#define HEVC_LAST_SLICE 31

/* One failure often has two lines: what failed, and what that means. */
static void complain_also(const char *line)
{
    char before[LINE_BYTES];

    snprintf(before, sizeof(before), "%s", codec_complaint());
    codec_complain("%s%s%s", before, *before ? "; " : "", line);
}

/*
 * FFmpeg's own words go to our log at debug level; its errors are also kept for the caller. It
 * sometimes says a line in several calls.
 */
static void on_log(void *object, int level, const char *format, va_list args)
{
    static _Thread_local char line[LINE_BYTES];
    static _Thread_local size_t length;
    int print_prefix = 0; /* an address */

    if (level > AV_LOG_INFO)
        return;
    av_log_format_line2(object, level, format, args, line + length, (int)(sizeof(line) - length),
                        &print_prefix);
    length = strlen(line);
    if (!strchr(line, '\n') && length < sizeof(line) - 1)
        return;
    line[strcspn(line, "\n")] = '\0';
    if (level <= AV_LOG_ERROR && line[0] != '\0')
        complain_also(line);
    log_debug("ffmpeg: %s", line);
    length = 0;
}

void lavc_listen(void)
{
    av_log_set_callback(on_log);
    codec_complain("%s", "");
}

int lavc_errno(int code)
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
    struct lavc *lavc = context->opaque;
    size_t bytes = (size_t)packet->size + AV_INPUT_BUFFER_PADDING_SIZE;

    (void)flags;
    if (!lavc->room || bytes > lavc->room->bytes_max) {
        lavc->room_too_small = true;
        return AVERROR(EINVAL);
    }
    packet->buf = av_buffer_create(lavc->room->bytes, bytes, keep_slot, NULL, 0);
    if (!packet->buf)
        return AVERROR(ENOMEM);
    packet->data = lavc->room->bytes;
    return 0;
}

/* With an intra refresh all pictures are alike, so that one need not take more than another. */
static unsigned vbv_pictures(const struct lavc *lavc)
{
    if (lavc->config.vbv_pictures > 0)
        return lavc->config.vbv_pictures;
    return lavc->config.intra_refresh ? 1 : lavc->flavour->vbv_pictures;
}

/* At most what a slot holds. */
int64_t lavc_picture_bits(const struct lavc *lavc, const struct stream_settings *settings)
{
    int64_t largest = vbv_pictures(lavc);
    int64_t slot_bits = (int64_t)lavc->config.packet_bytes_max * 8;
    int64_t picture_bits = settings->bitrate_bps / settings->fps;

    if (picture_bits > slot_bits / largest)
        picture_bits = slot_bits / largest;
    if (picture_bits > INT32_MAX / largest)
        picture_bits = INT32_MAX / largest;
    return picture_bits;
}

/*
 * In the encoder's nominal time. libx264 and NVENC compare these fields with their own before each
 * picture and reconfigure themselves.
 */
static void set_rate(struct lavc *lavc)
{
    AVCodecContext *context = lavc->context;
    int64_t picture_bits = lavc_picture_bits(lavc, &lavc->config.settings);

    context->bit_rate = picture_bits * NOMINAL_FPS;
    context->rc_max_rate = context->bit_rate;
    context->rc_buffer_size = (int)(picture_bits * vbv_pictures(lavc));
    lavc->rate_is_new = true;
    lavc->rate_is_held = picture_bits * lavc->config.settings.fps * 10 <
                         (int64_t)lavc->config.settings.bitrate_bps * 9;
}

/* Threads share a picture by slices; below SLICE_PIXELS waking them costs more than it saves. */
static int slice_count(unsigned slices_max, const struct codec_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long slices = (long)config->settings.width * config->settings.height / SLICE_PIXELS;

    if (slices > cores)
        slices = cores;
    if (config->h264_threads > 0)
        slices = (long)config->h264_threads;
    if (slices > (long)slices_max)
        slices = (long)slices_max;
    return slices < 1 ? 1 : (int)slices;
}

static int set_picture_format(AVCodecContext *context, const struct stream_settings *settings,
                              AVBufferRef *hw_frames)
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
    if (!hw_frames)
        return 0;
    context->pix_fmt = ((AVHWFramesContext *)hw_frames->data)->format;
    context->hw_frames_ctx = av_buffer_ref(hw_frames);
    return context->hw_frames_ctx ? 0 : -ENOMEM;
}

static int set_options(struct lavc *lavc)
{
    void *options = lavc->context->priv_data;
    const char *preset = lavc->config.settings.preset;

    if (!lavc_has_preset(lavc->flavour, preset))
        preset = lavc->flavour->presets[0];
    int rc = av_opt_set(options, "preset", preset, 0);
    for (const struct lavc_option *option = lavc->flavour->options; rc >= 0 && option->name;
         option++)
        rc = av_opt_set(options, option->name, option->value, 0);
    if (rc >= 0 && lavc->config.intra_refresh)
        rc = av_opt_set(options, "intra-refresh", "1", 0);
    return rc;
}

static int open_encoder(struct lavc *lavc, const AVCodec *encoder, AVBufferRef *hw_frames)
{
    AVCodecContext *context = avcodec_alloc_context3(encoder);

    lavc->context = context;
    lavc->packet = av_packet_alloc();
    if (!context || !lavc->packet)
        return -ENOMEM;
    context->opaque = lavc;
    context->get_encode_buffer = get_packet_memory;
    context->gop_size = lavc->config.intra_refresh ? INTRA_REFRESH_PICTURES : GOP_ENDLESS;
    context->max_b_frames = 0;
    context->thread_count = slice_count(lavc->flavour->slices_max, &lavc->config);
    context->thread_type = FF_THREAD_SLICE; /* frame threads would add a picture of delay each */
    set_rate(lavc);
    int rc = set_picture_format(context, &lavc->config.settings, hw_frames);
    if (rc < 0)
        return rc;
    rc = set_options(lavc);
    if (rc >= 0)
        rc = avcodec_open2(context, encoder, NULL);
    return rc < 0 ? lavc_errno(rc) : 0;
}

bool lavc_has_preset(const struct lavc_flavour *flavour, const char *preset)
{
    for (const char *const *known = flavour->presets; *known; known++) {
        if (strcmp(*known, preset) == 0)
            return true;
    }
    return false;
}

int lavc_open(struct lavc *lavc, const struct lavc_flavour *flavour,
              const struct codec_config *config, struct AVBufferRef *hw_frames)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name(flavour->encoder);

    lavc_listen();
    *lavc = (struct lavc){.flavour = flavour, .config = *config};
    lavc->config.like = NULL;
    if (!encoder || !(encoder->capabilities & AV_CODEC_CAP_DR1)) {
        codec_complain("this FFmpeg was built without %s", flavour->encoder);
        return -ENODEV;
    }
    return open_encoder(lavc, encoder, hw_frames);
}

void lavc_close(struct lavc *lavc)
{
    av_packet_free(&lavc->packet);
    avcodec_free_context(&lavc->context);
}

bool lavc_adapt(struct lavc *lavc, const struct stream_settings *settings)
{
    const struct stream_settings *now = &lavc->config.settings;

    if (settings->width != now->width || settings->height != now->height ||
        strcmp(settings->preset, now->preset) != 0)
        return false;
    lavc->config.settings = *settings;
    set_rate(lavc);
    return true;
}

/*
 * Whether the access unit begins with a picture of its own: an encoder calls one a keyframe, too,
 * at which an intra refresh begins. Only the first slice is looked for, behind a few small units.
 */
static bool is_idr(const struct lavc *lavc, const uint8_t *bytes, size_t size)
{
    bool hevc = lavc->context->codec_id == AV_CODEC_ID_HEVC;

    for (size_t i = 0; i + 3 < size; i++) {
        if (bytes[i] != 0 || bytes[i + 1] != 0 || bytes[i + 2] != 1)
            continue;
        unsigned type = hevc ? bytes[i + 3] >> 1 & 0x3f : bytes[i + 3] & 0x1f;
        if (hevc ? type <= HEVC_LAST_SLICE : type >= 1 && type <= H264_IDR)
            return hevc ? type >= HEVC_FIRST_IRAP : type == H264_IDR;
    }
    return false;
}

static int code_picture(struct lavc *lavc, AVFrame *frame, bool keyframe)
{
    frame->pts = lavc->pts++;
    frame->pict_type = keyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    int rc = avcodec_send_frame(lavc->context, frame);
    return rc < 0 ? rc : avcodec_receive_packet(lavc->context, lavc->packet);
}

int lavc_encode(struct lavc *lavc, struct AVFrame *frame, bool keyframe,
                struct codec_packet *packet, bool *ret_rate_refused)
{
    lavc->room = packet;
    lavc->room_too_small = false;
    codec_complain("%s", "");
    int rc = code_picture(lavc, frame, keyframe);
    lavc->room = NULL;
    if (rc < 0)
        return lavc->room_too_small ? -EMSGSIZE : -EIO;
    assert(lavc->packet->data == packet->bytes);
    packet->size_bytes = (size_t)lavc->packet->size;
    packet->keyframe = is_idr(lavc, packet->bytes, packet->size_bytes);
    packet->degraded = lavc->rate_is_held;
    av_packet_unref(lavc->packet);
    /* libavcodec tells nobody but its log. */
    *ret_rate_refused = lavc->rate_is_new && strstr(codec_complaint(), "reconfigure");
    lavc->rate_is_new = false;
    return 0;
}
