/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the policy wants to what the joints are told, by mode:
 *
 *   ARMED  alpha x policy + (1 - alpha) x teleop, what the operator alone would do
 *   HOLD   the same where the policy follows the command, which is zero then; else it stands
 *   ESTOP  stands, with softer gains and more damping; the policy is not asked
 *
 * No policy's action for too long, or a fallen robot: stands. alpha follows what the operator
 * set at ACTUATION_ALPHA_PER_S at most, and a change between policy and standing is spread over
 * ACTUATION_CHANGE_S, so that nothing jerks.
 *
 * Thread: the owner's. Cost: no I/O, no clock, no allocation.
 */
#ifndef SIMCAST_HAL_ACTUATION_H
#define SIMCAST_HAL_ACTUATION_H

#include <stdbool.h>

#include "proto/robot_action.h"
#include "safety/gate.h"

#define ACTUATION_ALPHA_PER_S 2.0F
#define ACTUATION_CHANGE_S 0.2F

/* Embed it; all fields belong to actuation.c. */
struct actuation {
    float stand[ROBOT_JOINTS];
    float applied[ROBOT_JOINTS];
    float before[ROBOT_JOINTS]; /* applied when the change began */
    float changed;              /* how much of it is done, 0 to 1 */
    float alpha;
    bool follows; /* the policy, else it stands */
};

struct actuation_input {
    enum gate_mode mode;
    const float *policy_joints_rad; /* NULL: there is no action to apply */
    const float *teleop_joints_rad; /* NULL: the standing pose */
    float stiffness_nm_per_rad;     /* the policy's; 0: our own */
    float damping_nms_per_rad;
    float alpha; /* what the operator wants */
    float dt_s;
};

/* Starts from where the joints are. */
void actuation_init(struct actuation *actuation, const float joints_rad[ROBOT_JOINTS]);

/* Fills mode, joints and gains of *ret_action. */
void actuation_step(struct actuation *actuation, const struct actuation_input *input,
                    struct robot_action *ret_action);

#endif
