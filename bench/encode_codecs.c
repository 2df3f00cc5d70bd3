/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs and converters without any process around them. All contenders of a contest do picture
 * n before one of them does picture n + 1, each first as often as last, so what the machine does
 * meanwhile happens to all of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/encode_probes.h"
#include "bench/statistics.h"
#include "encoder/codec.h"
#include "encoder/convert.h"
#include "proto/pixel.h"

#define TURNS STATISTICS_VALUES_MAX
#define TURNS_BRIEF 24
#define WARM_UP 4
#define PACKET_BYTES_PER_PIXEL 6 /* tjBufSize's worst case, and more than ours */

struct contender {
    int (*once)(const struct contender *contender, const struct picture *picture);
    void *handle;
    uint32_t fourcc; /* what it is fed */
    uint8_t *into;
    double times_ns[TURNS];
};

static struct picture picture_of(const struct scene *scene, uint32_t fourcc, unsigned n)
{
    size_t at = (size_t)scene_picture(scene, n) * scene->picture_pixels;
    ptrdiff_t stride = (ptrdiff_t)scene->width * pixel_bytes(fourcc);
    struct picture picture = {.fourcc = fourcc, .width = scene->width, .height = scene->height};
    const uint8_t *first = fourcc == PIXEL_RGB24  ? scene->rgb24 + 3 * at
                           : fourcc == PIXEL_RGBA ? scene->rgba + 4 * at
                                                  : scene->nv12 + at * 3 / 2;

    picture.top = first + (ptrdiff_t)(scene->height - 1) * stride;
    picture.stride_bytes = -stride;
    if (fourcc == PIXEL_NV12) {
        picture.chroma_top = first + (scene->height * 3 / 2 - 1) * stride;
        picture.chroma_stride_bytes = -stride;
    }
    return picture;
}

static int run_contest(const struct scene *scene, struct contender *contenders, unsigned count,
                       unsigned turns)
{
    for (unsigned n = 0; n < turns + WARM_UP; n++) {
        for (unsigned i = 0; i < count; i++) {
            struct contender *contender = &contenders[(n + i) % count];
            struct picture picture = picture_of(scene, contender->fourcc, n);
            int64_t began_ns = clock_now_ns();
            int error = contender->once(contender, &picture);
            if (error < 0)
                return error;
            if (n >= WARM_UP)
                contender->times_ns[n - WARM_UP] = (double)(clock_now_ns() - began_ns);
        }
    }
    return 0;
}

/* ---- JPEG ---------------------------------------------------------------------------------- */

static int jpeg_once(const struct contender *contender, const struct picture *picture)
{
    struct codec_packet packet = {
        .bytes = contender->into,
        .bytes_max = (size_t)picture->width * picture->height * PACKET_BYTES_PER_PIXEL,
    };
    int error = codec_jpeg.load(contender->handle, picture);

    return error < 0 ? error : codec_jpeg.encode(contender->handle, false, &packet);
}

/* The handle is the compressor; tjCompress2 takes the rows by a flag, so it needs the first. */
static int turbojpeg_once(const struct contender *contender, const struct picture *picture)
{
    struct scene size = {.width = picture->width, .height = picture->height};
    const uint8_t *first = picture->top + (ptrdiff_t)(picture->height - 1) * picture->stride_bytes;

    return yardstick_turbojpeg_encode(contender->handle, &size, first, ENCODE_JPEG_QUALITY,
                                      contender->into);
}

static struct codec *open_jpeg(const struct scene *scene, unsigned threads)
{
    struct codec_config config = {
        .settings = {.codec = VIDEO_CODEC_JPEG,
                     .jpeg_quality = ENCODE_JPEG_QUALITY,
                     .width = scene->width,
                     .height = scene->height},
        .packet_bytes_max = scene->picture_pixels * PACKET_BYTES_PER_PIXEL,
        .jpeg_threads = threads,
    };
    struct codec *codec;

    return codec_jpeg.open(&config, &codec) < 0 ? NULL : codec;
}

int encode_jpeg(bool brief, struct encode_jpeg_times *ret_times)
{
    static const uint32_t layouts[] = {PIXEL_RGB24, PIXEL_RGBA, PIXEL_NV12, PIXEL_RGB24};
    static struct contender contenders[4];
    unsigned turns = brief ? TURNS_BRIEF : TURNS;
    bool turbojpeg = !yardstick_turbojpeg_missing();
    unsigned count = turbojpeg ? 4 : 3;
    const struct scene *scene;
    int error = scene_720p(&scene);

    if (error < 0)
        return error;
    uint8_t *into = malloc(scene->picture_pixels * PACKET_BYTES_PER_PIXEL);
    error = into ? 0 : -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        contenders[i] = (struct contender){jpeg_once, NULL, layouts[i], into, {0}};
        contenders[i].handle = i < 3 ? (void *)open_jpeg(scene, 1) : yardstick_turbojpeg_open();
        if (!contenders[i].handle)
            error = -ENOMEM;
    }
    contenders[3].once = turbojpeg_once;
    if (error == 0)
        error = run_contest(scene, contenders, count, turns);
    for (unsigned i = 0; i < 3; i++)
        codec_jpeg.close(contenders[i].handle);
    yardstick_turbojpeg_close(contenders[3].handle);
    free(into);
    *ret_times = (struct encode_jpeg_times){
        .rgb24 = statistics_median(contenders[0].times_ns, turns),
        .rgba = statistics_median(contenders[1].times_ns, turns),
        .nv12 = statistics_median(contenders[2].times_ns, turns),
        .turbojpeg = turbojpeg ? statistics_median(contenders[3].times_ns, turns) : 0,
    };
    return error;
}

int encode_jpeg_stripes(bool brief, double *ret_two_ns, double *ret_one_ns)
{
    static struct contender contenders[2];
    unsigned turns = brief ? TURNS_BRIEF : TURNS;
    const struct scene *scene;
    int error = scene_1080p(&scene);

    if (error < 0)
        return error;
    uint8_t *into = malloc(scene->picture_pixels * PACKET_BYTES_PER_PIXEL);
    struct codec *two = open_jpeg(scene, 2);
    struct codec *one = open_jpeg(scene, 1);
    contenders[0] = (struct contender){jpeg_once, two, PIXEL_RGB24, into, {0}};
    contenders[1] = (struct contender){jpeg_once, one, PIXEL_RGB24, into, {0}};
    error = into && two && one ? run_contest(scene, contenders, 2, turns) : -ENOMEM;
    codec_jpeg.close(two);
    codec_jpeg.close(one);
    free(into);
    *ret_two_ns = statistics_median(contenders[0].times_ns, turns);
    *ret_one_ns = statistics_median(contenders[1].times_ns, turns);
    return error;
}

/* ---- on a GPU ------------------------------------------------------------------------------ */

struct gpu_codec {
    const struct codec_backend *backend;
    struct codec *codec;
};

static int gpu_once(const struct contender *contender, const struct picture *picture)
{
    const struct gpu_codec *gpu = contender->handle;
    struct codec_packet packet = {
        .bytes = contender->into,
        .bytes_max = (size_t)picture->width * picture->height * PACKET_BYTES_PER_PIXEL,
    };
    int error = gpu->backend->load(gpu->codec, picture);

    return error < 0 ? error : gpu->backend->encode(gpu->codec, false, &packet);
}

static int encode_on_gpu(const struct codec_backend *backend, const struct scene *scene,
                         unsigned turns, double *ret_ns)
{
    static struct contender contender;
    struct picture like = picture_of(scene, PIXEL_RGBA, 0);
    struct gpu_codec gpu = {.backend = backend};
    struct codec_config config = {
        .settings = {.codec = backend->codec,
                     .jpeg_quality = ENCODE_JPEG_QUALITY,
                     .bitrate_bps = 4000000,
                     .preset = "p1",
                     .fps = 60,
                     .width = scene->width,
                     .height = scene->height},
        .packet_bytes_max = scene->picture_pixels * PACKET_BYTES_PER_PIXEL,
        .like = &like,
    };
    int error = backend->open(&config, &gpu.codec);

    if (error < 0)
        return error;
    contender = (struct contender){gpu_once, &gpu, PIXEL_RGBA, NULL, {0}};
    contender.into = malloc(config.packet_bytes_max);
    error = contender.into ? run_contest(scene, &contender, 1, turns) : -ENOMEM;
    backend->close(gpu.codec);
    free(contender.into);
    *ret_ns = statistics_median(contender.times_ns, turns);
    return error;
}

int encode_nvenc(bool brief, double *ret_ns)
{
    const struct scene *scene;
    int error = scene_720p(&scene);

    return error < 0 ? error
                     : encode_on_gpu(&codec_nvenc, scene, brief ? TURNS_BRIEF : TURNS, ret_ns);
}

int encode_nvjpeg(bool brief, double *ret_ns)
{
    const struct scene *scene;
    int error = scene_1080p(&scene);

    return error < 0 ? error
                     : encode_on_gpu(&codec_nvjpeg, scene, brief ? TURNS_BRIEF : TURNS, ret_ns);
}

/* ---- conversion ---------------------------------------------------------------------------- */

static int convert_once(const struct contender *contender, const struct picture *picture)
{
    size_t luma = (size_t)picture->width * picture->height;
    int stride = (int)picture->width;
    struct i420 into = {
        .planes = {contender->into, contender->into + luma, contender->into + luma + luma / 4},
        .strides_bytes = {stride, stride / 2, stride / 2},
        .width = picture->width,
        .height = picture->height,
    };

    return convert_to_i420(picture, &into);
}

static int swscale_once(const struct contender *contender, const struct picture *picture)
{
    yardstick_swscale_convert(
        contender->handle, picture->top + (ptrdiff_t)(picture->height - 1) * picture->stride_bytes,
        contender->into);
    return 0;
}

int encode_convert(bool brief, double *ret_ours_ns, double *ret_swscale_ns)
{
    static struct contender contenders[2];
    unsigned turns = brief ? TURNS_BRIEF : TURNS;
    const struct scene *scene;
    int error = scene_720p(&scene);

    if (error < 0)
        return error;
    uint8_t *into = malloc(scene->picture_pixels * 2);
    struct yardstick_swscale *swscale = yardstick_swscale_open(scene);
    contenders[0] = (struct contender){convert_once, NULL, PIXEL_RGB24, into, {0}};
    contenders[1] = (struct contender){swscale_once, swscale, PIXEL_RGB24, into, {0}};
    error = into && swscale ? run_contest(scene, contenders, 2, turns) : -ENOMEM;
    yardstick_swscale_close(swscale);
    free(into);
    *ret_ours_ns = statistics_median(contenders[0].times_ns, turns);
    *ret_swscale_ns = statistics_median(contenders[1].times_ns, turns);
    return error;
}
