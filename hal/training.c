/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone. */
#include "hal/training.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

bool training_is_good(const struct training *training)
{
    uint32_t seen = 0;

    for (unsigned i = 0; i < POLICY_JOINTS; i++) {
        if (training->order[i] >= POLICY_JOINTS)
            return false;
        seen |= 1u << training->order[i];
    }
    return seen == (1u << POLICY_JOINTS) - 1 && isfinite(training->action_scale) &&
           isfinite(training->stiffness) && isfinite(training->damping) &&
           all_finite(training->scale, TRAINING_SCALE_COUNT) &&
           all_finite(training->default_joint_rad, POLICY_JOINTS);
}

static float *put(float *to, const float *values, unsigned count, float scale)
{
    for (unsigned i = 0; i < count; i++)
        to[i] = values[i] * scale;
    return to + count;
}

void training_observe(const struct training *training, const struct policy_observation *observation,
                      float *input)
{
    const float *scale = training->scale;
    float *to = input;

    if (training->inputs == TRAINING_INPUTS_WITH_VELOCITY)
        to = put(to, observation->linear_velocity_mps, 3, scale[TRAINING_LINEAR]);
    to = put(to, observation->angular_velocity_radps, 3, scale[TRAINING_ANGULAR]);
    to = put(to, observation->gravity, 3, 1);
    to = put(to, observation->command, 2, scale[TRAINING_COMMAND_LINEAR]);
    to = put(to, observation->command + 2, 1, scale[TRAINING_COMMAND_TURN]);
    for (unsigned i = 0; i < POLICY_JOINTS; i++) {
        uint32_t joint = training->order[i];
        *to++ = (observation->joint_position_rad[joint] - training->default_joint_rad[joint]) *
                scale[TRAINING_JOINT_POSITION];
    }
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        *to++ =
            observation->joint_velocity_radps[training->order[i]] * scale[TRAINING_JOINT_VELOCITY];
    put(to, training->last, POLICY_JOINTS, 1);
}

int training_act(struct training *training, const float output[POLICY_JOINTS],
                 float ret_joints_rad[POLICY_JOINTS])
{
    if (!all_finite(output, POLICY_JOINTS)) {
        memset(training->last, 0, sizeof(training->last));
        return -ERANGE;
    }
    memcpy(training->last, output, sizeof(training->last));
    for (unsigned i = 0; i < POLICY_JOINTS; i++) {
        uint32_t joint = training->order[i];
        ret_joints_rad[joint] =
            training->default_joint_rad[joint] + training->action_scale * output[i];
    }
    return 0;
}
