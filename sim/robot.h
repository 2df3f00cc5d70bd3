/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated quadruped: quadruped.xml in MuJoCo, driven by the gait or by somebody else. One
 * step is ROBOT_STEP_NS of simulated time. Deterministic: the same inputs give the same motion.
 *
 * Thread: all calls of one robot from one thread, except robot_model. Cost: a step is about
 * 50 us; nothing allocates after robot_create.
 */
#ifndef SIMCAST_SIM_ROBOT_H
#define SIMCAST_SIM_ROBOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/robot_state.h"

#define ROBOT_STEP_NS INT64_C(2000000)
#define ROBOT_POSE_MAX 64
#define ROBOT_STIFFNESS_MAX 400.0
#define ROBOT_DAMPING_MAX 5.0
#define ROBOT_CHANGE_S 0.2

struct robot;

struct robot_input {
    double velocity[3]; /* forward m/s, left m/s, turn rad/s */
    double alpha;       /* part of the gait that is applied, 0 to 1 */
    bool powered;       /* false: hold the standing pose, whatever the velocity */
};

/* Everything that moves, as MuJoCo's generalised positions: what a renderer needs. */
struct robot_pose {
    unsigned count;
    double time_s; /* simulated */
    double value[ROBOT_POSE_MAX];
};

/*
 * Compiles the built-in model and places the robot standing at the origin. On success the caller
 * owns *ret_robot. Errors: -ENOMEM; -EBADMSG the model does not compile (logged).
 */
int robot_create(struct robot **ret_robot);

/* Takes NULL. No renderer may use its model any more. */
void robot_destroy(struct robot *robot);

/* Back to the origin, standing; simulated time and the step counter go on. */
void robot_reset(struct robot *robot);

/* Where somebody else wants the joints, in place of the built-in gait. */
struct robot_drive {
    double joint_position_rad[ROBOT_JOINTS];
    double stiffness_nm_per_rad; /* cut to ROBOT_STIFFNESS_MAX */
    double damping_nms_per_rad;  /* cut to ROBOT_DAMPING_MAX; the joints' own friction is extra */
};

/*
 * From the next step on the joints follow `drive`; NULL: the gait. A change from one to the
 * other is spread over ROBOT_CHANGE_S, so that nothing jerks.
 */
void robot_drive(struct robot *robot, const struct robot_drive *drive);

void robot_step(struct robot *robot, const struct robot_input *input);

/* Fills all of *ret_state but mode and cmd_seq, which it sets to 0. */
void robot_observe(const struct robot *robot, struct robot_state *ret_state);

void robot_pose(const struct robot *robot, struct robot_pose *ret_pose);

/* Whether the trunk touches the ground or lies on its side. */
bool robot_has_fallen(const struct robot *robot);

/* The compiled model, an mjModel, for the renderer alone; constant, lives as long as the robot. */
const void *robot_model(const struct robot *robot);

#endif
