/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `ring`: a 1080p picture from one process to another, against what else could carry it, and
 * what misbehaving consumers cost. Runs in the harness; each probe has its own processes and
 * leaves none.
 */
#include <errno.h>

#include <sched.h>

#include "base/clock.h"
#include "bench/cases.h"
#include "bench/ring_probes.h"
#include "bench/yardsticks.h"

#define GAP_NS (NS_PER_S / 120)
#define FRAMES 300
#define FRAMES_BRIEF 80
#define WARM_UP 40 /* the consumer learns the rhythm */
#define SMALL_BYTES 64
#define SMALL_GAP_NS (50 * NS_PER_US)
#define SMALL_FRAMES 10000
#define SMALL_WARM_UP 200
#define KILLS 20
#define KILLS_BRIEF 5

enum figure {
    ADAPTIVE = 1,
    ADAPTIVE_CORE,
    ADAPTIVE_WAKE,
    UNRHYTHMIC,
    UNRHYTHMIC_CORE,
    UNRHYTHMIC_WAKE,
    ZEROMQ,
    ZEROMQ_CORE,
    GST,
    POLLED,
    LOAN_PUBLISH_0,
    LOAN_PUBLISH_16,
    PUBLISH_1_WAITING,
    PUBLISH_16_WAITING,
    FLOOD,
    MEMCPY,
    STOPPED_CALLS,
    STOPPED_AGE,
    RECLAIM,
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [ADAPTIVE] = "ring, 1080p at 120 Hz",
    [ADAPTIVE_CORE] = "its consumer's share of a core",
    [ADAPTIVE_WAKE] = "bare eventfd wake at 120 Hz",
    [UNRHYTHMIC] = "ring, 1080p at random",
    [UNRHYTHMIC_CORE] = "its consumer's share of a core",
    [UNRHYTHMIC_WAKE] = "bare eventfd wake at random",
    [ZEROMQ] = "ZeroMQ ipc, 1080p at 120 Hz",
    [ZEROMQ_CORE] = "its receiver's share of a core",
    [GST] = "GStreamer shmsink to shmsrc, 1080p at 120 Hz",
    [POLLED] = "ring, 64 B, polled",
    [LOAN_PUBLISH_0] = "loan and publish, no consumer",
    [LOAN_PUBLISH_16] = "loan and publish, 16 idle consumers",
    [PUBLISH_1_WAITING] = "publish to 1 waiting consumer",
    [PUBLISH_16_WAITING] = "publish to 16 waiting consumers",
    [FLOOD] = "ring, 1080p unpaced",
    [MEMCPY] = "memcpy alone",
    [STOPPED_CALLS] = "loan and publish beside a stopped consumer",
    [STOPPED_AGE] = "first frame of a consumer that was stopped",
    [RECLAIM] = "slot back from a killed consumer",
};

/* ---- probes -------------------------------------------------------------------------------- */

/* Carries 1080p pictures, about 120 a second; core 0 means that nobody asks for it. */
static int deliver(struct bench_round *round, const struct courier *courier,
                   enum delivery_rhythm rhythm, enum figure latency, enum figure core)
{
    struct delivery_result result;
    struct delivery delivery = {
        .courier = courier,
        .dir = round->dir,
        .picture_bytes = DELIVERY_1080P_BYTES,
        .pictures = round->brief ? FRAMES_BRIEF : FRAMES,
        .warm_up = WARM_UP,
        .rhythm = rhythm,
        .gap_ns = GAP_NS,
        .seed = round->seed,
    };
    int error = delivery_run(&delivery, &result);

    if (error < 0)
        return error;
    histogram_merge(bench_samples(round, latency), &result.latency);
    if (core)
        bench_number(round, core, result.receiver_core_percent);
    return 0;
}

static int measure_adaptive(struct bench_round *round)
{
    return deliver(round, &courier_ring, DELIVERY_STEADY, ADAPTIVE, ADAPTIVE_CORE);
}

static int measure_adaptive_wake(struct bench_round *round)
{
    return deliver(round, &courier_eventfd, DELIVERY_STEADY, ADAPTIVE_WAKE, 0);
}

static int measure_unrhythmic(struct bench_round *round)
{
    return deliver(round, &courier_ring, DELIVERY_RANDOM, UNRHYTHMIC, UNRHYTHMIC_CORE);
}

static int measure_unrhythmic_wake(struct bench_round *round)
{
    return deliver(round, &courier_eventfd, DELIVERY_RANDOM, UNRHYTHMIC_WAKE, 0);
}

static int measure_zeromq(struct bench_round *round)
{
    return deliver(round, &courier_zeromq, DELIVERY_STEADY, ZEROMQ, ZEROMQ_CORE);
}

static int measure_gst(struct bench_round *round)
{
    const char *missing = yardstick_gst_missing();

    if (!missing)
        return deliver(round, &courier_gst, DELIVERY_STEADY, GST, 0);
    bench_skip(round, GST, "%s", missing);
    return 0;
}

static unsigned cores(void)
{
    cpu_set_t allowed;

    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 1;
}

static int measure_polled(struct bench_round *round)
{
    struct delivery_result result;
    struct delivery delivery = {
        .courier = &courier_ring_polled,
        .dir = round->dir,
        .picture_bytes = SMALL_BYTES,
        .pictures = SMALL_FRAMES,
        .warm_up = SMALL_WARM_UP,
        .rhythm = DELIVERY_SPIN,
        .gap_ns = SMALL_GAP_NS,
    };

    if (cores() < 2) {
        bench_skip(round, POLLED, "polling needs a core for each side; this machine has one");
        return 0;
    }
    int error = delivery_run(&delivery, &result);
    if (error == 0)
        histogram_merge(bench_samples(round, POLLED), &result.latency);
    return error;
}

static int measure_loan_publish_0(struct bench_round *round)
{
    return ring_loan_publish(round->dir, 0, bench_samples(round, LOAN_PUBLISH_0));
}

static int measure_loan_publish_16(struct bench_round *round)
{
    return ring_loan_publish(round->dir, 16, bench_samples(round, LOAN_PUBLISH_16));
}

static int measure_publish_1_waiting(struct bench_round *round)
{
    return ring_publish_to_waiting(round->dir, 1, round->brief,
                                   bench_samples(round, PUBLISH_1_WAITING));
}

static int measure_publish_16_waiting(struct bench_round *round)
{
    return ring_publish_to_waiting(round->dir, 16, round->brief,
                                   bench_samples(round, PUBLISH_16_WAITING));
}

static double pictures_per_second(const struct histogram *picture_times)
{
    return (double)NS_PER_S / (double)histogram_percentile_ns(picture_times, 50);
}

static int measure_flood(struct bench_round *round)
{
    struct ring_flood flood = {0};
    int error = ring_flood(round->dir, &flood);

    if (error < 0)
        return error;
    bench_number(round, FLOOD, pictures_per_second(&flood.frames));
    bench_number(round, MEMCPY, pictures_per_second(&flood.copies));
    return 0;
}

static int measure_stopped(struct bench_round *round)
{
    int64_t age_ns;
    int error = ring_stopped_consumer(round->dir, bench_samples(round, STOPPED_CALLS), &age_ns);

    if (error == 0)
        histogram_record(bench_samples(round, STOPPED_AGE), age_ns);
    return error;
}

static int measure_reclaim(struct bench_round *round)
{
    return ring_killed_consumers(round->dir, round->brief ? KILLS_BRIEF : KILLS,
                                 bench_samples(round, RECLAIM));
}

/* A yardstick runs right after what it is compared with. */
static const struct bench_probe probes[] = {
    {"ring, 1080p at 120 Hz", measure_adaptive, {ADAPTIVE, ADAPTIVE_CORE}},
    {"eventfd at 120 Hz", measure_adaptive_wake, {ADAPTIVE_WAKE}},
    {"ZeroMQ ipc", measure_zeromq, {ZEROMQ, ZEROMQ_CORE}},
    {"GStreamer shm", measure_gst, {GST}},
    {"ring, 1080p at random", measure_unrhythmic, {UNRHYTHMIC, UNRHYTHMIC_CORE}},
    {"eventfd at random", measure_unrhythmic_wake, {UNRHYTHMIC_WAKE}},
    {"ring, unpaced, and memcpy", measure_flood, {FLOOD, MEMCPY}},
    {"ring, 64 B polled", measure_polled, {POLLED}},
    {"loan and publish, alone", measure_loan_publish_0, {LOAN_PUBLISH_0}},
    {"loan and publish, 16 idle", measure_loan_publish_16, {LOAN_PUBLISH_16}},
    {"publish, 1 waiting", measure_publish_1_waiting, {PUBLISH_1_WAITING}},
    {"publish, 16 waiting", measure_publish_16_waiting, {PUBLISH_16_WAITING}},
    {"stopped consumer", measure_stopped, {STOPPED_CALLS, STOPPED_AGE}},
    {"killed consumers", measure_reclaim, {RECLAIM}},
};

/* ---- metrics ------------------------------------------------------------------------------- */

#define NS_TO_US 1e-3
#define NS_TO_MS 1e-6
#define ONE_PERIOD_MS 8.34

static const struct bench_metric metrics[] = {
    {.name = "adaptive_1080p_120hz_p50_us",
     .unit = "us",
     .figure = ADAPTIVE,
     .yardstick = ADAPTIVE_WAKE,
     .scale = NS_TO_US,
     .target = 3},
    {.name = "adaptive_core_percent", .unit = "%", .figure = ADAPTIVE_CORE, .target = 3},
    {.name = "poll_64b_p50_us", .unit = "us", .figure = POLLED, .scale = NS_TO_US, .target = 0.5},
    {.name = "loan_publish_0_ns", .unit = "ns", .figure = LOAN_PUBLISH_0, .target = 150},
    {.name = "loan_publish_16_ns", .unit = "ns", .figure = LOAN_PUBLISH_16, .target = 600},
    {.name = "publish_16_waiting_p50_us",
     .unit = "us",
     .figure = PUBLISH_16_WAITING,
     .yardstick = PUBLISH_1_WAITING,
     .scale = NS_TO_US},
    {.name = "frames_per_s_vs_memcpy",
     .unit = "ratio",
     .figure = FLOOD,
     .yardstick = MEMCPY,
     .is_ratio = true,
     .better = RECORD_HIGHER,
     .target = 0.95},
    {.name = "unrhythmic_vs_eventfd_p50",
     .unit = "ratio",
     .figure = UNRHYTHMIC,
     .yardstick = UNRHYTHMIC_WAKE,
     .is_ratio = true,
     .target = 1.3},
    {.name = "unrhythmic_core_percent", .unit = "%", .figure = UNRHYTHMIC_CORE},
    {.name = "vs_zeromq_ipc_p50",
     .unit = "ratio",
     .figure = ADAPTIVE,
     .yardstick = ZEROMQ,
     .is_ratio = true,
     .target = 0.05},
    {.name = "zeromq_core_percent", .unit = "%", .figure = ZEROMQ_CORE},
    {.name = "vs_gst_shm_p50",
     .unit = "ratio",
     .figure = ADAPTIVE,
     .yardstick = GST,
     .is_ratio = true},
    {.name = "sigstop_worst_publish_us",
     .unit = "us",
     .figure = STOPPED_CALLS,
     .percentile = 100,
     .scale = NS_TO_US,
     .target = 100},
    {.name = "sigstop_first_frame_age_ms",
     .unit = "ms",
     .figure = STOPPED_AGE,
     .scale = NS_TO_MS,
     .target = ONE_PERIOD_MS},
    {.name = "reclaim_p50_ms", .unit = "ms", .figure = RECLAIM, .scale = NS_TO_MS, .target = 2},
};

const struct bench_case case_ring = {
    .name = "ring",
    .summary = "a 1080p picture from one process to another, and abuse of the ring",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = sizeof(probes) / sizeof(probes[0]),
    .metrics = metrics,
    .metric_count = sizeof(metrics) / sizeof(metrics[0]),
};
