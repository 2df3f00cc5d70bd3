/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns two ring consumers. What other programs wrote is copied, checked, then used; what is not
 * whole is as if it had not come, so that its age closes the gate.
 */
#include "hal/senses.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "proto/gate_state.h"
#include "shm/ring.h"

#define INTERVAL_SMOOTHING 8

struct senses {
    struct ring_consumer *states;
    struct ring_consumer *gates;
    struct robot_state state; /* the newest good one */
    int64_t state_ns;         /* 0: none yet */
    int64_t interval_ns;      /* smoothed; 0: unknown */
    uint64_t epoch;
    uint64_t seq; /* of its ring */
    bool moved_on;
    struct gate_state gate; /* likewise; magic 0: never seen */
};

int senses_open(const char *dir, const char *stream, struct senses **ret_senses)
{
    struct ring_consumer_config config = {.dir = dir, .stream = stream, .kind = RING_KIND_STATE};
    struct senses *senses = calloc(1, sizeof(*senses));

    if (!senses)
        return -ENOMEM;
    int error = ring_consumer_open(&config, &senses->states);
    config.kind = RING_KIND_GATE;
    if (error == 0)
        error = ring_consumer_open(&config, &senses->gates);
    if (error < 0) {
        senses_close(senses);
        return error;
    }
    ring_consumer_want(senses->states, true);
    ring_consumer_want(senses->gates, true);
    *ret_senses = senses;
    return 0;
}

void senses_close(struct senses *senses)
{
    if (!senses)
        return;
    ring_consumer_close(senses->states);
    ring_consumer_close(senses->gates);
    free(senses);
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

static bool is_good_state(const struct robot_state *state)
{
    const double *q = state->orientation_xyzw;
    double length = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];

    return state->magic == ROBOT_STATE_MAGIC && state->mode <= GATE_ESTOP &&
           fabs(length - 1) < 0.1 && isfinite(state->alpha) && all_finite(state->command, 3) &&
           all_finite(state->linear_velocity_mps, 3) &&
           all_finite(state->angular_velocity_radps, 3) &&
           all_finite(state->joint_position_rad, ROBOT_JOINTS) &&
           all_finite(state->joint_velocity_radps, ROBOT_JOINTS);
}

/* Copies the newest payload of exactly `bytes`; false: none. */
static bool take(struct ring_consumer *ring, void *copy, size_t bytes, struct ring_view *ret_view)
{
    bool whole = false;

    while (ring_acquire(ring, RING_LATEST, ret_view) == 0) {
        bool fits = ret_view->frame.payload_bytes == bytes;
        if (fits)
            memcpy(copy, ret_view->payload, bytes);
        whole = (ring_release(ring, ret_view) == 0 && fits) || whole;
    }
    return whole;
}

static void measure_interval(struct senses *senses, const struct ring_view *view)
{
    int64_t state_ns = view->frame.stamp_ns[RING_STAGE_PUBLISHED];
    bool follows = senses->state_ns != 0 && view->epoch == senses->epoch &&
                   view->frame.seq > senses->seq && state_ns > senses->state_ns;

    if (!follows) {
        senses->interval_ns = 0;
        return;
    }
    int64_t sample_ns = (state_ns - senses->state_ns) / (int64_t)(view->frame.seq - senses->seq);
    if (senses->interval_ns == 0 || sample_ns > 2 * senses->interval_ns)
        senses->interval_ns = sample_ns;
    senses->interval_ns += (sample_ns - senses->interval_ns) / INTERVAL_SMOOTHING;
}

static void take_state(struct senses *senses)
{
    struct robot_state state;
    struct ring_view view;

    senses->moved_on = false;
    if (!take(senses->states, &state, sizeof(state), &view) || !is_good_state(&state))
        return;
    senses->moved_on =
        senses->state_ns == 0 || state.step != senses->state.step || view.epoch != senses->epoch;
    measure_interval(senses, &view);
    senses->epoch = view.epoch;
    senses->seq = view.frame.seq;
    senses->state_ns = view.frame.stamp_ns[RING_STAGE_PUBLISHED];
    senses->state = state;
}

static void take_gate(struct senses *senses)
{
    struct gate_state gate;
    struct ring_view view;

    if (take(senses->gates, &gate, sizeof(gate), &view) && gate.magic == GATE_STATE_MAGIC &&
        gate.mode <= GATE_ESTOP)
        senses->gate = gate;
}

/* Once seen, a gate that is gone or silent holds. An ESTOP that it said stays one. */
static enum gate_mode mode_of_gate(const struct senses *senses, int64_t now_ns)
{
    bool silent = now_ns - senses->gate.told_ns > GATE_STATE_NS_MAX ||
                  ring_consumer_link(senses->gates) != RING_ATTACHED;

    if (senses->gate.magic == 0)
        return GATE_ARMED;
    if (silent && senses->gate.mode == GATE_ARMED)
        return GATE_HOLD;
    return senses->gate.mode;
}

int senses_wait(struct senses *senses, int64_t until_ns)
{
    struct pollfd fds[] = {{.fd = ring_consumer_fd(senses->states), .events = POLLIN},
                           {.fd = ring_consumer_fd(senses->gates), .events = POLLIN}};
    int64_t left_ns = until_ns - clock_now_ns();
    struct timespec timeout = {left_ns / NS_PER_S, left_ns % NS_PER_S};

    if (left_ns <= 0 || ppoll(fds, 2, &timeout, NULL) == 0)
        return -ETIMEDOUT;
    return 0;
}

void senses_look(struct senses *senses, int64_t now_ns, struct sense *ret_sense)
{
    take_state(senses);
    take_gate(senses);
    bool fresh = senses->state_ns != 0 && now_ns - senses->state_ns <= SENSES_STATE_NS_MAX;
    enum gate_mode of_gate = mode_of_gate(senses, now_ns);
    enum gate_mode of_robot = fresh ? (enum gate_mode)senses->state.mode : GATE_HOLD;
    enum gate_mode mode = of_gate > of_robot ? of_gate : of_robot;

    const char *why = !fresh               ? "no fresh state of the robot"
                      : of_gate > of_robot ? "by simcastd's gate"
                                           : "by the robot's safety layer";
    *ret_sense = (struct sense){.state = senses->state,
                                .state_ns = fresh ? senses->state_ns : 0,
                                .interval_ns = senses->interval_ns,
                                .moved_on = fresh && senses->moved_on,
                                .mode = mode,
                                .why = why};
}
