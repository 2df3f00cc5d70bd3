/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's encoder, H.264 and HEVC. The processor copies no pixel: pictures of the host go to the
 * GPU by an asynchronous copy on the encoder's own stream, pictures of the GPU are encoded where
 * they lie. A kernel helps where the encoder does not take a layout (RGB24, grey, full-range NV12)
 * or its rows (bottom-up); it needs none for RGBA, RGBX, BGRA and NV12.
 *
 * Owns a GPU's context and stream, one surface that pictures are brought to, and the encoder,
 * which is opened anew when the layout of the pictures or their stride on the GPU changes, when it
 * refuses a new rate, and after a packet that did not fit. A new one begins with an IDR by itself.
 * Where there is no driver, no device or no engine (data-centre GPUs have none), open says -ENODEV
 * and codec_complaint() why. A GPU that is lost gives -EIO.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libavutil's header asks for cuda.h, of which it needs two names. */
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
#define CUDA_VERSION 11040

#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>

#include "encoder/convert.h"
#include "encoder/cuda.h"
#include "encoder/lavc.h"
#include "proto/pixel.h"

#define LIBRARY "libnvidia-encode.so.1" /* that FFmpeg loads */
#define DIRECT_ALIGNMENT 16             /* bytes, of rows that the engine reads where they lie */
#define RATE_STEPS 8                    /* a rate that differs by less than an eighth is left */

static const struct lavc_option options[] = {
    {"tune", "ull"},     {"rc", "cbr"},        {"zerolatency", "1"},
    {"delay", "0"},      {"surfaces", "1"}, /* with delay 0: or it lags two pictures behind */
    {"forced-idr", "1"}, {"no-scenecut", "1"}, {NULL, NULL},
};

static const char *const presets[] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", NULL};

static const struct lavc_flavour h264 = {
    .encoder = "h264_nvenc",
    .options = options,
    .presets = presets,
    .slices_max = 1,
    .vbv_pictures = 1,
};

static const struct lavc_flavour hevc = {
    .encoder = "hevc_nvenc",
    .options = options,
    .presets = presets,
    .slices_max = 1,
    .vbv_pictures = 1,
};

/* What an encoder was opened for; another needs another. */
struct shape {
    enum AVPixelFormat layout;
    ptrdiff_t direct_stride; /* of pictures encoded where they lie; 0: none came yet */
};

struct codec {
    const struct lavc_flavour *flavour;
    struct codec_config config; /* `like` is gone; settings as adapted since */
    struct cuda cuda;
    AVBufferRef *device; /* `cuda` as FFmpeg sees it */
    AVBufferRef *pool;
    struct lavc lavc;
    struct shape shape;
    AVFrame *surface; /* that pictures are brought to */
    AVFrame *direct;  /* a picture where it lies; empty unless one is loaded */
    AVFrame *loaded;  /* one of the two */
    bool is_spent;    /* refused a new rate or lost a packet: it must be opened anew */
};

/* ---- opening ------------------------------------------------------------------------------- */

static int share_context(struct codec *codec)
{
    codec->device = av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA);
    if (!codec->device)
        return -ENOMEM;
    AVCUDADeviceContext *shared = ((AVHWDeviceContext *)codec->device->data)->hwctx;
    shared->cuda_ctx = (CUcontext)codec->cuda.device.context;
    shared->stream = (CUstream)codec->cuda.stream;
    int rc = av_hwdevice_ctx_init(codec->device);
    return rc < 0 ? lavc_errno(rc) : 0;
}

static int make_surface(struct codec *codec)
{
    codec->pool = av_hwframe_ctx_alloc(codec->device);
    codec->surface = av_frame_alloc();
    if (!codec->pool || !codec->surface)
        return -ENOMEM;
    AVHWFramesContext *pool = (AVHWFramesContext *)codec->pool->data;
    pool->format = AV_PIX_FMT_CUDA;
    pool->sw_format = codec->shape.layout;
    pool->width = (int)convert_even(codec->config.settings.width);
    pool->height = (int)convert_even(codec->config.settings.height);
    int rc = av_hwframe_ctx_init(codec->pool);
    if (rc >= 0)
        rc = av_hwframe_get_buffer(codec->pool, codec->surface, 0);
    return rc < 0 ? lavc_errno(rc) : 0;
}

static void close_encoder(struct codec *codec)
{
    codec->loaded = NULL;
    if (codec->direct)
        av_frame_unref(codec->direct);
    lavc_close(&codec->lavc);
    av_frame_free(&codec->surface);
    av_buffer_unref(&codec->pool);
}

static int open_encoder(struct codec *codec)
{
    int rc = make_surface(codec);

    if (rc == 0)
        rc = lavc_open(&codec->lavc, codec->flavour, &codec->config, codec->pool);
    codec->is_spent = false;
    return rc;
}

/* RGB0 is what the kernels write, and what every layout can be brought to. */
static enum AVPixelFormat layout_for(const struct picture *picture)
{
    if (!picture)
        return AV_PIX_FMT_RGB0;
    if (picture->fourcc == PIXEL_NV12 && picture->limited_range)
        return AV_PIX_FMT_NV12;
    return picture->fourcc == PIXEL_BGRA && picture->stride_bytes > 0 ? AV_PIX_FMT_BGR0
                                                                      : AV_PIX_FMT_RGB0;
}

static void close_nvenc(struct codec *codec)
{
    if (!codec)
        return;
    close_encoder(codec);
    av_frame_free(&codec->direct);
    av_buffer_unref(&codec->device);
    cuda_close(&codec->cuda);
    free(codec);
}

static int open_codec(struct codec *codec, const struct picture *like)
{
    int ordinal = like && like->memory == RING_MEMORY_CUDA ? like->cuda_device : 0;

    lavc_listen();
    int rc = cuda_open(ordinal, &codec->cuda);

    if (rc < 0) {
        codec_complain("%s", cuda_driver_reason());
        return rc;
    }
    codec->direct = av_frame_alloc();
    codec->shape.layout = layout_for(like);
    rc = codec->direct ? share_context(codec) : -ENOMEM;
    return rc < 0 ? rc : open_encoder(codec);
}

static int open_nvenc(const struct lavc_flavour *flavour, const struct codec_config *config,
                      struct codec **ret_codec)
{
    struct codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return -ENOMEM;
    codec->flavour = flavour;
    codec->config = *config;
    codec->config.like = NULL;
    int rc = open_codec(codec, config->like);
    if (rc < 0) {
        if (strstr(codec_complaint(), "Cannot load " LIBRARY))
            codec_complain(LIBRARY " cannot be loaded: install that of the NVIDIA driver, or give "
                                   "the container NVIDIA_DRIVER_CAPABILITIES=video");
        close_nvenc(codec);
        return -ENODEV; /* also when the GPU's memory or sessions are used up: another encodes */
    }
    *ret_codec = codec;
    return 0;
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Whether the engine takes the bytes as they are, once they lie in rows that it can read. */
static bool is_plain(const struct picture *picture)
{
    if (picture->stride_bytes < 0)
        return false;
    return picture->fourcc == PIXEL_NV12 ? picture->limited_range
                                         : pixel_bytes(picture->fourcc) == 4;
}

/* Whether it reads them where they lie: NV12 has its chroma rows right behind the luma rows. */
static bool is_direct(const struct picture *picture)
{
    return picture->memory == RING_MEMORY_CUDA && is_plain(picture) &&
           picture->stride_bytes % DIRECT_ALIGNMENT == 0 &&
           (uintptr_t)picture->top % DIRECT_ALIGNMENT == 0 &&
           (picture->fourcc != PIXEL_NV12 || picture->height % 2 == 0);
}

static void free_nothing(void *opaque, uint8_t *bytes) // NOLINT(readability-non-const-parameter)
{
    (void)opaque;
    (void)bytes;
}

static int load_direct(struct codec *codec, const struct picture *picture)
{
    AVFrame *frame = codec->direct;

    av_frame_unref(frame);
    frame->format = AV_PIX_FMT_CUDA;
    frame->width = codec->surface->width;
    frame->height = codec->surface->height;
    frame->data[0] = (uint8_t *)(uintptr_t)picture->top;
    frame->linesize[0] = (int)picture->stride_bytes;
    if (picture->fourcc == PIXEL_NV12) {
        frame->data[1] = (uint8_t *)(uintptr_t)picture->chroma_top;
        frame->linesize[1] = (int)picture->chroma_stride_bytes;
    }
    frame->buf[0] = av_buffer_create(frame->data[0], 1, free_nothing, NULL, 0);
    frame->hw_frames_ctx = av_buffer_ref(codec->pool);
    if (!frame->buf[0] || !frame->hw_frames_ctx)
        return -ENOMEM;
    codec->loaded = frame;
    return 0;
}

static struct cuda_plane surface_plane(const struct codec *codec, unsigned plane)
{
    return (struct cuda_plane){(uint64_t)(uintptr_t)codec->surface->data[plane],
                               codec->surface->linesize[plane]};
}

static int copy_plane(const struct codec *codec, const struct picture *picture, unsigned plane)
{
    unsigned pixel = plane == 0 ? pixel_bytes(picture->fourcc) : 1;
    struct cuda_plane into = surface_plane(codec, plane);
    struct cuda_copy copy = {
        .from_memory = picture->memory,
        .from = plane == 0 ? picture->top : picture->chroma_top,
        .from_stride_bytes =
            (size_t)(plane == 0 ? picture->stride_bytes : picture->chroma_stride_bytes),
        .into = into.address,
        .into_stride_bytes = (size_t)into.stride_bytes,
        .width_bytes = (size_t)codec->surface->width * pixel,
        .rows = (size_t)codec->surface->height >> plane,
    };

    return cuda_copy(&codec->cuda, &copy);
}

static int copy_planes(const struct codec *codec, const struct picture *picture)
{
    int rc = copy_plane(codec, picture, 0);

    return rc == 0 && picture->fourcc == PIXEL_NV12 ? copy_plane(codec, picture, 1) : rc;
}

/* NV12 of limited range whose rows come from the bottom. */
static int turn_planes(const struct codec *codec, const struct picture *picture)
{
    struct cuda_rows_job job = {
        .from = {(uint64_t)(uintptr_t)picture->top, picture->stride_bytes},
        .into = surface_plane(codec, 0),
        .width_bytes = (uint32_t)codec->surface->width,
        .height = (uint32_t)codec->surface->height,
    };
    int rc = cuda_rows(&codec->cuda, &job);

    if (rc < 0)
        return rc;
    job.from =
        (struct cuda_plane){(uint64_t)(uintptr_t)picture->chroma_top, picture->chroma_stride_bytes};
    job.into = surface_plane(codec, 1);
    job.height /= 2;
    return cuda_rows(&codec->cuda, &job);
}

static int convert(struct codec *codec, const struct picture *picture)
{
    struct picture brought;
    uint32_t size[] = {(uint32_t)codec->surface->width, (uint32_t)codec->surface->height};
    int rc = cuda_bring(&codec->cuda, picture, &brought);

    if (rc < 0)
        return rc;
    if (codec->shape.layout == AV_PIX_FMT_NV12)
        return turn_planes(codec, &brought);
    return cuda_to_rgb(&codec->cuda, &brought, surface_plane(codec, 0), size, 4);
}

static int load_surface(struct codec *codec, const struct picture *picture)
{
    int rc = cuda_enter(&codec->cuda);

    if (rc < 0)
        return rc;
    rc = is_plain(picture) ? copy_planes(codec, picture) : convert(codec, picture);
    if (rc < 0)
        cuda_wait(&codec->cuda);
    cuda_leave(&codec->cuda);
    codec->loaded = rc < 0 ? NULL : codec->surface;
    return rc;
}

/* FFmpeg remembers a picture on the GPU by its address alone, with the stride that it had first. */
static int prepare(struct codec *codec, const struct picture *picture)
{
    struct shape shape = {
        .layout = layout_for(picture),
        .direct_stride = is_direct(picture) ? picture->stride_bytes : codec->shape.direct_stride,
    };
    bool same_stride =
        codec->shape.direct_stride == 0 || shape.direct_stride == codec->shape.direct_stride;
    bool same = shape.layout == codec->shape.layout && same_stride && !codec->is_spent;

    codec->shape = shape;
    if (same)
        return 0;
    close_encoder(codec);
    return open_encoder(codec);
}

static int load(struct codec *codec, const struct picture *picture)
{
    if (!cuda_knows_layout(picture->fourcc) ||
        (picture->memory == RING_MEMORY_CUDA && picture->cuda_device != codec->cuda.device.ordinal))
        return -EPROTONOSUPPORT;
    int rc = prepare(codec, picture);
    if (rc == 0)
        rc = is_direct(picture) ? load_direct(codec, picture) : load_surface(codec, picture);
    if (rc < 0 && *cuda_driver_reason())
        codec_complain("%s", cuda_driver_reason());
    return rc < 0 ? -EIO : 0;
}

/* ---- the rest ------------------------------------------------------------------------------ */

/* Small changes would cost more than they bring: FFmpeg makes an IDR of each. */
static bool adapt(struct codec *codec, const struct stream_settings *settings)
{
    struct stream_settings wish = *settings;
    int64_t now = lavc_picture_bits(&codec->lavc, &codec->lavc.config.settings);
    int64_t next = lavc_picture_bits(&codec->lavc, settings);

    if (llabs(next - now) < now / RATE_STEPS) {
        wish.bitrate_bps = codec->lavc.config.settings.bitrate_bps;
        wish.fps = codec->lavc.config.settings.fps;
    }
    if (!lavc_adapt(&codec->lavc, &wish))
        return false;
    codec->config.settings = wish;
    return true;
}

static int encode(struct codec *codec, bool keyframe, struct codec_packet *packet)
{
    if (!codec->loaded)
        return -EIO;
    int rc = lavc_encode(&codec->lavc, codec->loaded, keyframe, packet, &codec->is_spent);
    codec->loaded = NULL;
    av_frame_unref(codec->direct);
    if (rc == 0)
        return 0;
    codec->is_spent = true; /* FFmpeg never gives its one surface back after such an error */
    if (cuda_enter(&codec->cuda) == 0) {
        cuda_wait(&codec->cuda); /* a packet would have told that the copy is done */
        cuda_leave(&codec->cuda);
    }
    return rc;
}

static bool has_preset(const char *preset)
{
    return lavc_has_preset(&h264, preset);
}

static int open_h264(const struct codec_config *config, struct codec **ret_codec)
{
    return open_nvenc(&h264, config, ret_codec);
}

static int open_hevc(const struct codec_config *config, struct codec **ret_codec)
{
    return open_nvenc(&hevc, config, ret_codec);
}

const struct codec_backend codec_nvenc = {
    .name = "h264_nvenc",
    .codec = VIDEO_CODEC_H264,
    .borrows_picture = true,
    .takes_cuda = true,
    .has_preset = has_preset,
    .open = open_h264,
    .adapt = adapt,
    .load = load,
    .encode = encode,
    .close = close_nvenc,
};

const struct codec_backend codec_nvenc_hevc = {
    .name = "hevc_nvenc",
    .codec = VIDEO_CODEC_HEVC,
    .borrows_picture = true,
    .takes_cuda = true,
    .has_preset = has_preset,
    .open = open_hevc,
    .adapt = adapt,
    .load = load,
    .encode = encode,
    .close = close_nvenc,
};
