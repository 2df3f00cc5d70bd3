/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure functions from state to text; jansson stays in this file. Out of memory, or a number that
 * JSON cannot hold (NaN after a diverged simulation), gives an empty report, which is not sent.
 */
#include "sim/report.h"

#include <math.h>

#include <jansson.h>

#include "base/clock.h"

#define DIGITS 6
#define VELOCITY_ERROR_SCALE 0.25 /* (m/s)2 or (rad/s)2 at which a term falls to 1/e */

/* Takes `object`, NULL included. */
static void finish(const char *subject, json_t *object, struct report *ret_report)
{
    ret_report->subject = subject;
    ret_report->bytes = 0;
    if (object) {
        size_t bytes = json_dumpb(object, ret_report->payload, sizeof(ret_report->payload) - 1,
                                  JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
        if (bytes < sizeof(ret_report->payload))
            ret_report->bytes = bytes;
    }
    ret_report->payload[ret_report->bytes] = '\0';
    json_decref(object);
}

static json_t *floats(const float *values, unsigned count)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++) {
        if (json_array_append_new(array, json_real((double)values[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

void report_policies(const char *active, struct report *ret_report)
{
    finish("telemetry.policy.list",
           json_pack("{s:[s,s],s:s}", "policies", "stand", "trot", "active", active), ret_report);
}

static double yaw_of(const struct robot_state *state)
{
    const double *q = state->orientation_xyzw;

    return atan2(2 * (q[3] * q[2] + q[0] * q[1]), 1 - 2 * (q[1] * q[1] + q[2] * q[2]));
}

void report_robot(const struct robot_state *state, bool fallen, struct report *ret_report)
{
    finish("telemetry.robot.state",
           json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:s,s:b}", "x", state->position_m[0], "y",
                     state->position_m[1], "z", state->position_m[2], "yaw", yaw_of(state),
                     "linear_x", (double)state->linear_velocity_mps[0], "linear_y",
                     (double)state->linear_velocity_mps[1], "angular_z",
                     (double)state->angular_velocity_radps[2], "sim_time",
                     (double)state->sim_time_ns / (double)NS_PER_S, "mode",
                     gate_mode_name((enum gate_mode)state->mode), "fallen", fallen),
           ret_report);
}

void report_metrics(const struct robot_state *state, const struct report_episode *episode,
                    struct report *ret_report)
{
    finish("telemetry.training.metrics",
           json_pack("{s:I,s:f,s:b,s:f,s:I}", "step", (json_int_t)state->step, "fps",
                     episode->steps_per_s, "policy_loaded", episode->policy_loaded, "total_reward",
                     episode->total_reward, "episode_length", (json_int_t)episode->length),
           ret_report);
}

void report_rewards(const struct report_reward *reward, struct report *ret_report)
{
    finish("telemetry.reward.breakdown",
           json_pack("{s:f,s:f,s:f}", "velocity", reward->velocity, "turn", reward->turn, "upright",
                     reward->upright),
           ret_report);
}

void report_observation(const struct robot_state *state, struct report *ret_report)
{
    const double *q = state->orientation_xyzw;
    float down[3] = {(float)(-2 * (q[0] * q[2] - q[3] * q[1])),
                     (float)(-2 * (q[1] * q[2] + q[3] * q[0])),
                     (float)(-1 + 2 * (q[0] * q[0] + q[1] * q[1]))};

    finish("telemetry.obs.breakdown",
           json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "linear_velocity",
                     floats(state->linear_velocity_mps, 3), "angular_velocity",
                     floats(state->angular_velocity_radps, 3), "projected_gravity", floats(down, 3),
                     "command", floats(state->command, 3), "joint_position",
                     floats(state->joint_position_rad, ROBOT_JOINTS), "joint_velocity",
                     floats(state->joint_velocity_radps, ROBOT_JOINTS)),
           ret_report);
}

struct report_reward report_judge(const struct robot_state *state)
{
    const double *q = state->orientation_xyzw;
    double forward = (double)(state->linear_velocity_mps[0] - state->command[0]);
    double left = (double)(state->linear_velocity_mps[1] - state->command[1]);
    double turn = (double)(state->angular_velocity_radps[2] - state->command[2]);

    return (struct report_reward){
        .velocity = exp(-(forward * forward + left * left) / VELOCITY_ERROR_SCALE),
        .turn = exp(-turn * turn / VELOCITY_ERROR_SCALE),
        .upright = 1 - 2 * (q[0] * q[0] + q[1] * q[1]),
    };
}
