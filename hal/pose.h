/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Poses and attitudes: the standing pose, and how the trunk leans.
 *
 * Thread: any. Cost: no allocation.
 */
#ifndef SIMCAST_HAL_POSE_H
#define SIMCAST_HAL_POSE_H

#include <stdbool.h>

#include "proto/robot_state.h"

/* All feet below their hips, the trunk at GAIT_STAND_M. */
void pose_stand(float ret_joints_rad[ROBOT_JOINTS]);

/* The direction of down in a body's own frame, length 1. */
void pose_gravity(const double orientation_xyzw[4], float ret_gravity[3]);

/* Whether the trunk lies on its side or upside down. */
bool pose_has_fallen(const struct robot_state *state);

#endif
