/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `scale`: what grows when the work grows, where this machine ends, and what a formula fitted
 * to that says of a larger one. No yardsticks: a curve is compared with itself. Each probe leaves
 * no process.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "bench/cases.h"
#include "bench/fanout_rig.h"
#include "bench/program.h"
#include "bench/scale_encoder.h"
#include "bench/scale_model.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FPS 30
#define SMALL_BYTES 20000
#define LARGE_BYTES 100000
#define LARGE_CLIENTS 300
#define SATURATED_CLIENTS 400
#define SATURATED_FPS 240
#define TURN_PICTURES 60
#define TURN_PICTURES_BRIEF 15
#define SATURATED_PICTURES 240
#define SATURATED_PICTURES_BRIEF 60

#define WORK_NS (2 * NS_PER_S)
#define WORK_BRIEF_NS (NS_PER_S / 2)

/* The host that is predicted: cores that each do what one does here, and a network card. */
#define PREDICTED_CORES 32
#define PREDICTED_CARD_BYTES_PER_S (25e9 / 8)

static const unsigned client_counts[] = {1, 10, 100, 300, 1000};
static const unsigned stream_counts[] = {1, 2, 4, 8, 16};
static const unsigned rates[] = {15, 30, 60, 120, 240};
static const struct {
    uint32_t width;
    uint32_t height;
} sizes[] = {{640, 360}, {1280, 720}, {1920, 1080}, {3840, 2160}};

enum figure {
    CLIENTS_CORE = 1,
    CLIENTS_LAST = CLIENTS_CORE + (int)COUNT(client_counts),
    CLIENT_MEMORY = CLIENTS_LAST + (int)COUNT(client_counts),
    SATURATED_RATE,
    SATURATED_CORE,
    SATURATED_LOAD,
    MODEL_PICTURE,
    MODEL_SEND,
    MODEL_MEGABYTE,
    MODEL_ERROR,
    PREDICTED_CLIENTS,
    STREAMS_CORE,
    STREAMS_FPS = STREAMS_CORE + (int)COUNT(stream_counts),
    STREAM_MEMORY = STREAMS_FPS + (int)COUNT(stream_counts),
    RATES_CORE,
    RATES_FPS = RATES_CORE + (int)COUNT(rates),
    ROWS_JPEG = RATES_FPS + (int)COUNT(rates),
    ROWS_H264 = ROWS_JPEG + (int)COUNT(sizes),
    PREDICTED_STREAMS = ROWS_H264 + (int)COUNT(sizes),
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [CLIENTS_CORE] = "simcastd, 1 client, 20 KB at 30 Hz",
    [CLIENTS_CORE + 1] = "simcastd, 10 clients",
    [CLIENTS_CORE + 2] = "simcastd, 100 clients",
    [CLIENTS_CORE + 3] = "simcastd, 300 clients",
    [CLIENTS_CORE + 4] = "simcastd, 1000 clients",
    [CLIENTS_LAST] = "published to the last byte at 1 client",
    [CLIENTS_LAST + 1] = "published to the last of 10 clients",
    [CLIENTS_LAST + 2] = "published to the last of 100 clients",
    [CLIENTS_LAST + 3] = "published to the last of 300 clients",
    [CLIENTS_LAST + 4] = "published to the last of 1000 clients",
    [CLIENT_MEMORY] = "memory of simcastd for each client",
    [SATURATED_RATE] = "400 clients, 100 KB at 240 Hz: delivered",
    [SATURATED_CORE] = "400 clients, 100 KB at 240 Hz: simcastd",
    [SATURATED_LOAD] = "400 clients, 100 KB at 240 Hz: the clients",
    [MODEL_PICTURE] = "fitted: simcastd, for a picture",
    [MODEL_SEND] = "fitted: simcastd, for each client of it",
    [MODEL_MEGABYTE] = "fitted: simcastd, for each MB to a client",
    [MODEL_ERROR] = "the formula against its worst point",
    [PREDICTED_CLIENTS] = "clients of one simcastd, 25 Gbit/s, 100 KB at 30 Hz",
    [STREAMS_CORE] = "simcast-encoder, 1 camera, JPEG 360p at 30 Hz",
    [STREAMS_CORE + 1] = "simcast-encoder, 2 cameras",
    [STREAMS_CORE + 2] = "simcast-encoder, 4 cameras",
    [STREAMS_CORE + 3] = "simcast-encoder, 8 cameras",
    [STREAMS_CORE + 4] = "simcast-encoder, 16 cameras",
    [STREAMS_FPS] = "the slowest of 1 camera",
    [STREAMS_FPS + 1] = "the slowest of 2 cameras",
    [STREAMS_FPS + 2] = "the slowest of 4 cameras",
    [STREAMS_FPS + 3] = "the slowest of 8 cameras",
    [STREAMS_FPS + 4] = "the slowest of 16 cameras",
    [STREAM_MEMORY] = "memory of simcast-encoder for each camera",
    [RATES_CORE] = "simcast-encoder, JPEG 360p at 15 Hz",
    [RATES_CORE + 1] = "simcast-encoder, JPEG 360p at 30 Hz",
    [RATES_CORE + 2] = "simcast-encoder, JPEG 360p at 60 Hz",
    [RATES_CORE + 3] = "simcast-encoder, JPEG 360p at 120 Hz",
    [RATES_CORE + 4] = "simcast-encoder, JPEG 360p at 240 Hz",
    [RATES_FPS] = "packets of JPEG 360p at 15 Hz",
    [RATES_FPS + 1] = "packets of JPEG 360p at 30 Hz",
    [RATES_FPS + 2] = "packets of JPEG 360p at 60 Hz",
    [RATES_FPS + 3] = "packets of JPEG 360p at 120 Hz",
    [RATES_FPS + 4] = "packets of JPEG 360p at 240 Hz",
    [ROWS_JPEG] = "encode, JPEG 640x360",
    [ROWS_JPEG + 1] = "encode, JPEG 1280x720",
    [ROWS_JPEG + 2] = "encode, JPEG 1920x1080",
    [ROWS_JPEG + 3] = "encode, JPEG 3840x2160",
    [ROWS_H264] = "encode, H.264 640x360",
    [ROWS_H264 + 1] = "encode, H.264 1280x720",
    [ROWS_H264 + 2] = "encode, H.264 1920x1080",
    [ROWS_H264 + 3] = "encode, H.264 3840x2160",
    [PREDICTED_STREAMS] = "JPEG 720p at 30 Hz on 32 cores like these",
};

/* ---- clients ------------------------------------------------------------------------------- */

struct crowd {
    unsigned clients;
    size_t bytes; /* of a picture */
    unsigned fps;
    unsigned pictures;
};

struct crowd_cost {
    double cpu_ns_per_picture; /* of simcastd */
    double core_percent;
    double load_core_percent; /* of the process with the clients */
    double bytes_per_s;       /* delivered to all of them */
    uint64_t memory_bytes;    /* of simcastd */
    struct histogram last;
};

static int attend(struct fanout_rig *rig, const struct crowd *crowd, struct crowd_cost *ret_cost)
{
    static struct fanout_turns turns;
    int64_t cpu_ns[2] = {program_cpu_ns(&rig->server), program_cpu_ns(&rig->load.peer)};
    uint64_t bytes = atomic_load_explicit(&rig->load.tally->bytes, memory_order_relaxed);
    int64_t began_ns = clock_now_ns();

    memset(&turns, 0, sizeof(turns));
    int error = fanout_rig_turn(rig, crowd->pictures, &turns);
    if (error < 0)
        return error;
    /* Not turns.elapsed_ns: what comes late has been worked for, too. */
    double elapsed_ns = (double)(clock_now_ns() - began_ns);
    bytes = atomic_load_explicit(&rig->load.tally->bytes, memory_order_relaxed) - bytes;
    cpu_ns[0] = program_cpu_ns(&rig->server) - cpu_ns[0];
    cpu_ns[1] = program_cpu_ns(&rig->load.peer) - cpu_ns[1];
    ret_cost->cpu_ns_per_picture = (double)cpu_ns[0] / crowd->pictures;
    ret_cost->core_percent = 100 * (double)cpu_ns[0] / elapsed_ns;
    ret_cost->load_core_percent = 100 * (double)cpu_ns[1] / elapsed_ns;
    ret_cost->last = turns.last;
    ret_cost->bytes_per_s = (double)bytes * (double)NS_PER_S / elapsed_ns;
    ret_cost->memory_bytes = fanout_rig_memory(rig);
    return 0;
}

static int serve(const struct bench_round *round, const struct crowd *crowd,
                 struct crowd_cost *ret_cost)
{
    struct fanout_rig_setup setup = {
        .server = FANOUT_SIMCASTD, .dir = round->dir, .fps = crowd->fps, .clients = crowd->clients};
    struct fanout_album *album;
    struct fanout_rig rig;
    int error = fanout_album_create(crowd->bytes, &album);

    if (error < 0)
        return error;
    setup.album = album;
    error = fanout_rig_open(&rig, &setup);
    if (error == 0) {
        error = attend(&rig, crowd, ret_cost);
        fanout_rig_close(&rig);
    }
    fanout_album_destroy(album);
    return error;
}

static void note_model(struct bench_round *round, const struct scale_point *points, size_t count)
{
    struct scale_model model;

    if (scale_fit(points, count, &model) < 0) {
        for (unsigned figure = MODEL_PICTURE; figure <= PREDICTED_CLIENTS; figure++)
            bench_skip(round, figure, "the measured points tell the costs not apart; run it again");
        return;
    }
    double by_core = scale_clients_per_core(&model, LARGE_BYTES, FPS);
    double by_card = PREDICTED_CARD_BYTES_PER_S / FPS / LARGE_BYTES;
    bench_number(round, MODEL_PICTURE, model.picture_ns);
    bench_number(round, MODEL_SEND, model.send_ns);
    bench_number(round, MODEL_MEGABYTE, model.byte_ns * 1e6);
    bench_number(round, MODEL_ERROR, 100 * model.error);
    bench_number(round, PREDICTED_CLIENTS, floor(fmin(by_core, by_card)));
}

static int measure_clients(struct bench_round *round)
{
    struct scale_point points[COUNT(client_counts) + 1];
    unsigned pictures = round->brief ? TURN_PICTURES_BRIEF : TURN_PICTURES;
    static struct crowd_cost cost;
    uint64_t memory_alone = 0;

    for (unsigned i = 0; i < COUNT(points) && !round->warming_up; i++) {
        bool large = i == COUNT(client_counts);
        const struct crowd crowd = {.clients = large ? LARGE_CLIENTS : client_counts[i],
                                    .bytes = large ? LARGE_BYTES : SMALL_BYTES,
                                    .fps = FPS,
                                    .pictures = pictures};
        int error = serve(round, &crowd, &cost);
        if (error < 0)
            return error;
        points[i] =
            (struct scale_point){crowd.clients, (double)crowd.bytes, cost.cpu_ns_per_picture};
        if (large)
            break;
        bench_number(round, CLIENTS_CORE + i, cost.core_percent);
        histogram_merge(bench_samples(round, CLIENTS_LAST + i), &cost.last);
        if (i == 0)
            memory_alone = cost.memory_bytes;
        if (i == COUNT(client_counts) - 1)
            bench_number(round, CLIENT_MEMORY,
                         ((double)cost.memory_bytes - (double)memory_alone) /
                             (double)(crowd.clients - client_counts[0]));
    }
    if (!round->warming_up)
        note_model(round, points, COUNT(points));
    return 0;
}

/* More than two cores can carry: what gives in is a core, of the server or of the clients. */
static int measure_saturated(struct bench_round *round)
{
    const struct crowd crowd = {.clients = SATURATED_CLIENTS,
                                .bytes = LARGE_BYTES,
                                .fps = SATURATED_FPS,
                                .pictures =
                                    round->brief ? SATURATED_PICTURES_BRIEF : SATURATED_PICTURES};
    static struct crowd_cost cost;
    int error = round->warming_up ? 0 : serve(round, &crowd, &cost);

    if (error < 0 || round->warming_up)
        return error;
    bench_number(round, SATURATED_RATE, cost.bytes_per_s);
    bench_number(round, SATURATED_CORE, cost.core_percent);
    bench_number(round, SATURATED_LOAD, cost.load_core_percent);
    return 0;
}

/* ---- cameras ------------------------------------------------------------------------------- */

static struct scale_work work_of(const struct bench_round *round)
{
    return (struct scale_work){
        .dir = round->dir,
        .codec = "jpeg",
        .streams = 1,
        .width = sizes[0].width,
        .height = sizes[0].height,
        .fps = FPS,
        .during_ns = round->brief ? WORK_BRIEF_NS : WORK_NS,
    };
}

static int measure_streams(struct bench_round *round)
{
    static struct scale_cost cost;
    uint64_t memory_alone = 0;

    for (unsigned i = 0; i < COUNT(stream_counts) && !round->warming_up; i++) {
        struct scale_work work = work_of(round);
        work.streams = stream_counts[i];
        int error = scale_encode(&work, &cost);
        if (error < 0)
            return error;
        bench_number(round, STREAMS_CORE + i, cost.core_percent);
        bench_number(round, STREAMS_FPS + i, cost.fps);
        if (i == 0)
            memory_alone = cost.memory_bytes;
    }
    unsigned further = stream_counts[COUNT(stream_counts) - 1] - stream_counts[0];
    if (!round->warming_up)
        bench_number(round, STREAM_MEMORY,
                     ((double)cost.memory_bytes - (double)memory_alone) / further);
    return 0;
}

static int measure_rates(struct bench_round *round)
{
    static struct scale_cost cost;

    for (unsigned i = 0; i < COUNT(rates) && !round->warming_up; i++) {
        struct scale_work work = work_of(round);
        work.fps = rates[i];
        int error = scale_encode(&work, &cost);
        if (error < 0)
            return error;
        bench_number(round, RATES_CORE + i, cost.core_percent);
        bench_number(round, RATES_FPS + i, cost.fps);
    }
    return 0;
}

static int measure_sizes(struct bench_round *round)
{
    static struct scale_cost cost;

    for (unsigned i = 0; i < 2 * COUNT(sizes) && !round->warming_up; i++) {
        bool h264 = i >= COUNT(sizes);
        struct scale_work work = work_of(round);
        work.codec = h264 ? "h264" : "jpeg";
        work.width = sizes[i % COUNT(sizes)].width;
        work.height = sizes[i % COUNT(sizes)].height;
        int error = scale_encode(&work, &cost);
        if (error < 0)
            return error;
        histogram_merge(bench_samples(round, ROWS_JPEG + i), &cost.encode);
        if (i == 1)
            bench_number(round, PREDICTED_STREAMS,
                         floor(PREDICTED_CORES * (double)NS_PER_S / FPS /
                               (double)histogram_percentile_ns(&cost.encode, 50)));
    }
    return 0;
}

#define FOUR(first) (first), (first) + 1, (first) + 2, (first) + 3
#define FIVE(first) FOUR(first), (first) + 4

static const struct bench_probe probes[] = {
    {"1 to 1000 clients",
     measure_clients,
     {FIVE(CLIENTS_CORE), FIVE(CLIENTS_LAST), CLIENT_MEMORY, FIVE(MODEL_PICTURE)}},
    {"more than this machine can carry",
     measure_saturated,
     {SATURATED_RATE, SATURATED_CORE, SATURATED_LOAD}},
    {"1 to 16 cameras", measure_streams, {FIVE(STREAMS_CORE), FIVE(STREAMS_FPS), STREAM_MEMORY}},
    {"15 to 240 pictures a second", measure_rates, {FIVE(RATES_CORE), FIVE(RATES_FPS)}},
    {"360p to 4K", measure_sizes, {FOUR(ROWS_JPEG), FOUR(ROWS_H264), PREDICTED_STREAMS}},
};

/* ---- metrics ------------------------------------------------------------------------------- */

#define NS_TO_MS 1e-6
#define NS_TO_US 1e-3
#define BYTES_TO_KIB (1.0 / 1024)
#define BYTES_TO_MIB (1.0 / 1024 / 1024)

#define CLIENTS(n, at)                                                                             \
    {.name = "clients_" #n "_core_percent", .unit = "%", .figure = CLIENTS_CORE + (at)},           \
    {                                                                                              \
        .name = "clients_" #n "_last_p99_ms", .unit = "ms", .figure = CLIENTS_LAST + (at),         \
        .percentile = 99, .scale = NS_TO_MS                                                        \
    }
#define STREAMS(n, at)                                                                             \
    {.name = "streams_" #n "_core_percent", .unit = "%", .figure = STREAMS_CORE + (at)},           \
    {                                                                                              \
        .name = "streams_" #n "_slowest_fps", .unit = "fps", .figure = STREAMS_FPS + (at),         \
        .better = RECORD_HIGHER                                                                    \
    }
#define RATES(n, at)                                                                               \
    {.name = "fps_" #n "_core_percent", .unit = "%", .figure = RATES_CORE + (at)},                 \
    {                                                                                              \
        .name = "fps_" #n "_delivered_fps", .unit = "fps", .figure = RATES_FPS + (at),             \
        .better = RECORD_HIGHER                                                                    \
    }
#define ROWS(n, at)                                                                                \
    {.name = "rows_" #n "_jpeg_encode_ms",                                                         \
     .unit = "ms",                                                                                 \
     .figure = ROWS_JPEG + (at),                                                                   \
     .scale = NS_TO_MS},                                                                           \
    {                                                                                              \
        .name = "rows_" #n "_h264_encode_ms", .unit = "ms", .figure = ROWS_H264 + (at),            \
        .scale = NS_TO_MS                                                                          \
    }

static const struct bench_metric metrics[] = {
    CLIENTS(1, 0),
    CLIENTS(10, 1),
    CLIENTS(100, 2),
    CLIENTS(300, 3),
    CLIENTS(1000, 4),
    {.name = "client_memory_kib", .unit = "KiB", .figure = CLIENT_MEMORY, .scale = BYTES_TO_KIB},
    {.name = "saturated_gb_per_s",
     .unit = "GB/s",
     .figure = SATURATED_RATE,
     .scale = 1e-9,
     .better = RECORD_HIGHER},
    {.name = "saturated_core_percent", .unit = "%", .figure = SATURATED_CORE},
    {.name = "saturated_clients_core_percent", .unit = "%", .figure = SATURATED_LOAD},
    STREAMS(1, 0),
    STREAMS(2, 1),
    STREAMS(4, 2),
    STREAMS(8, 3),
    STREAMS(16, 4),
    {.name = "stream_memory_mib", .unit = "MiB", .figure = STREAM_MEMORY, .scale = BYTES_TO_MIB},
    RATES(15, 0),
    RATES(30, 1),
    RATES(60, 2),
    RATES(120, 3),
    RATES(240, 4),
    ROWS(360, 0),
    ROWS(720, 1),
    ROWS(1080, 2),
    ROWS(2160, 3),
    {.name = "model_picture_us", .unit = "us", .figure = MODEL_PICTURE, .scale = NS_TO_US},
    {.name = "model_send_us", .unit = "us", .figure = MODEL_SEND, .scale = NS_TO_US},
    {.name = "model_megabyte_us", .unit = "us", .figure = MODEL_MEGABYTE, .scale = NS_TO_US},
    {.name = "model_worst_error_percent", .unit = "%", .figure = MODEL_ERROR},
    {.name = "predicted_clients_25gbit",
     .unit = "clients",
     .figure = PREDICTED_CLIENTS,
     .better = RECORD_HIGHER},
    {.name = "predicted_streams_32core",
     .unit = "streams",
     .figure = PREDICTED_STREAMS,
     .better = RECORD_HIGHER},
};

const struct bench_case case_scale = {
    .name = "scale",
    .summary = "cost as clients, cameras, rate and size grow, and where it ends",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = COUNT(probes),
    .metrics = metrics,
    .metric_count = COUNT(metrics),
};
