/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What trained networks for legs are fed and what their outputs mean, in legged_gym's layout:
 *
 *   input    [linear velocity], angular velocity, gravity, command, joint angles from the default
 *            ones, joint speeds, the network's last output; each but gravity and the last scaled
 *   output   target = default angle + action_scale x output
 *
 * Thread: the owner's. Cost: no I/O, no allocation.
 */
#ifndef SIMCAST_HAL_TRAINING_H
#define SIMCAST_HAL_TRAINING_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRAINING_INPUTS 45 /* without the trunk's linear velocity */
#define TRAINING_INPUTS_WITH_VELOCITY 48

enum training_scale {
    TRAINING_LINEAR,
    TRAINING_ANGULAR,
    TRAINING_COMMAND_LINEAR,
    TRAINING_COMMAND_TURN,
    TRAINING_JOINT_POSITION,
    TRAINING_JOINT_VELOCITY,
    TRAINING_SCALE_COUNT,
};

/* Embed it. */
struct training {
    uint32_t inputs; /* one of the two above */
    float action_scale;
    float stiffness; /* 0: the HAL's own gains */
    float damping;
    float scale[TRAINING_SCALE_COUNT];
    float default_joint_rad[POLICY_JOINTS];
    uint32_t order[POLICY_JOINTS]; /* joint i of the network is joint order[i] of policy.h */
    float last[POLICY_JOINTS];     /* output, in the network's order; training.c writes it */
};

/* Whether all numbers are finite and the order names each joint once. */
bool training_is_good(const struct training *training);

/* Writes the network's `inputs` values. */
void training_observe(const struct training *training, const struct policy_observation *observation,
                      float *input);

/* From the network's output to joints. Errors: -ERANGE it is not finite; then it starts anew. */
int training_act(struct training *training, const float output[POLICY_JOINTS],
                 float ret_joints_rad[POLICY_JOINTS]);

#ifdef __cplusplus
}
#endif

#endif
