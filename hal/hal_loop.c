/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the HAL thread and, on it, the senses, the cameras, the action ring and the link's HAL
 * side. Nothing that is away ends the loop: without a robot it idles, without an inference the
 * robot stands.
 */
#include "hal/hal_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <semaphore.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "hal/actuation.h"
#include "hal/cameras.h"
#include "hal/pose.h"
#include "hal/schedule.h"
#include "hal/senses.h"
#include "proto/robot_action.h"
#include "shm/ring.h"

#define ACTION_LEASES 4

struct hal_loop {
    struct hal_loop_config config;
    struct senses *senses;
    struct cameras *cameras;
    struct ring_producer *actions;
    struct endpoint *endpoint; /* NULL: the policy is behind the link */
    struct schedule schedule;
    struct actuation actuation;
    bool actuating; /* actuation has started from the joints' own position */

    struct hal_action action; /* the policy's newest that was accepted */
    bool has_action;
    unsigned silent;     /* periods since it came */
    enum gate_mode mode; /* that was logged last */

    pthread_t thread;
    bool running;
    atomic_bool stop; /* relaxed: the join orders everything else */
    sem_t ready;      /* posted once, when the thread has opened its side or cannot */
    int start_error;  /* valid after `ready` */
};

/* What one period did, for the statistics. */
struct period_result {
    enum gate_mode mode;
    bool sent;
    bool dropped;
    bool stood;
    unsigned answers; /* actions that were accepted */
    unsigned stale;
    bool late;           /* the observation had no answer in time */
    int64_t latency_ns;  /* of the answer that was applied; 0: none */
    int64_t reaction_ns; /* likewise, since the state was published */
};

/* ---- observation ---------------------------------------------------------------------------- */

static void look_through_cameras(struct hal_loop *loop, struct hal_observation *observation)
{
    for (unsigned i = 0; i < POLICY_IMAGE_COUNT; i++)
        observation->frames[i] = cameras_use(loop->cameras, i, &observation->policy.images[i]);
}

static void describe(const struct hal_loop *loop, const struct sense *sense,
                     struct policy_observation *ret_observation)
{
    const struct robot_state *state = &sense->state;

    ret_observation->state_ns = sense->state_ns;
    ret_observation->sim_time_ns = state->sim_time_ns;
    ret_observation->step = state->step;
    if (sense->mode == GATE_ARMED)
        memcpy(ret_observation->command, state->command, sizeof(ret_observation->command));
    memcpy(ret_observation->joint_position_rad, state->joint_position_rad,
           sizeof(ret_observation->joint_position_rad));
    memcpy(ret_observation->joint_velocity_radps, state->joint_velocity_radps,
           sizeof(ret_observation->joint_velocity_radps));
    memcpy(ret_observation->joint_target_rad, loop->actuation.applied,
           sizeof(ret_observation->joint_target_rad));
    memcpy(ret_observation->linear_velocity_mps, state->linear_velocity_mps,
           sizeof(ret_observation->linear_velocity_mps));
    memcpy(ret_observation->angular_velocity_radps, state->angular_velocity_radps,
           sizeof(ret_observation->angular_velocity_radps));
    for (unsigned i = 0; i < 4; i++)
        ret_observation->orientation_xyzw[i] = (float)state->orientation_xyzw[i];
    pose_gravity(state->orientation_xyzw, ret_observation->gravity);
}

/* Whether the policy may move the robot now. */
static bool may_follow(const struct hal_loop *loop, const struct sense *sense)
{
    bool obedient = loop->config.policy->flags & POLICY_FOLLOWS_COMMAND;

    if (sense->state_ns == 0 || pose_has_fallen(&sense->state))
        return false;
    return sense->mode == GATE_ARMED || (sense->mode == GATE_HOLD && obedient);
}

/* ---- action --------------------------------------------------------------------------------- */

static int wait_action(struct hal_loop *loop, int64_t until_ns, struct hal_action *ret_action)
{
    if (loop->endpoint)
        return endpoint_wait_command(loop->endpoint, until_ns, ret_action);
    return loop_link_wait_action(loop->config.link, until_ns, ret_action);
}

/* Takes actions until one answers `sent_ns` or the time is over; 0: only what waits already. */
static bool take_actions(struct hal_loop *loop, int64_t sent_ns, int64_t until_ns,
                         struct period_result *result)
{
    struct hal_action action;

    while (wait_action(loop, until_ns, &action) == 0) {
        int64_t age_ns = clock_now_ns() - action.sent_ns;
        if (age_ns < 0 || age_ns > loop->config.action_ns_max) {
            result->stale++;
            continue;
        }
        loop->action = action;
        loop->has_action = true;
        loop->silent = 0;
        result->answers++;
        if (sent_ns != 0 && action.sent_ns >= sent_ns)
            return true;
    }
    return false;
}

static void forget_action(struct hal_loop *loop)
{
    loop->has_action = false;
    loop->silent = 0;
}

static void publish(struct hal_loop *loop, const struct robot_action *action)
{
    struct ring_loan loan;
    struct ring_frame frame = {
        .frame_id = action->step, .payload_bytes = sizeof(*action), .flags = RING_FRAME_KEYFRAME};

    if (ring_loan(loop->actions, &loan) < 0)
        return; /* four readers hold a slot each; the next period tries again */
    memcpy(loan.payload, action, sizeof(*action));
    (void)ring_publish(loop->actions, &loan, &frame);
}

/* What the operator alone would have the joints do; NULL: stand. */
static const float *ask_teleop(struct hal_loop *loop, const struct sense *sense,
                               float joints_rad[POLICY_JOINTS])
{
    struct policy_observation observation = {.dt_s = (float)loop->config.period_ns * 1e-9F};
    const struct loaded_policy *teleop = loop->config.teleop;

    describe(loop, sense, &observation);
    return teleop->policy->step(teleop->state, &observation, joints_rad) == 0 ? joints_rad : NULL;
}

static void actuate(struct hal_loop *loop, const struct sense *sense, bool follow)
{
    float teleop_rad[POLICY_JOINTS];
    struct actuation_input input = {
        .mode = sense->mode,
        .policy_joints_rad = follow && loop->has_action ? loop->action.joint_position_rad : NULL,
        .stiffness_nm_per_rad = loop->config.gains.stiffness_nm_per_rad,
        .damping_nms_per_rad = loop->config.gains.damping_nms_per_rad,
        .alpha = sense->state.alpha,
        .dt_s = (float)loop->config.period_ns * 1e-9F,
    };
    struct robot_action action = {
        .magic = ROBOT_ACTION_MAGIC, .state_ns = sense->state_ns, .step = sense->state.step};

    if (!loop->actuating)
        actuation_init(&loop->actuation, sense->state.joint_position_rad);
    loop->actuating = true;
    input.teleop_joints_rad = ask_teleop(loop, sense, teleop_rad);
    actuation_step(&loop->actuation, &input, &action);
    action.made_ns = clock_now_ns();
    publish(loop, &action);
}

/* ---- the period ----------------------------------------------------------------------------- */

/* After the joints were told, for whoever reads the log may be slow. */
static void log_mode(struct hal_loop *loop, const struct sense *sense)
{
    if (sense->mode != loop->mode)
        log_info("%s %s", gate_mode_name(sense->mode), sense->why);
    loop->mode = sense->mode;
}

/* Returns when it was sent; 0: not at all. */
static int64_t observe(struct hal_loop *loop, const struct sense *sense,
                       struct period_result *result)
{
    struct hal_observation *observation = loop_link_observation(loop->config.link);

    if (!observation) {
        result->dropped = true;
        return 0;
    }
    describe(loop, sense, &observation->policy);
    look_through_cameras(loop, observation);
    int64_t sent_ns = clock_now_ns();
    observation->sent_ns = sent_ns;
    if (loop->endpoint) {
        endpoint_publish(loop->endpoint, observation);
        loop_link_give_back(observation);
    } else {
        loop_link_send_observation(loop->config.link, observation);
    }
    result->sent = true;
    return sent_ns;
}

/*
 * Whether the robot's next state is due within a moment, or should have come already. A mode that
 * the joints were not told yet is told at once.
 */
static bool is_near(const struct hal_loop *loop, const struct sense *sense)
{
    int64_t left_ns = sense->state_ns + sense->interval_ns - clock_now_ns();

    return sense->state_ns != 0 && sense->interval_ns != 0 && sense->mode == loop->mode &&
           left_ns < 2 * SCHEDULE_BEFORE_NS && left_ns > -loop->config.period_ns;
}

/*
 * The robot's states come just after a period begins, for the schedule moves to where they do: the
 * next one is waited for, so that this period answers it and not the one before.
 */
static void look(struct hal_loop *loop, struct sense *ret_sense)
{
    int64_t until_ns = loop->schedule.due_ns + loop->config.period_ns / 2;
    bool moved_on = false;

    senses_look(loop->senses, clock_now_ns(), ret_sense);
    while (is_near(loop, ret_sense) && senses_wait(loop->senses, until_ns) == 0) {
        moved_on = moved_on || ret_sense->moved_on;
        senses_look(loop->senses, clock_now_ns(), ret_sense);
    }
    if (ret_sense->moved_on)
        schedule_follow(&loop->schedule, ret_sense->state_ns, ret_sense->interval_ns);
    ret_sense->moved_on = ret_sense->moved_on || moved_on;
}

static void run_period(struct hal_loop *loop, struct period_result *result)
{
    int64_t until_ns = loop->schedule.due_ns + loop->config.period_ns / 8 * 7;
    struct sense sense;
    int64_t sent_ns = 0;
    bool answered = false;

    look(loop, &sense);
    cameras_refresh(loop->cameras);
    result->mode = sense.mode;
    take_actions(loop, 0, 0, result);
    bool follow = may_follow(loop, &sense);
    if (!follow)
        forget_action(loop);
    /* A control program goes on seeing while it may not act; a policy of ours is not asked. */
    if (sense.moved_on && (follow || loop->endpoint))
        sent_ns = observe(loop, &sense, result);
    if (!follow)
        sent_ns = 0;
    if (sent_ns != 0)
        answered = take_actions(loop, sent_ns, until_ns, result);
    if (loop->silent++ > loop->config.patience)
        loop->has_action = false;
    result->late = sent_ns != 0 && !answered;
    result->stood = !follow || !loop->has_action;
    if (sense.state_ns == 0) {
        loop->actuating = false; /* nobody is there to be told */
        log_mode(loop, &sense);
        return;
    }
    actuate(loop, &sense, follow);
    if (answered) {
        int64_t now_ns = clock_now_ns();
        result->latency_ns = now_ns - sent_ns;
        result->reaction_ns = now_ns - sense.state_ns;
    }
    log_mode(loop, &sense);
}

/* 0: there was none. */
static void record(struct histogram *histogram, int64_t duration_ns)
{
    if (duration_ns > 0)
        histogram_record(histogram, duration_ns);
}

// NOLINTNEXTLINE(readability-function-cognitive-complexity): the macro's own
static void trace(const struct period_result *result, int64_t period_ns, int64_t late_ns)
{
    PROBE4(hal_period, period_ns, late_ns, result->latency_ns, result->reaction_ns);
}

static void account(struct hal_loop *loop, const struct period_result *result, int64_t period_ns,
                    int64_t late_ns)
{
    struct stats *stats = loop->config.stats;
    struct stats_values *values = &stats->values;

    stats_lock(stats);
    values->periods++;
    if (values->periods > 1)
        histogram_record(&values->period, period_ns);
    histogram_record(&values->jitter, late_ns);
    record(&values->latency, result->latency_ns);
    record(&values->reaction, result->reaction_ns);
    values->observations += result->sent;
    values->dropped += result->dropped;
    values->actions += result->answers;
    values->late += result->late;
    values->stale += result->stale;
    values->stands += result->stood;
    values->mode = result->mode;
    values->refused = loop->endpoint ? endpoint_refused(loop->endpoint) : 0;
    stats_unlock(stats);
}

static void sleep_until(int64_t when_ns)
{
    struct timespec when = {.tv_sec = when_ns / NS_PER_S, .tv_nsec = when_ns % NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

static void next_period(struct hal_loop *loop)
{
    uint64_t skipped = schedule_next(&loop->schedule, clock_now_ns());

    if (skipped > 0) {
        stats_lock(loop->config.stats);
        loop->config.stats->values.overruns += skipped;
        stats_unlock(loop->config.stats);
    }
}

/* On the loop's own thread, for sockets do not change theirs. */
static int open_sockets(struct hal_loop *loop)
{
    int error = loop_link_hal_open(loop->config.link);

    if (error == 0 && loop->config.endpoint.observations)
        error = endpoint_open(&loop->config.endpoint, &loop->endpoint);
    return error;
}

static void *run(void *argument)
{
    struct hal_loop *loop = argument;

    realtime_enter("hal", &loop->config.realtime);
    loop->start_error = open_sockets(loop);
    bool open = loop->start_error == 0;
    sem_post(&loop->ready);
    schedule_init(&loop->schedule, loop->config.period_ns, clock_now_ns());
    int64_t before_ns = 0;
    while (open && !atomic_load_explicit(&loop->stop, memory_order_relaxed)) {
        struct period_result result = {0};
        sleep_until(loop->schedule.due_ns);
        int64_t now_ns = clock_now_ns();
        int64_t late_ns = now_ns - loop->schedule.due_ns;
        run_period(loop, &result);
        account(loop, &result, now_ns - before_ns, late_ns);
        trace(&result, now_ns - before_ns, late_ns);
        before_ns = now_ns;
        next_period(loop);
    }
    endpoint_close(loop->endpoint);
    loop_link_hal_close(loop->config.link);
    return NULL;
}

/* ---- begin and end -------------------------------------------------------------------------- */

static int open_rings(struct hal_loop *loop)
{
    const struct hal_loop_config *config = &loop->config;
    struct ring_producer_config actions = {.dir = config->dir,
                                           .stream = config->stream,
                                           .kind = RING_KIND_ACTIONS,
                                           .payload_bytes_max = sizeof(struct robot_action),
                                           .leases_max = ACTION_LEASES};
    int error = ring_producer_open(&actions, &loop->actions);

    if (error == -EADDRINUSE)
        log_error("another simcast-hal already drives stream '%s' in %s: stop it, or choose "
                  "another --stream or --ipc-dir",
                  config->stream, config->dir);
    else if (error == 0)
        error = senses_open(config->dir, config->stream, &loop->senses);
    if (error == 0)
        error = cameras_open(config->dir, config->cameras, &loop->cameras);
    if (error < 0 && error != -EADDRINUSE)
        log_error("cannot open the rings of stream '%s' in %s: %s: check --stream, --ipc-dir and "
                  "the cameras",
                  config->stream, config->dir, strerrordesc_np(-error));
    return error;
}

static int start_thread(struct hal_loop *loop)
{
    int error = -pthread_create(&loop->thread, NULL, run, loop);

    if (error == 0) {
        loop->running = true;
        while (sem_wait(&loop->ready) < 0 && errno == EINTR)
            continue;
        error = loop->start_error;
    }
    if (error < 0)
        log_error("cannot start the HAL loop: %s", strerrordesc_np(-error));
    return error;
}

int hal_loop_create(const struct hal_loop_config *config, struct hal_loop **ret_loop)
{
    struct hal_loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->config = *config;
    loop->mode = GATE_HOLD;
    sem_init(&loop->ready, 0, 0);
    int error = open_rings(loop);
    if (error == 0)
        error = start_thread(loop);
    if (error < 0) {
        hal_loop_destroy(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

void hal_loop_stop(struct hal_loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_relaxed);
    if (loop->running)
        pthread_join(loop->thread, NULL);
    loop->running = false;
}

void hal_loop_destroy(struct hal_loop *loop)
{
    if (!loop)
        return;
    hal_loop_stop(loop);
    cameras_close(loop->cameras);
    senses_close(loop->senses);
    ring_producer_close(loop->actions);
    sem_destroy(&loop->ready);
    free(loop);
}
