/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `encode`: robot pictures to JPEG and H.264, against what else could do it, and what the
 * encoder costs when nobody watches. Runs in the harness; what it starts, it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/cases.h"
#include "bench/encode_probes.h"
#include "bench/program.h"
#include "encoder/codec.h"

#define FPS 60
#define PICTURES 240
#define PICTURES_BRIEF 90
#define WARM_UP 30
#define COUNTER_MS 20000

enum figure {
    JPEG_RGB24 = 1,
    JPEG_RGBA,
    JPEG_NV12,
    TURBOJPEG,
    JPEG_TWO,
    JPEG_ONE,
    CONVERT,
    SWSCALE,
    H264,
    H264_CPU,
    FFMPEG,
    FFMPEG_CPU,
    PYAV,
    COPIED_JPEG,
    COPIED_NVENC,
    NVENC,
    NVJPEG,
    IDLE,
    FIRST_PACKET,
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [JPEG_RGB24] = "JPEG of RGB24, 720p",
    [JPEG_RGBA] = "JPEG of RGBA, 720p",
    [JPEG_NV12] = "JPEG of NV12, 720p",
    [TURBOJPEG] = "tjCompress2 of RGB24 alone, 720p",
    [JPEG_TWO] = "JPEG of RGB24 in two stripes, 1080p",
    [JPEG_ONE] = "JPEG of RGB24 by one thread, 1080p",
    [CONVERT] = "RGB24 to 4:2:0, 720p",
    [SWSCALE] = "the same with swscale",
    [H264] = "simcast-encoder, frame to packet, 720p at 60 Hz",
    [H264_CPU] = "its processor time per picture",
    [FFMPEG] = "ffmpeg through pipes, 720p at 60 Hz",
    [FFMPEG_CPU] = "its processor time per picture",
    [PYAV] = "PyAV, array to bytes, 720p at 60 Hz",
    [COPIED_JPEG] = "raw bytes copied for a JPEG",
    [COPIED_NVENC] = "raw bytes copied for NVENC",
    [NVENC] = "H.264 720p by NVENC, from RGBA in ordinary memory",
    [NVJPEG] = "JPEG 1080p by nvJPEG, from RGBA in ordinary memory",
    [IDLE] = "simcast-encoder while nobody watches",
    [FIRST_PACKET] = "first viewer to first packet",
};

/* ---- probes -------------------------------------------------------------------------------- */

static int measure_jpeg(struct bench_round *round)
{
    struct encode_jpeg_times times;
    const char *missing = yardstick_turbojpeg_missing();
    int error = encode_jpeg(round->brief, &times);

    if (error < 0)
        return error;
    bench_number(round, JPEG_RGB24, times.rgb24);
    bench_number(round, JPEG_RGBA, times.rgba);
    bench_number(round, JPEG_NV12, times.nv12);
    if (missing)
        bench_skip(round, TURBOJPEG, "%s", missing);
    else
        bench_number(round, TURBOJPEG, times.turbojpeg);
    return 0;
}

static int measure_stripes(struct bench_round *round)
{
    double two_ns;
    double one_ns;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        bench_skip(round, JPEG_TWO, "two stripes need two cores; this machine has one");
        return 0;
    }
    int error = encode_jpeg_stripes(round->brief, &two_ns, &one_ns);
    if (error < 0)
        return error;
    bench_number(round, JPEG_TWO, two_ns);
    bench_number(round, JPEG_ONE, one_ns);
    return 0;
}

static int measure_convert(struct bench_round *round)
{
    const char *missing = yardstick_swscale_missing();
    double ours_ns;
    double swscale_ns;

    if (missing) {
        bench_skip(round, CONVERT, "%s", missing);
        return 0;
    }
    int error = encode_convert(round->brief, &ours_ns, &swscale_ns);
    if (error < 0)
        return error;
    bench_number(round, CONVERT, ours_ns);
    bench_number(round, SWSCALE, swscale_ns);
    return 0;
}

static struct yardstick_stream stream_of(const struct bench_round *round)
{
    struct yardstick_stream stream = {
        .pictures = round->brief ? PICTURES_BRIEF : PICTURES, .warm_up = WARM_UP, .fps = FPS};

    histogram_init(&stream.latency);
    return stream;
}

static int measure_h264(struct bench_round *round)
{
    struct yardstick_stream stream = stream_of(round);
    const struct scene *scene;
    int error = scene_720p(&scene);

    if (error == 0)
        error = encode_program_h264(round->dir, scene, &stream);
    if (error < 0)
        return error;
    histogram_merge(bench_samples(round, H264), &stream.latency);
    bench_number(round, H264_CPU, stream.picture_cpu_ns);
    return 0;
}

static int measure_ffmpeg(struct bench_round *round)
{
    struct yardstick_stream stream = stream_of(round);
    const char *missing = yardstick_ffmpeg_missing();
    const struct scene *scene;

    if (missing) {
        bench_skip(round, FFMPEG, "%s", missing);
        bench_skip(round, FFMPEG_CPU, "%s", missing);
        return 0;
    }
    int error = scene_720p(&scene);
    if (error == 0)
        error = yardstick_ffmpeg(scene, &stream);
    if (error < 0)
        return error;
    histogram_merge(bench_samples(round, FFMPEG), &stream.latency);
    bench_number(round, FFMPEG_CPU, stream.picture_cpu_ns);
    return 0;
}

static int measure_pyav(struct bench_round *round)
{
    struct yardstick_stream stream = stream_of(round);
    const char *missing = yardstick_pyav_missing();
    const struct scene *scene;

    if (missing) {
        bench_skip(round, PYAV, "%s", missing);
        return 0;
    }
    int error = scene_720p(&scene);
    if (error == 0)
        error = yardstick_pyav(scene, &stream);
    if (error == 0)
        histogram_merge(bench_samples(round, PYAV), &stream.latency);
    return error;
}

/* A counting program tells "SEEN COPIED" in bytes. */
static int read_count(int output, double *ret_copied)
{
    size_t seen;
    size_t copied;
    FILE *line = fdopen(output, "r");

    if (!line)
        return -ENOMEM;
    int fields = fscanf(line, "%zu %zu", &seen, &copied);
    fclose(line);
    *ret_copied = (double)copied;
    return fields == 2 && seen > 0 ? 0 : -EIO;
}

static int count_copies(const char *path, double *ret_copied)
{
    const char *const argv[] = {path, NULL};
    struct peer counter = {0};
    int output[2];

    if (pipe2(output, O_CLOEXEC) < 0)
        return -errno;
    int error = program_start(&counter, argv, (struct program_pipes){-1, output[1]});
    close(output[1]);
    int counted = read_count(output[0], ret_copied);
    if (error == 0)
        error = peer_join(&counter, COUNTER_MS);
    return error == 0 ? counted : error;
}

static int measure_copies(struct bench_round *round)
{
    char path[4096];
    double copied = 0;

    program_path("bench/simcast-bench-copies", path, sizeof(path));
    int error = count_copies(path, &copied);
    if (error < 0)
        return error;
    bench_number(round, COPIED_JPEG, copied);
    program_path("tests/fake_nvenc/count_copies", path, sizeof(path));
    if (access(path, X_OK) < 0) {
        bench_skip(round, COPIED_NVENC,
                   "the stand-in for NVENC was not built: install libffmpeg-nvenc-dev, then run "
                   "meson setup --reconfigure");
        return 0;
    }
    error = count_copies(path, &copied);
    if (error == 0)
        bench_number(round, COPIED_NVENC, copied);
    return error;
}

/* Without a GPU there is nothing to compare with: times alone. */
static int measure_gpu(struct bench_round *round)
{
    static const struct {
        enum figure figure;
        int (*encode)(bool brief, double *ret_ns);
    } kinds[] = {{NVENC, encode_nvenc}, {NVJPEG, encode_nvjpeg}};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        double found_ns;
        int error = kinds[i].encode(round->brief, &found_ns);
        if (error == -ENODEV)
            bench_skip(round, kinds[i].figure, "no such GPU here: %s", codec_complaint());
        else if (error < 0)
            return error;
        else
            bench_number(round, kinds[i].figure, found_ns);
    }
    return 0;
}

static int measure_idle(struct bench_round *round)
{
    double core_percent;
    int error = encode_program_idle(round->dir, round->brief, &core_percent);

    if (error == 0)
        bench_number(round, IDLE, core_percent);
    return error;
}

static int measure_first_packet(struct bench_round *round)
{
    return encode_program_first_packet(round->dir, round->brief,
                                       bench_samples(round, FIRST_PACKET));
}

static const struct bench_probe probes[] = {
    {"JPEG and TurboJPEG, in turns", measure_jpeg, {JPEG_RGB24, JPEG_RGBA, JPEG_NV12, TURBOJPEG}},
    {"JPEG in stripes", measure_stripes, {JPEG_TWO, JPEG_ONE}},
    {"conversion and swscale, in turns", measure_convert, {CONVERT, SWSCALE}},
    {"simcast-encoder, H.264", measure_h264, {H264, H264_CPU}},
    {"ffmpeg", measure_ffmpeg, {FFMPEG, FFMPEG_CPU}},
    {"PyAV", measure_pyav, {PYAV}},
    {"copies", measure_copies, {COPIED_JPEG, COPIED_NVENC}},
    {"on a GPU", measure_gpu, {NVENC, NVJPEG}},
    {"nobody watches", measure_idle, {IDLE}},
    {"first packet", measure_first_packet, {FIRST_PACKET}},
};

/* ---- metrics ------------------------------------------------------------------------------- */

#define NS_TO_MS 1e-6

/* A metric that is the ratio of two figures. */
#define RATIO(name_, figure_, yardstick_, target_)                                                 \
    {                                                                                              \
        .name = (name_), .unit = "ratio", .figure = (figure_), .yardstick = (yardstick_),          \
        .is_ratio = true, .target = (target_)                                                      \
    }

static const struct bench_metric metrics[] = {
    RATIO("jpeg_rgb24_vs_turbojpeg", JPEG_RGB24, TURBOJPEG, 1.03),
    RATIO("jpeg_rgba_vs_turbojpeg", JPEG_RGBA, TURBOJPEG, 1.10),
    RATIO("jpeg_nv12_vs_turbojpeg", JPEG_NV12, TURBOJPEG, 0.90),
    RATIO("jpeg_stripes2_1080p", JPEG_TWO, JPEG_ONE, 0.65),
    RATIO("rgb24_nv12_vs_swscale", CONVERT, SWSCALE, 0.22),
    RATIO("h264_720p_vs_pyav", H264, PYAV, 0.65),
    RATIO("h264_720p_latency_vs_ffmpeg_cli", H264, FFMPEG, 0.30),
    RATIO("h264_720p_cpu_vs_ffmpeg_cli", H264_CPU, FFMPEG_CPU, 0.60),
    /* The target is 0; any copied byte misses one below 1. */
    {.name = "raw_bytes_copied_jpeg", .unit = "bytes", .figure = COPIED_JPEG, .target = 0.5},
    {.name = "raw_bytes_copied_nvenc_fake", .unit = "bytes", .figure = COPIED_NVENC, .target = 0.5},
    {.name = "nvenc_720p_ms", .unit = "ms", .figure = NVENC, .scale = NS_TO_MS},
    {.name = "nvjpeg_1080p_ms", .unit = "ms", .figure = NVJPEG, .scale = NS_TO_MS},
    {.name = "idle_core_percent", .unit = "%", .figure = IDLE, .target = 1},
    {.name = "first_packet_ms",
     .unit = "ms",
     .figure = FIRST_PACKET,
     .scale = NS_TO_MS,
     .target = 100},
};

const struct bench_case case_encode = {
    .name = "encode",
    .summary = "robot pictures to JPEG and H.264, against other encoders, and on demand",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = sizeof(probes) / sizeof(probes[0]),
    .metrics = metrics,
    .metric_count = sizeof(metrics) / sizeof(metrics[0]),
};
