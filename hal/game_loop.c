/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the rings of the robot that is played, on its own thread, and a consumer of the actions
 * on the calling thread. What the actions are checked against is shared under one lock.
 */
#include "hal/game_loop.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "hal/pose.h"
#include "proto/pixel.h"
#include "proto/robot_action.h"
#include "safety/gate.h"
#include "shm/ring.h"

#define ESTOP_EVERY_S 2
#define ESTOP_LASTS_S 0.5
#define CAMERA_WIDTH 320
#define CAMERA_HEIGHT 240
#define CAMERA_EVERY 4 /* states */
#define TICK_MS 100
#define SWING_RAD 0.05
#define EARLIER_MODES_NS (20 * NS_PER_MS) /* an action may be on its way when the mode changes */

struct game {
    const struct hal_config *config;
    struct ring_producer *states;
    struct ring_producer *cameras[POLICY_IMAGE_COUNT];
    pthread_t thread;
    bool running;
    atomic_bool stop;            /* relaxed: the join orders everything else */
    atomic_uint mode;            /* released with estop_ns by the robot's thread */
    atomic_int_fast64_t mode_ns; /* when the mode began */
    atomic_uint_fast64_t state_count;
    atomic_uint_fast64_t frame_count;

    /* The checker's. */
    struct ring_consumer *actions;
    uint64_t action_count;
    uint64_t bad;
    uint64_t step;        /* of the last action */
    uint64_t estops;      /* seen in actions */
    int64_t estop_ns_max; /* from the state that said it to the first action that obeys */
    uint32_t last_mode;
};

/* ---- the robot ------------------------------------------------------------------------------ */

static struct robot_state state_at(uint64_t step, int64_t period_ns, enum gate_mode mode)
{
    double time_s = (double)step * (double)period_ns * 1e-9;
    struct robot_state state = {
        .magic = ROBOT_STATE_MAGIC,
        .mode = mode,
        .sim_time_ns = (int64_t)step * period_ns,
        .step = step,
        .position_m = {0, 0, 0.3},
        .orientation_xyzw = {0, 0, 0, 1},
        .command = {mode == GATE_ARMED ? (float)(0.4 * sin(time_s)) : 0, 0, 0},
        .alpha = 1,
    };

    pose_stand(state.joint_position_rad);
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        state.joint_position_rad[i] += (float)(SWING_RAD * sin(3 * time_s + i));
    return state;
}

static void publish_frame(struct game *game, struct ring_producer *camera, unsigned index,
                          uint64_t step)
{
    bool colour = index <= POLICY_RGB_CAMERA_2;
    uint32_t stride_bytes = CAMERA_WIDTH * (colour ? 3 : 4);
    struct ring_loan loan;
    struct ring_frame frame = {.frame_id = step,
                               .payload_bytes = (uint64_t)stride_bytes * CAMERA_HEIGHT,
                               .flags = RING_FRAME_KEYFRAME,
                               .fourcc = colour ? PIXEL_RGB24 : PIXEL_DEPTH,
                               .width = CAMERA_WIDTH,
                               .height = CAMERA_HEIGHT,
                               .stride_bytes = stride_bytes};

    if (ring_loan(camera, &loan) < 0)
        return;
    memset(loan.payload, (int)(step & 0x3f), frame.payload_bytes);
    if (ring_publish(camera, &loan, &frame) > 0)
        atomic_fetch_add_explicit(&game->frame_count, 1, memory_order_relaxed);
}

static void publish_state(struct game *game, const struct robot_state *state)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = state->step, .payload_bytes = sizeof(*state), .flags = RING_FRAME_KEYFRAME};

    if (ring_loan(game->states, &loan) < 0)
        return;
    memcpy(loan.payload, state, sizeof(*state));
    if (ring_publish(game->states, &loan, &frame) > 0)
        atomic_fetch_add_explicit(&game->state_count, 1, memory_order_relaxed);
}

static enum gate_mode mode_at(uint64_t step, int64_t period_ns)
{
    double time_s = fmod((double)step * (double)period_ns * 1e-9, ESTOP_EVERY_S);

    return time_s >= ESTOP_EVERY_S - ESTOP_LASTS_S ? GATE_ESTOP : GATE_ARMED;
}

static void *play(void *argument)
{
    struct game *game = argument;
    int64_t period_ns = NS_PER_S / game->config->rate_hz;
    int64_t due_ns = clock_now_ns();

    for (uint64_t step = 1; !atomic_load_explicit(&game->stop, memory_order_relaxed); step++) {
        enum gate_mode mode = mode_at(step, period_ns);
        struct robot_state state = state_at(step, period_ns, mode);
        for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++) {
            if (game->cameras[i] && step % CAMERA_EVERY == 0)
                publish_frame(game, game->cameras[i], i, step);
        }
        if (mode != atomic_load_explicit(&game->mode, memory_order_relaxed)) {
            atomic_store_explicit(&game->mode_ns, clock_now_ns(), memory_order_relaxed);
            atomic_store_explicit(&game->mode, mode, memory_order_release);
        }
        publish_state(game, &state);
        due_ns += period_ns;
        struct timespec when = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
            continue;
    }
    return NULL;
}

/* ---- the checker ---------------------------------------------------------------------------- */

/* What is wrong with the action; NULL: nothing. */
static const char *complaint(const struct game *game, const struct robot_action *action)
{
    /* Pairs with the release in play. */
    uint32_t mode = atomic_load_explicit(&game->mode, memory_order_acquire);
    int64_t mode_ns = atomic_load_explicit(&game->mode_ns, memory_order_relaxed);

    if (action->magic != ROBOT_ACTION_MAGIC)
        return "it is none";
    for (unsigned i = 0; i < ROBOT_JOINTS; i++) {
        if (!isfinite(action->joint_position_rad[i]) || fabsf(action->joint_position_rad[i]) > 3.2F)
            return "a joint's target is out of range";
    }
    if (action->stiffness_nm_per_rad <= 0 || action->damping_nms_per_rad < 0)
        return "its gains are out of range";
    if (action->made_ns < action->state_ns)
        return "it was made before the state that it answers";
    if (action->step < game->step)
        return "it answers an older state than the one before it";
    if (mode == GATE_ESTOP && action->mode != GATE_ESTOP &&
        action->made_ns - mode_ns > EARLIER_MODES_NS + NS_PER_S / game->config->rate_hz)
        return "it does not obey the ESTOP";
    return NULL;
}

static void check(struct game *game, const struct ring_view *view)
{
    struct robot_action action = {0};

    if (view->frame.payload_bytes == sizeof(action))
        memcpy(&action, view->payload, sizeof(action));
    const char *why = complaint(game, &action);
    if (why && game->bad++ == 0)
        log_error("game loop: action %" PRIu64 " is wrong: %s", view->frame.seq, why);
    game->action_count++;
    game->step = action.step;
    if (action.mode == GATE_ESTOP && game->last_mode != GATE_ESTOP) {
        int64_t after_ns =
            action.made_ns - atomic_load_explicit(&game->mode_ns, memory_order_relaxed);
        game->estops++;
        game->estop_ns_max = after_ns > game->estop_ns_max ? after_ns : game->estop_ns_max;
    }
    game->last_mode = action.mode;
}

static void watch(struct game *game, unsigned seconds, int stop_fd)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                           {.fd = ring_consumer_fd(game->actions), .events = POLLIN}};
    int64_t end_ns = seconds ? clock_now_ns() + (int64_t)seconds * NS_PER_S : INT64_MAX;
    struct ring_view view;

    while (fds[0].revents == 0 && clock_now_ns() < end_ns) {
        poll(fds, 2, TICK_MS);
        while (ring_acquire(game->actions, RING_NEXT, &view) == 0) {
            check(game, &view);
            (void)ring_release(game->actions, &view);
        }
    }
}

static void print_result(const struct game *game, const struct stats_values *stats)
{
    int64_t period_ns = NS_PER_S / game->config->rate_hz;

    printf("{\"states\":%" PRIuFAST64 ",\"actions\":%" PRIu64 ",\"bad\":%" PRIu64
           ",\"estops\":%" PRIu64 ",\"estop_periods_max\":%.2f,\"frames\":%" PRIuFAST64
           ",\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f},\"jitter_us\":{\"p99\":%.1f}"
           ",\"overruns\":%" PRIu64 "}\n",
           atomic_load(&game->state_count), game->action_count, game->bad, game->estops,
           (double)game->estop_ns_max / (double)period_ns, atomic_load(&game->frame_count),
           (double)histogram_percentile_ns(&stats->latency, 50) / (double)NS_PER_US,
           (double)histogram_percentile_ns(&stats->latency, 99) / (double)NS_PER_US,
           (double)histogram_percentile_ns(&stats->jitter, 99) / (double)NS_PER_US,
           stats->overruns);
    fflush(stdout);
}

/* ---- begin and end -------------------------------------------------------------------------- */

static int open_rings(struct game *game)
{
    const struct hal_config *config = game->config;
    struct ring_producer_config ring = {.dir = config->dir,
                                        .stream = config->stream,
                                        .kind = RING_KIND_STATE,
                                        .payload_bytes_max = sizeof(struct robot_state)};
    int error = ring_producer_open(&ring, &game->states);

    ring.kind = RING_KIND_FRAMES;
    ring.payload_bytes_max = (size_t)4 * CAMERA_WIDTH * CAMERA_HEIGHT;
    for (unsigned i = 0; error == 0 && i < POLICY_IMAGE_COUNT; i++) {
        ring.stream = config->cameras[i];
        if (ring.stream)
            error = ring_producer_open(&ring, &game->cameras[i]);
    }
    if (error < 0)
        log_error("game loop: cannot play the robot '%s' in %s: %s: choose a directory of its own "
                  "with --ipc-dir",
                  config->stream, config->dir, strerrordesc_np(-error));
    if (error == 0) {
        struct ring_consumer_config actions = {
            .dir = config->dir, .stream = config->stream, .kind = RING_KIND_ACTIONS};
        error = ring_consumer_open(&actions, &game->actions);
    }
    if (error == 0) {
        error = -pthread_create(&game->thread, NULL, play, game);
        game->running = error == 0;
    }
    return error;
}

static void close_rings(struct game *game)
{
    atomic_store_explicit(&game->stop, true, memory_order_relaxed);
    if (game->running)
        pthread_join(game->thread, NULL);
    ring_consumer_close(game->actions);
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++)
        ring_producer_close(game->cameras[i]);
    ring_producer_close(game->states);
}

int game_loop_run(const struct hal_config *config, unsigned seconds, int stop_fd)
{
    struct game *game = calloc(1, sizeof(*game));
    struct stats_values *stats = calloc(1, sizeof(*stats));
    struct hal *hal = NULL;
    int error = game && stats ? 0 : -ENOMEM;

    if (error == 0) {
        game->config = config;
        error = open_rings(game);
    }
    if (error == 0)
        error = hal_create(config, &hal);
    if (error == 0) {
        watch(game, seconds, stop_fd);
        hal_stats(hal, stats);
        print_result(game, stats);
        if (game->bad > 0 || 2 * game->action_count < atomic_load(&game->state_count))
            error = -EBADMSG;
    }
    hal_destroy(hal);
    if (game)
        close_rings(game);
    free(stats);
    free(game);
    return error;
}
