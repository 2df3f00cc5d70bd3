/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `glass`: the whole way of a picture from the simulator to a viewer's last byte, with the
 * real programs, and of a command back into a picture. Each probe starts its own programs and
 * leaves none.
 */
#include <errno.h>

#include "base/clock.h"
#include "bench/cases.h"
#include "bench/glass_browser.h"
#include "bench/glass_ffmpeg.h"
#include "bench/glass_rig.h"

#define FRAMES 240
#define FRAMES_BRIEF 60
#define COMMANDS 30
#define COMMANDS_BRIEF 8
#define IDLE_NS (4 * NS_PER_S)
#define IDLE_BRIEF_NS (NS_PER_S)

/* In the order of struct glass_stages, each codec's in one run. */
enum figure {
    JPEG_RING = 1,
    JPEG_ENCODE,
    JPEG_PACKET,
    JPEG_FANOUT,
    JPEG_SOCKET,
    JPEG_MINUS_ENCODE,
    H264_RING,
    H264_ENCODE,
    H264_PACKET,
    H264_FANOUT,
    H264_SOCKET,
    H264_MINUS_ENCODE,
    RENDERED_MINUS_ENCODE,
    RENDERED_ALL,
    CLIP,
    NODE,
    USTREAMER,
    ACTION,
    BROWSER_DECODE,
    BROWSER_DRAW,
    BROWSER_ALL,
    BROWSER_H264_DECODE,
    BROWSER_H264_DRAW,
    BROWSER_H264_ALL,
    ACTION_DRAWN,
    IDLE,
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [JPEG_RING] = "JPEG: published to encode begin",
    [JPEG_ENCODE] = "JPEG: encode",
    [JPEG_PACKET] = "JPEG: encode end to packet published",
    [JPEG_FANOUT] = "JPEG: packet published to the socket",
    [JPEG_SOCKET] = "JPEG: the socket to the last byte received",
    [JPEG_MINUS_ENCODE] = "JPEG: all but the encode",
    [H264_RING] = "H.264: published to encode begin",
    [H264_ENCODE] = "H.264: encode",
    [H264_PACKET] = "H.264: encode end to packet published",
    [H264_FANOUT] = "H.264: packet published to the socket",
    [H264_SOCKET] = "H.264: the socket to the last byte received",
    [H264_MINUS_ENCODE] = "H.264: all but the encode",
    [RENDERED_MINUS_ENCODE] = "robot drawn meanwhile: all but the encode",
    [RENDERED_ALL] = "robot drawn meanwhile: all",
    [CLIP] = "clip of the robot through simcast",
    [NODE] = "the clip through ffmpeg and Node ws",
    [USTREAMER] = "the clip through ffmpeg and ustreamer",
    [ACTION] = "command to the picture that shows it",
    [BROWSER_DECODE] = "JPEG in a browser: received to decoded",
    [BROWSER_DRAW] = "JPEG in a browser: decoded to drawn",
    [BROWSER_ALL] = "JPEG in a browser: published to drawn",
    [BROWSER_H264_DECODE] = "H.264 in a browser: received to decoded",
    [BROWSER_H264_DRAW] = "H.264 in a browser: decoded to drawn",
    [BROWSER_H264_ALL] = "H.264 in a browser: published to drawn",
    [ACTION_DRAWN] = "command to the drawn picture that shows it",
    [IDLE] = "encoder and daemon unwatched",
};

/* ---- probes -------------------------------------------------------------------------------- */

static unsigned frames_of(const struct bench_round *round)
{
    return round->brief ? FRAMES_BRIEF : FRAMES;
}

static int watch(const struct glass_setup *setup, unsigned frames, struct glass_stages *ret_stages)
{
    struct glass_rig rig;
    int error = glass_rig_open(&rig, setup);

    if (error < 0)
        return error;
    error = glass_rig_watch(&rig);
    if (error == 0)
        error = glass_rig_measure(&rig, frames, ret_stages);
    glass_rig_close(&rig);
    return error;
}

static int measure_codec(struct bench_round *round, const char *codec, enum figure first)
{
    struct glass_setup setup = {
        .dir = round->dir, .codec = codec, .source = GLASS_PATTERN, .fps = GLASS_FPS};
    struct glass_stages stages;
    int error = watch(&setup, frames_of(round), &stages);

    if (error < 0)
        return error;
    const struct histogram *found[] = {&stages.ring,   &stages.encode, &stages.packet,
                                       &stages.fanout, &stages.socket, &stages.minus_encode};
    for (unsigned i = 0; i < sizeof(found) / sizeof(found[0]); i++)
        histogram_merge(bench_samples(round, first + i), found[i]);
    return 0;
}

static int measure_jpeg(struct bench_round *round)
{
    return measure_codec(round, "jpeg", JPEG_RING);
}

static int measure_h264(struct bench_round *round)
{
    return measure_codec(round, "h264", H264_RING);
}

/* NULL: OpenGL cannot draw here, and every figure of the probe was skipped for that. */
static int find_clip(struct bench_round *round, const enum figure skipped[],
                     const struct scene **ret_clip)
{
    int error = scene_720p(ret_clip);

    if (error != -ENODEV)
        return error;
    for (unsigned i = 0; skipped[i]; i++)
        bench_skip(round, skipped[i], "OpenGL cannot draw off screen here; install libegl1 and %s",
                   "libgl1-mesa-dri");
    *ret_clip = NULL;
    return 0;
}

static int measure_rendered(struct bench_round *round)
{
    static const enum figure mine[] = {RENDERED_MINUS_ENCODE, RENDERED_ALL, 0};
    struct glass_setup setup = {
        .dir = round->dir, .codec = "jpeg", .source = GLASS_RENDERED, .fps = GLASS_FPS / 2};
    struct glass_stages stages;
    int error = find_clip(round, mine, &setup.clip);

    if (error < 0 || !setup.clip)
        return error;
    error = watch(&setup, frames_of(round) / 2, &stages);
    if (error < 0)
        return error;
    histogram_merge(bench_samples(round, RENDERED_MINUS_ENCODE), &stages.minus_encode);
    histogram_merge(bench_samples(round, RENDERED_ALL), &stages.all);
    return 0;
}

static int measure_clip(struct bench_round *round)
{
    static const enum figure mine[] = {CLIP, 0};
    struct glass_setup setup = {
        .dir = round->dir, .codec = "jpeg", .source = GLASS_CLIP, .fps = GLASS_FPS / 2};
    struct glass_stages stages;
    int error = find_clip(round, mine, &setup.clip);

    if (error < 0 || !setup.clip)
        return error;
    error = watch(&setup, frames_of(round) / 2, &stages);
    if (error == 0)
        histogram_merge(bench_samples(round, CLIP), &stages.all);
    return error;
}

static int measure_ffmpeg(struct bench_round *round, enum glass_server server, enum figure figure)
{
    const enum figure mine[] = {figure, 0};
    const char *missing = glass_ffmpeg_missing(server);
    const struct scene *clip;

    if (missing) {
        bench_skip(round, figure, "%s", missing);
        return 0;
    }
    int error = find_clip(round, mine, &clip);
    if (error < 0 || !clip)
        return error;
    return glass_ffmpeg_measure(server, clip, GLASS_FPS / 2, frames_of(round) / 2,
                                bench_samples(round, figure));
}

static int measure_node(struct bench_round *round)
{
    return measure_ffmpeg(round, GLASS_NODE, NODE);
}

static int measure_ustreamer(struct bench_round *round)
{
    return measure_ffmpeg(round, GLASS_USTREAMER, USTREAMER);
}

static int measure_action(struct bench_round *round)
{
    struct glass_setup setup = {
        .dir = round->dir, .codec = "jpeg", .source = GLASS_PATTERN, .fps = GLASS_FPS};
    struct glass_rig rig;
    int error = glass_rig_open(&rig, &setup);

    if (error < 0)
        return error;
    error = glass_rig_watch(&rig);
    if (error == 0)
        error = glass_rig_act(&rig, round->dir, round->brief ? COMMANDS_BRIEF : COMMANDS,
                              round->seed, bench_samples(round, ACTION));
    glass_rig_close(&rig);
    return error;
}

static int look(struct bench_round *round, struct glass_rig *rig, enum video_codec codec,
                enum figure first)
{
    struct glass_shown shown;
    int error = glass_rig_look(rig, codec, frames_of(round), &shown);

    if (error < 0)
        return error;
    histogram_merge(bench_samples(round, first), &shown.decode);
    histogram_merge(bench_samples(round, first + 1), &shown.draw);
    histogram_merge(bench_samples(round, first + 2), &shown.all);
    return 0;
}

/* One page for all, since a browser takes seconds to start. */
static int measure_browser(struct bench_round *round)
{
    struct glass_setup setup = {
        .dir = round->dir, .codec = "jpeg", .source = GLASS_PATTERN, .fps = GLASS_FPS};
    struct glass_rig rig;
    const char *missing = glass_browser_missing();

    for (unsigned i = BROWSER_DECODE; missing && i <= ACTION_DRAWN; i++)
        bench_skip(round, i, "%s", missing);
    if (missing || round->warming_up)
        return 0;
    int error = glass_rig_open(&rig, &setup);
    if (error < 0)
        return error;
    error = glass_rig_watch(&rig);
    if (error == 0)
        error = glass_rig_browse(&rig);
    if (error == 0)
        error = look(round, &rig, VIDEO_CODEC_JPEG, BROWSER_DECODE);
    if (error == 0)
        error = glass_rig_act(&rig, round->dir, round->brief ? COMMANDS_BRIEF : COMMANDS,
                              round->seed, bench_samples(round, ACTION_DRAWN));
    if (error == 0)
        error = look(round, &rig, VIDEO_CODEC_H264, BROWSER_H264_DECODE);
    glass_rig_close(&rig);
    return error;
}

/* A viewer comes first and goes, so that what is measured is the rest after work. */
static int measure_idle(struct bench_round *round)
{
    struct glass_setup setup = {
        .dir = round->dir, .codec = "h264", .source = GLASS_PATTERN, .fps = GLASS_FPS};
    struct glass_stages ignored;
    struct glass_rig rig;
    int error = glass_rig_open(&rig, &setup);

    if (error < 0)
        return error;
    error = glass_rig_watch(&rig);
    if (error == 0)
        error = glass_rig_measure(&rig, 1, &ignored);
    glass_client_close(&rig.client);
    if (error == 0)
        bench_number(round, IDLE, glass_rig_idle(&rig, round->brief ? IDLE_BRIEF_NS : IDLE_NS));
    glass_rig_close(&rig);
    return error;
}

/* The yardstick runs right after what is compared with it. */
static const struct bench_probe probes[] = {
    {"JPEG, 720p at 60 Hz",
     measure_jpeg,
     {JPEG_RING, JPEG_ENCODE, JPEG_PACKET, JPEG_FANOUT, JPEG_SOCKET, JPEG_MINUS_ENCODE}},
    {"H.264, 720p at 60 Hz",
     measure_h264,
     {H264_RING, H264_ENCODE, H264_PACKET, H264_FANOUT, H264_SOCKET, H264_MINUS_ENCODE}},
    {"rendered robot, 720p", measure_rendered, {RENDERED_MINUS_ENCODE, RENDERED_ALL}},
    {"the clip through simcast", measure_clip, {CLIP}},
    {"the clip through ffmpeg and Node ws", measure_node, {NODE}},
    {"the clip through ffmpeg and ustreamer", measure_ustreamer, {USTREAMER}},
    {"action to photon", measure_action, {ACTION}},
    {"in a browser",
     measure_browser,
     {BROWSER_DECODE, BROWSER_DRAW, BROWSER_ALL, BROWSER_H264_DECODE, BROWSER_H264_DRAW,
      BROWSER_H264_ALL, ACTION_DRAWN}},
    {"nobody watches", measure_idle, {IDLE}},
};

/* ---- metrics ------------------------------------------------------------------------------- */

#define NS_TO_US 1e-3
#define NS_TO_MS 1e-6

static const struct bench_metric metrics[] = {
    {.name = "pipeline_minus_encode_p50_ms",
     .unit = "ms",
     .figure = JPEG_MINUS_ENCODE,
     .scale = NS_TO_MS,
     .target = 0.5},
    {.name = "pipeline_minus_encode_p99_ms",
     .unit = "ms",
     .figure = JPEG_MINUS_ENCODE,
     .percentile = 99,
     .scale = NS_TO_MS,
     .target = 2},
    {.name = "ring_p50_us", .unit = "us", .figure = JPEG_RING, .scale = NS_TO_US},
    {.name = "encode_p50_ms", .unit = "ms", .figure = JPEG_ENCODE, .scale = NS_TO_MS},
    {.name = "packet_p50_us", .unit = "us", .figure = JPEG_PACKET, .scale = NS_TO_US},
    {.name = "fanout_p50_us", .unit = "us", .figure = JPEG_FANOUT, .scale = NS_TO_US},
    {.name = "socket_p50_us", .unit = "us", .figure = JPEG_SOCKET, .scale = NS_TO_US},
    {.name = "h264_pipeline_minus_encode_p50_ms",
     .unit = "ms",
     .figure = H264_MINUS_ENCODE,
     .scale = NS_TO_MS,
     .target = 0.5},
    {.name = "h264_pipeline_minus_encode_p99_ms",
     .unit = "ms",
     .figure = H264_MINUS_ENCODE,
     .percentile = 99,
     .scale = NS_TO_MS,
     .target = 2},
    {.name = "h264_ring_p50_us", .unit = "us", .figure = H264_RING, .scale = NS_TO_US},
    {.name = "h264_encode_p50_ms", .unit = "ms", .figure = H264_ENCODE, .scale = NS_TO_MS},
    {.name = "h264_packet_p50_us", .unit = "us", .figure = H264_PACKET, .scale = NS_TO_US},
    {.name = "h264_fanout_p50_us", .unit = "us", .figure = H264_FANOUT, .scale = NS_TO_US},
    {.name = "h264_socket_p50_us", .unit = "us", .figure = H264_SOCKET, .scale = NS_TO_US},
    {.name = "rendered_pipeline_minus_encode_p50_ms",
     .unit = "ms",
     .figure = RENDERED_MINUS_ENCODE,
     .scale = NS_TO_MS},
    {.name = "rendered_glass_p50_ms", .unit = "ms", .figure = RENDERED_ALL, .scale = NS_TO_MS},
    {.name = "clip_glass_p50_ms", .unit = "ms", .figure = CLIP, .scale = NS_TO_MS},
    {.name = "vs_ffmpeg_node_ws",
     .unit = "ratio",
     .figure = CLIP,
     .yardstick = NODE,
     .is_ratio = true,
     .target = 0.2},
    {.name = "vs_ffmpeg_ustreamer",
     .unit = "ratio",
     .figure = CLIP,
     .yardstick = USTREAMER,
     .is_ratio = true,
     .target = 0.2},
    {.name = "action_to_photon_p50_ms", .unit = "ms", .figure = ACTION, .scale = NS_TO_MS},
    {.name = "browser_decode_p50_ms", .unit = "ms", .figure = BROWSER_DECODE, .scale = NS_TO_MS},
    {.name = "browser_draw_p50_ms", .unit = "ms", .figure = BROWSER_DRAW, .scale = NS_TO_MS},
    {.name = "browser_glass_p50_ms", .unit = "ms", .figure = BROWSER_ALL, .scale = NS_TO_MS},
    {.name = "browser_h264_decode_p50_ms",
     .unit = "ms",
     .figure = BROWSER_H264_DECODE,
     .scale = NS_TO_MS},
    {.name = "browser_h264_draw_p50_ms",
     .unit = "ms",
     .figure = BROWSER_H264_DRAW,
     .scale = NS_TO_MS},
    {.name = "browser_h264_glass_p50_ms",
     .unit = "ms",
     .figure = BROWSER_H264_ALL,
     .scale = NS_TO_MS},
    {.name = "action_to_drawn_p50_ms", .unit = "ms", .figure = ACTION_DRAWN, .scale = NS_TO_MS},
    {.name = "idle_core_percent", .unit = "%", .figure = IDLE, .target = 1},
};

const struct bench_case case_glass = {
    .name = "glass",
    .summary = "a picture's whole way to the viewer, and a command's way into a picture",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = sizeof(probes) / sizeof(probes[0]),
    .metrics = metrics,
    .metric_count = sizeof(metrics) / sizeof(metrics[0]),
};
