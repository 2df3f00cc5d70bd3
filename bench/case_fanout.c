/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `fanout`: simcastd with a packet ring before it and up to a thousand clients behind it, and
 * what others need for the same. Servers that are compared stand at the same time and get their
 * pictures in turns of a fraction of a second. Each probe leaves no process.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "bench/cases.h"
#include "bench/fanout_rig.h"
#include "bench/statistics.h"

#define PICTURE_BYTES 100000
#define FPS 30
#define CLIENTS 200
#define FEW_CLIENTS 10

#define MANY_CLIENTS 1000
#define MANY_PICTURE_BYTES 20000

#define FAST_CLIENTS 400
#define FAST_FPS 60
#define FAST_PICTURE_BYTES 17000
#define FAST_PICTURES 180
#define FAST_PICTURES_BRIEF 36
#define STALLED_CLIENTS 200

#define SLOW_BYTES_PER_S 1000000
#define SLOW_SETTLE_MS 3000 /* the same when it is brief: Node's queue grows with time */
#define SLOW_MS 3000
#define SLOW_BRIEF_MS 1000

#define WAKE_PICTURE_BYTES 1000
#define WAKE_PICTURES 90
#define WAKE_PICTURES_BRIEF 20

#define TURNS 9
#define TURNS_BRIEF 4
#define TURN_PICTURES 8
#define TURN_PICTURES_BRIEF 5 /* of the contest that has most servers */

#define RIGS_MAX 4

enum figure {
    SIMCASTD_200 = 1,
    SEND_LOOP_200,
    NODE_200,
    USTREAMER_200,
    LAST_200,
    LAST_SEND_LOOP_200,
    SIMCASTD_10,
    NODE_10,
    SIMCASTD_1000,
    SEND_LOOP_1000,
    FPS_400,
    AGES_400,
    FPS_STALLED,
    MEMORY_STALLED,
    SLOW,
    SLOW_NODE,
    WAKE_1000,
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [SIMCASTD_200] = "simcastd, 200 clients, 100 KB",
    [SEND_LOOP_200] = "a send() loop, 200 clients, 100 KB",
    [NODE_200] = "Node ws, 200 clients, 100 KB",
    [USTREAMER_200] = "ustreamer, 200 clients, 100 KB",
    [LAST_200] = "published to the last of 200 clients",
    [LAST_SEND_LOOP_200] = "the same of a send() loop",
    [SIMCASTD_10] = "simcastd, 10 clients, 100 KB",
    [NODE_10] = "Node ws, 10 clients, 100 KB",
    [SIMCASTD_1000] = "simcastd, 1,000 clients, 20 KB",
    [SEND_LOOP_1000] = "a send() loop, 1,000 clients, 20 KB",
    [FPS_400] = "400 clients at 60 Hz, 17 KB: the slowest",
    [AGES_400] = "400 clients at 60 Hz, 17 KB: latency",
    [FPS_STALLED] = "the same beside 200 that stalled",
    [MEMORY_STALLED] = "memory with the 200 that stalled",
    [SLOW] = "simcastd, age at a reader three times too slow",
    [SLOW_NODE] = "Node ws, age at a reader three times too slow",
    [WAKE_1000] = "wake-up with 1,000 clients",
};

/* ---- servers in turns ---------------------------------------------------------------------- */

struct contender {
    enum fanout_server server;
    enum figure figure; /* its nanoseconds of processor time per GB */
};

/* Servers with equal clients; of a server the median of its turns counts. */
struct contest {
    const struct contender *contenders; /* ends with figure 0 */
    unsigned clients;
    size_t picture_bytes;
    unsigned brief_pictures; /* in a turn, when it is brief */
};

struct contest_run {
    struct fanout_album *album;
    struct fanout_rig rigs[RIGS_MAX];
    struct fanout_turns turns[RIGS_MAX];
    bool missing[RIGS_MAX];
};

static int open_contenders(struct bench_round *round, const struct contest *contest,
                           struct contest_run *run)
{
    for (unsigned i = 0; contest->contenders[i].figure; i++) {
        const struct contender *contender = &contest->contenders[i];
        const char *missing = fanout_rig_missing(contender->server);
        const struct fanout_rig_setup setup = {
            .server = contender->server,
            .album = run->album,
            .dir = round->dir,
            .fps = FPS,
            .clients = contest->clients,
        };
        run->missing[i] = missing != NULL;
        if (missing) {
            bench_skip(round, contender->figure, "%s", missing);
            continue;
        }
        int error = fanout_rig_open(&run->rigs[i], &setup);
        if (error < 0)
            return error;
    }
    return 0;
}

static int take_turns(const struct bench_round *round, const struct contest *contest,
                      struct contest_run *run)
{
    unsigned turns = round->brief ? TURNS_BRIEF : TURNS;
    unsigned pictures = round->brief ? contest->brief_pictures : TURN_PICTURES;

    for (unsigned turn = 0; turn < turns; turn++) {
        for (unsigned i = 0; contest->contenders[i].figure; i++) {
            if (run->missing[i])
                continue;
            int error = fanout_rig_turn(&run->rigs[i], pictures, &run->turns[i]);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

static int compete(struct bench_round *round, const struct contest *contest,
                   struct contest_run *run)
{
    int error = fanout_album_create(contest->picture_bytes, &run->album);

    if (error == 0)
        error = open_contenders(round, contest, run);
    if (error == 0)
        error = take_turns(round, contest, run);
    for (unsigned i = 0; i < RIGS_MAX; i++)
        fanout_rig_close(&run->rigs[i]);
    fanout_album_destroy(run->album);
    if (error < 0)
        return error;
    for (unsigned i = 0; contest->contenders[i].figure; i++) {
        const struct fanout_turns *turns = &run->turns[i];
        if (!run->missing[i])
            bench_number(round, contest->contenders[i].figure,
                         statistics_median(turns->cpu_ns_per_gb, turns->count));
    }
    return 0;
}

static int measure_200(struct bench_round *round)
{
    static const struct contender contenders[] = {{FANOUT_SIMCASTD, SIMCASTD_200},
                                                  {FANOUT_SEND_LOOP, SEND_LOOP_200},
                                                  {FANOUT_NODE, NODE_200},
                                                  {FANOUT_USTREAMER, USTREAMER_200},
                                                  {0}};
    const struct contest contest = {contenders, CLIENTS, PICTURE_BYTES, TURN_PICTURES_BRIEF};
    struct contest_run run = {0};
    int error = compete(round, &contest, &run);

    if (error == 0) {
        histogram_merge(bench_samples(round, LAST_200), &run.turns[0].last);
        histogram_merge(bench_samples(round, LAST_SEND_LOOP_200), &run.turns[1].last);
    }
    return error;
}

static int measure_10(struct bench_round *round)
{
    static const struct contender contenders[] = {
        {FANOUT_SIMCASTD, SIMCASTD_10}, {FANOUT_NODE, NODE_10}, {0}};
    const struct contest contest = {contenders, FEW_CLIENTS, PICTURE_BYTES, TURN_PICTURES_BRIEF};
    struct contest_run run = {0};

    return compete(round, &contest, &run);
}

static int measure_1000(struct bench_round *round)
{
    static const struct contender contenders[] = {
        {FANOUT_SIMCASTD, SIMCASTD_1000}, {FANOUT_SEND_LOOP, SEND_LOOP_1000}, {0}};
    const struct contest contest = {contenders, MANY_CLIENTS, MANY_PICTURE_BYTES, TURN_PICTURES};
    struct contest_run run = {0};

    return compete(round, &contest, &run);
}

/* ---- simcastd alone ------------------------------------------------------------------------ */

/* The rate at the client that got fewest. */
static double fewest_fps(const struct fanout_turns *turns)
{
    return (double)turns->fewest * (double)NS_PER_S / (double)turns->elapsed_ns;
}

static int measure_stalled(struct bench_round *round, struct fanout_rig *rig, unsigned pictures)
{
    struct fanout_turns before = {0};
    struct fanout_turns turns = {0};
    struct fanout_load stalled = {0};
    int error = fanout_rig_turn(rig, pictures, &before);

    if (error < 0)
        return error;
    bench_number(round, FPS_400, fewest_fps(&before));
    histogram_merge(bench_samples(round, AGES_400), &rig->load.tally->ages);
    double memory = (double)fanout_rig_memory(rig);
    error = fanout_rig_stall(rig, STALLED_CLIENTS, &stalled);
    if (error == 0)
        error = fanout_rig_turn(rig, pictures, &turns);
    if (error == 0) {
        bench_number(round, FPS_STALLED, fewest_fps(&turns));
        bench_number(round, MEMORY_STALLED, (double)fanout_rig_memory(rig) / memory);
    }
    fanout_load_stop(&stalled);
    return error;
}

static int measure_400(struct bench_round *round)
{
    struct fanout_rig_setup setup = {
        .server = FANOUT_SIMCASTD, .dir = round->dir, .fps = FAST_FPS, .clients = FAST_CLIENTS};
    struct fanout_album *album;
    struct fanout_rig rig;
    int error = fanout_album_create(FAST_PICTURE_BYTES, &album);

    if (error < 0)
        return error;
    setup.album = album;
    error = fanout_rig_open(&rig, &setup);
    if (error == 0) {
        error = measure_stalled(round, &rig, round->brief ? FAST_PICTURES_BRIEF : FAST_PICTURES);
        fanout_rig_close(&rig);
    }
    fanout_album_destroy(album);
    return error;
}

static int measure_wake(struct bench_round *round)
{
    struct fanout_rig_setup setup = {
        .server = FANOUT_SIMCASTD,
        .dir = round->dir,
        .fps = FPS,
        .clients = MANY_CLIENTS,
        .stamped = true,
    };
    struct fanout_turns turns = {0};
    struct fanout_album *album;
    struct fanout_rig rig;
    int error = fanout_album_create(WAKE_PICTURE_BYTES, &album);

    if (error < 0)
        return error;
    setup.album = album;
    error = fanout_rig_open(&rig, &setup);
    if (error == 0) {
        error = fanout_rig_turn(&rig, round->brief ? WAKE_PICTURES_BRIEF : WAKE_PICTURES, &turns);
        fanout_rig_close(&rig);
    }
    fanout_album_destroy(album);
    if (error == 0)
        histogram_merge(bench_samples(round, WAKE_1000), &turns.wake);
    return error;
}

/* ---- a slow reader ------------------------------------------------------------------------- */

static const struct contender slow_servers[] = {{FANOUT_SIMCASTD, SLOW}, {FANOUT_NODE, SLOW_NODE}};
#define SLOW_SERVERS (sizeof(slow_servers) / sizeof(slow_servers[0]))

/* All at once: they need next to nothing, and each has had its reader for as long. */
static int run_slow(const struct bench_round *round, struct fanout_rig *rigs)
{
    int count_ms = round->brief ? SLOW_BRIEF_MS : SLOW_MS;

    for (unsigned i = 0; i < SLOW_SERVERS; i++) {
        int error = rigs[i].load.tally
                        ? fanout_feed_order(&rigs[i].feed,
                                            FPS * (unsigned)(SLOW_SETTLE_MS + count_ms) / 1000)
                        : 0;
        if (error < 0)
            return error;
    }
    poll(NULL, 0, SLOW_SETTLE_MS);
    for (unsigned i = 0; i < SLOW_SERVERS; i++) {
        if (rigs[i].load.tally)
            atomic_store_explicit(&rigs[i].load.tally->counting, true, memory_order_release);
    }
    poll(NULL, 0, count_ms);
    for (unsigned i = 0; i < SLOW_SERVERS; i++) {
        int error = rigs[i].load.tally ? fanout_load_error(&rigs[i].load) : 0;
        if (error < 0)
            return error;
    }
    return 0;
}

static int open_slow(struct bench_round *round, const struct fanout_album *album,
                     struct fanout_rig *rigs)
{
    for (unsigned i = 0; i < SLOW_SERVERS; i++) {
        const struct fanout_rig_setup setup = {
            .server = slow_servers[i].server,
            .habit = FANOUT_SLOW,
            .album = album,
            .dir = round->dir,
            .fps = FPS,
            .clients = 1,
            .bytes_per_s = SLOW_BYTES_PER_S,
        };
        const char *missing = fanout_rig_missing(setup.server);
        if (missing)
            bench_skip(round, slow_servers[i].figure, "%s", missing);
        int error = missing ? 0 : fanout_rig_open(&rigs[i], &setup);
        if (error < 0)
            return error;
    }
    return 0;
}

static int measure_slow(struct bench_round *round)
{
    struct fanout_rig rigs[SLOW_SERVERS] = {0};
    struct fanout_album *album;
    int error = fanout_album_create(PICTURE_BYTES, &album);

    if (error < 0)
        return error;
    error = open_slow(round, album, rigs);
    if (error == 0)
        error = run_slow(round, rigs);
    for (unsigned i = 0; i < SLOW_SERVERS; i++) {
        if (error == 0 && rigs[i].load.tally)
            histogram_merge(bench_samples(round, slow_servers[i].figure),
                            &rigs[i].load.tally->ages);
        fanout_rig_close(&rigs[i]);
    }
    fanout_album_destroy(album);
    return error;
}

static const struct bench_probe probes[] = {
    {"four servers in turns, 200 clients",
     measure_200,
     {SIMCASTD_200, SEND_LOOP_200, NODE_200, USTREAMER_200, LAST_200, LAST_SEND_LOOP_200}},
    {"two servers in turns, 10 clients", measure_10, {SIMCASTD_10, NODE_10}},
    {"two servers in turns, 1,000 clients", measure_1000, {SIMCASTD_1000, SEND_LOOP_1000}},
    {"400 clients at 60 Hz, then 200 that stall",
     measure_400,
     {FPS_400, AGES_400, FPS_STALLED, MEMORY_STALLED}},
    {"a slow reader", measure_slow, {SLOW, SLOW_NODE}},
    {"1,000 clients wait", measure_wake, {WAKE_1000}},
};

/* ---- metrics ------------------------------------------------------------------------------- */

#define NS_TO_US 1e-3
#define NS_TO_MS 1e-6
#define NS_TO_S 1e-9

static const struct bench_metric metrics[] = {
    {.name = "cpu_per_gb_vs_send_loop_200",
     .unit = "ratio",
     .figure = SIMCASTD_200,
     .yardstick = SEND_LOOP_200,
     .is_ratio = true,
     .target = 1.05},
    {.name = "cpu_per_gb_vs_send_loop_1000",
     .unit = "ratio",
     .figure = SIMCASTD_1000,
     .yardstick = SEND_LOOP_1000,
     .is_ratio = true,
     .target = 1.10},
    {.name = "cpu_per_gb_vs_node_ws_10",
     .unit = "ratio",
     .figure = SIMCASTD_10,
     .yardstick = NODE_10,
     .is_ratio = true,
     .target = 0.40},
    {.name = "cpu_per_gb_vs_node_ws_200",
     .unit = "ratio",
     .figure = SIMCASTD_200,
     .yardstick = NODE_200,
     .is_ratio = true,
     .target = 0.90},
    {.name = "cpu_per_gb_vs_ustreamer_200",
     .unit = "ratio",
     .figure = SIMCASTD_200,
     .yardstick = USTREAMER_200,
     .is_ratio = true,
     .target = 0.30},
    {.name = "cpu_s_per_gb_200", .unit = "s", .figure = SIMCASTD_200, .scale = NS_TO_S},
    {.name = "p99_ms_200",
     .unit = "ms",
     .figure = LAST_200,
     .yardstick = LAST_SEND_LOOP_200,
     .percentile = 99,
     .scale = NS_TO_MS,
     .target = 7},
    {.name = "clients_400_min_fps",
     .unit = "1/s",
     .figure = FPS_400,
     .better = RECORD_HIGHER,
     .target = 59.5},
    {.name = "clients_400_p99_ms",
     .unit = "ms",
     .figure = AGES_400,
     .percentile = 99,
     .scale = NS_TO_MS,
     .target = 10},
    {.name = "stalled_200_good_min_fps",
     .unit = "1/s",
     .figure = FPS_STALLED,
     .better = RECORD_HIGHER,
     .target = 59},
    {.name = "stalled_200_rss_growth", .unit = "times", .figure = MEMORY_STALLED, .target = 1.2},
    {.name = "slow_reader_age_vs_node_ws",
     .unit = "ratio",
     .figure = SLOW,
     .yardstick = SLOW_NODE,
     .is_ratio = true,
     .target = 0.10},
    {.name = "slow_reader_age_ms", .unit = "ms", .figure = SLOW, .scale = NS_TO_MS},
    {.name = "wake_1000_p50_us",
     .unit = "us",
     .figure = WAKE_1000,
     .scale = NS_TO_US,
     .target = 100},
};

const struct bench_case case_fanout = {
    .name = "fanout",
    .summary = "one stream to very many clients, some of them bad ones",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = sizeof(probes) / sizeof(probes[0]),
    .metrics = metrics,
    .metric_count = sizeof(metrics) / sizeof(metrics[0]),
};
