/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case `hal`: the control loop at 1 kHz with the policy "stand", from the state
 * published to the action that answers it applied, against the same hops between bare ZeroMQ inproc
 * sockets at the same rate; its schedule; how soon it obeys a HOLD or an ESTOP; whether
 * pictures are copied on their way to the policy. The robot is played by the probe.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"
#include "bench/cases.h"
#include "hal/hal.h"
#include "hal/pose.h"
#include "proto/gate_state.h"
#include "proto/robot_action.h"
#include "safety/gate.h"
#include "shm/ring.h"

#define RATE_HZ 1000
#define PERIOD_NS (NS_PER_S / RATE_HZ)
#define PERIODS 4000
#define PERIODS_BRIEF 1000
#define WARM_UP 300 /* the rings attach */
#define PATH_BYTES 4096

#define STOP_RATE_HZ 100
#define STOP_STATE_NS (2 * NS_PER_MS)
#define STOPS 20
#define STOPS_BRIEF 6
#define STOP_NS_MAX (500 * NS_PER_MS)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum figure {
    ROUNDTRIP = 1,
    BARE,
    JITTER,
    OVERRUNS,
    STOP_PERIODS,
    COPIED,
    FIGURE_COUNT,
};

static const char *const figures[FIGURE_COUNT] = {
    [ROUNDTRIP] = "state published to action applied",
    [BARE] = "the same three hops over bare inproc sockets",
    [JITTER] = "how late a period begins",
    [OVERRUNS] = "periods skipped",
    [STOP_PERIODS] = "periods that did not obey the gate's HOLD or ESTOP",
    [COPIED] = "bytes of pictures copied",
};

/* ---- the robot ------------------------------------------------------------------------------ */

static void publish_state(struct ring_producer *ring, uint64_t step, enum gate_mode mode)
{
    struct robot_state state = {.magic = ROBOT_STATE_MAGIC,
                                .mode = mode,
                                .step = step,
                                .sim_time_ns = (int64_t)step * PERIOD_NS,
                                .orientation_xyzw = {0, 0, 0, 1},
                                .alpha = 1};
    struct ring_frame frame = {.payload_bytes = sizeof(state), .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;

    pose_stand(state.joint_position_rad);
    if (ring_loan(ring, &loan) < 0)
        return;
    memcpy(loan.payload, &state, sizeof(state));
    (void)ring_publish(ring, &loan, &frame);
}

static void sleep_until(int64_t when_ns)
{
    struct timespec when = {.tv_sec = when_ns / NS_PER_S, .tv_nsec = when_ns % NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

static int start(struct bench_round *round, unsigned rate_hz, struct ring_producer **ret_states,
                 struct hal **ret_hal)
{
    struct ring_producer_config ring = {.dir = round->dir,
                                        .stream = "robot",
                                        .kind = RING_KIND_STATE,
                                        .payload_bytes_max = sizeof(struct robot_state)};
    struct hal_config config = {.dir = round->dir,
                                .stream = "robot",
                                .policy = "stand",
                                .rate_hz = rate_hz,
                                .action_ns_max = 50 * NS_PER_MS,
                                .patience = 10,
                                .hal_thread.cpu = -1,
                                .inference_thread.cpu = -1};
    int error = ring_producer_open(&ring, ret_states);

    if (error < 0)
        return error;
    error = hal_create(&config, ret_hal);
    if (error < 0)
        ring_producer_close(*ret_states);
    return error;
}

/* ---- probes --------------------------------------------------------------------------------- */

static void subtract(struct histogram *from, const struct histogram *what)
{
    from->count -= what->count;
    from->sum_ns -= what->sum_ns;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        from->buckets[i] -= what->buckets[i];
    /* The largest of what remains: to the upper edge of its bucket. */
    from->max_ns = histogram_percentile_ns(from, 100);
}

static int measure_loop(struct bench_round *round)
{
    static struct stats_values before;
    static struct stats_values after;
    struct ring_producer *states;
    struct hal *hal;
    int error = start(round, RATE_HZ, &states, &hal);

    if (error < 0)
        return error;
    unsigned periods = round->brief ? PERIODS_BRIEF : PERIODS;
    int64_t due_ns = clock_now_ns();
    for (unsigned i = 1; i <= WARM_UP + periods; i++) {
        publish_state(states, i, GATE_ARMED);
        sleep_until(due_ns += PERIOD_NS);
        if (i == WARM_UP)
            hal_stats(hal, &before);
    }
    hal_stats(hal, &after);
    hal_destroy(hal);
    ring_producer_close(states);
    subtract(&after.reaction, &before.reaction);
    subtract(&after.jitter, &before.jitter);
    if (after.reaction.count < periods / 2)
        return -EIO; /* the loop did not do its work: no figure */
    histogram_merge(bench_samples(round, ROUNDTRIP), &after.reaction);
    histogram_merge(bench_samples(round, JITTER), &after.jitter);
    bench_number(round, OVERRUNS, (double)(after.overruns - before.overruns));
    return 0;
}

/* Three threads, three hops: the robot to the loop, the loop to the inference, and back. */
struct ping_pong {
    void *context;
    struct histogram *latency;
    atomic_uint ready; /* of the other two; released when its sockets are connected */
};

static void *connected(struct ping_pong *game, int type, const char *url)
{
    void *socket = zmq_socket(game->context, type);

    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    zmq_connect(socket, url);
    return socket;
}

/* The inference's two hops and nothing else. */
static void *echo(void *argument)
{
    struct ping_pong *game = argument;
    void *subscriber = connected(game, ZMQ_SUB, "inproc://out");
    void *pusher = connected(game, ZMQ_PUSH, "inproc://back");
    char observation[sizeof(struct hal_observation)];
    char action[sizeof(struct hal_action)] = {0};

    atomic_fetch_add_explicit(&game->ready, 1, memory_order_release);
    while (zmq_recv(subscriber, observation, sizeof(observation), 0) >= 0) {
        if (zmq_send(pusher, action, sizeof(action), 0) < 0)
            break;
    }
    zmq_close(subscriber);
    zmq_close(pusher);
    return NULL;
}

/* The loop's: from the robot's state, by way of the inference, to an action. */
static void *answer(void *argument)
{
    struct ping_pong *game = argument;
    void *states = connected(game, ZMQ_SUB, "inproc://states");
    void *publisher = zmq_socket(game->context, ZMQ_PUB);
    void *puller = zmq_socket(game->context, ZMQ_PULL);
    char observation[sizeof(struct hal_observation)] = {0};
    char action[sizeof(struct hal_action)];
    int patience_ms = 100; /* the first message may come before the subscription */
    int64_t stamp_ns;

    zmq_setsockopt(puller, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
    zmq_bind(publisher, "inproc://out");
    zmq_bind(puller, "inproc://back");
    atomic_fetch_add_explicit(&game->ready, 1, memory_order_release);
    for (unsigned i = 0; zmq_recv(states, &stamp_ns, sizeof(stamp_ns), 0) >= 0; i++) {
        zmq_send(publisher, observation, sizeof(observation), 0);
        if (zmq_recv(puller, action, sizeof(action), 0) >= 0 && i >= WARM_UP)
            histogram_record(game->latency, clock_now_ns() - stamp_ns);
    }
    zmq_close(states);
    zmq_close(publisher);
    zmq_close(puller);
    return NULL;
}

static void play(void *publisher, unsigned periods)
{
    int64_t due_ns = clock_now_ns();

    for (unsigned i = 0; i < WARM_UP + periods; i++) {
        sleep_until(due_ns += PERIOD_NS);
        int64_t stamp_ns = clock_now_ns();
        zmq_send(publisher, &stamp_ns, sizeof(stamp_ns), 0);
    }
}

static int measure_bare(struct bench_round *round)
{
    struct ping_pong game = {.context = zmq_ctx_new(), .latency = bench_samples(round, BARE)};
    void *publisher = zmq_socket(game.context, ZMQ_PUB);
    unsigned periods = round->brief ? PERIODS_BRIEF : PERIODS;
    pthread_t others[2];
    unsigned count = 0;

    int error = zmq_bind(publisher, "inproc://states") < 0 ? -errno : 0;
    if (error == 0)
        error = -pthread_create(&others[count], NULL, answer, &game);
    count += error == 0;
    if (error == 0)
        error = -pthread_create(&others[count], NULL, echo, &game);
    count += error == 0;
    if (error == 0) {
        while (atomic_load_explicit(&game.ready, memory_order_acquire) < count)
            sleep_until(clock_now_ns() + NS_PER_MS);
        play(publisher, periods);
        sleep_until(clock_now_ns() + PERIOD_NS); /* the last one's answer */
    }
    zmq_ctx_shutdown(game.context);
    for (unsigned i = 0; i < count; i++)
        pthread_join(others[i], NULL);
    zmq_close(publisher);
    zmq_ctx_term(game.context);
    return error < 0 || game.latency->count >= periods / 2 ? error : -EIO;
}

/* The robot says ARMED all the time; the gate tells by its ring, as simcastd does. */
struct stop_probe {
    struct ring_producer *states;
    struct ring_producer *gates;
    struct ring_consumer *actions;
    uint64_t step;
};

static void publish_gate(struct ring_producer *ring, enum gate_mode mode)
{
    struct gate_state gate = {.magic = GATE_STATE_MAGIC, .mode = mode, .told_ns = clock_now_ns()};
    struct ring_frame frame = {.payload_bytes = sizeof(gate), .flags = RING_FRAME_KEYFRAME};
    struct ring_loan loan;

    if (ring_loan(ring, &loan) < 0)
        return;
    memcpy(loan.payload, &gate, sizeof(gate));
    (void)ring_publish(ring, &loan, &frame);
}

/* Actions made after told_ns that are not in `mode`, until one is; negative: none ever was. */
static int count_disobeying(struct stop_probe *probe, enum gate_mode mode)
{
    publish_gate(probe->gates, mode);
    int64_t told_ns = clock_now_ns();
    int64_t due_ns = told_ns;
    int disobeying = 0;
    struct ring_view view;

    while (due_ns - told_ns < STOP_NS_MAX) {
        while (ring_acquire(probe->actions, RING_NEXT, &view) == 0) {
            struct robot_action action;
            memcpy(&action, view.payload, sizeof(action));
            ring_release(probe->actions, &view);
            if (action.mode == mode)
                return disobeying;
            disobeying += action.made_ns > told_ns;
        }
        publish_state(probe->states, ++probe->step, GATE_ARMED);
        publish_gate(probe->gates, mode);
        sleep_until(due_ns += STOP_STATE_NS);
    }
    return -ETIMEDOUT;
}

static int open_stop_probe(struct bench_round *round, struct stop_probe *probe)
{
    struct ring_consumer_config actions = {
        .dir = round->dir, .stream = "robot", .kind = RING_KIND_ACTIONS};
    struct ring_producer_config gates = {.dir = round->dir,
                                         .stream = "robot",
                                         .kind = RING_KIND_GATE,
                                         .payload_bytes_max = sizeof(struct gate_state)};
    int error = ring_producer_open(&gates, &probe->gates);

    return error < 0 ? error : ring_consumer_open(&actions, &probe->actions);
}

static int measure_stops(struct bench_round *round)
{
    static const enum gate_mode sequence[] = {GATE_ARMED, GATE_HOLD, GATE_ARMED, GATE_ESTOP};
    struct stop_probe probe = {0};
    struct hal *hal;
    int worst = 0;
    int error = start(round, STOP_RATE_HZ, &probe.states, &hal);

    if (error < 0)
        return error;
    error = open_stop_probe(round, &probe);
    unsigned stops = round->brief ? STOPS_BRIEF : STOPS;
    for (unsigned i = 0; error == 0 && i < 2 * (stops + 1); i++) {
        enum gate_mode mode = sequence[i % LENGTH(sequence)];
        int disobeying = count_disobeying(&probe, mode);
        /* The first one waits until the loop has found the gate's ring. */
        if (mode != GATE_ARMED && i > 1 && disobeying > worst)
            worst = disobeying;
        error = disobeying < 0 ? disobeying : 0;
    }
    ring_consumer_close(probe.actions);
    hal_destroy(hal);
    ring_producer_close(probe.gates);
    ring_producer_close(probe.states);
    bench_number(round, STOP_PERIODS, worst);
    return error;
}

/* Beside this program; prints "PICTURES COPIED". */
static int measure_copies(struct bench_round *round)
{
    char command[PATH_BYTES + 2 * BENCH_DIR_BYTES];
    char path[PATH_BYTES];
    unsigned long pictures = 0;
    unsigned long copied = 0;
    ssize_t count = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (count <= 0)
        return -ENOENT;
    path[count] = '\0';
    snprintf(command, sizeof(command), "'%s-hal-copies' '%s'", path, round->dir);
    FILE *output = popen(command, "re"); // NOLINT(cert-env33-c): both are our own paths
    if (!output)
        return -errno;
    int fields = fscanf(output, "%lu %lu", &pictures, &copied);
    int status = pclose(output);
    if (status != 0 || fields != 2 || pictures == 0)
        return -EIO;
    bench_number(round, COPIED, (double)copied);
    return 0;
}

static const struct bench_probe probes[] = {
    {"HAL at 1 kHz", measure_loop, {ROUNDTRIP, JITTER, OVERRUNS}},
    {"bare inproc ping-pong", measure_bare, {BARE}},
    {"HOLD and ESTOP", measure_stops, {STOP_PERIODS}},
    {"copies of pictures", measure_copies, {COPIED}},
};

#define NS_TO_US 1e-3

static const struct bench_metric metrics[] = {
    {.name = "inproc_roundtrip_p50_us",
     .unit = "us",
     .figure = ROUNDTRIP,
     .scale = NS_TO_US,
     .target = 120},
    {.name = "inproc_roundtrip_p99_us",
     .unit = "us",
     .figure = ROUNDTRIP,
     .percentile = 99,
     .scale = NS_TO_US,
     .target = 400},
    {.name = "roundtrip_vs_bare_inproc",
     .unit = "ratio",
     .figure = ROUNDTRIP,
     .yardstick = BARE,
     .is_ratio = true,
     .target = 1.5},
    {.name = "period_jitter_p99_us",
     .unit = "us",
     .figure = JITTER,
     .percentile = 99,
     .scale = NS_TO_US},
    {.name = "overruns", .unit = "periods", .figure = OVERRUNS},
    /* The target is 0; any copied byte misses one below 1. */
    {.name = "image_bytes_copied", .unit = "bytes", .figure = COPIED, .target = 0.5},
    {.name = "estop_to_hold_periods", .unit = "periods", .figure = STOP_PERIODS, .target = 1},
};

const struct bench_case case_hal = {
    .name = "hal",
    .summary = "the control loop at 1 kHz, its schedule, its stop, its pictures",
    .figures = figures,
    .figure_count = FIGURE_COUNT,
    .probes = probes,
    .probe_count = LENGTH(probes),
    .metrics = metrics,
    .metric_count = LENGTH(metrics),
};
