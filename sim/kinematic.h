/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A robot without a body: a point that moves exactly as told. Stands in for the quadruped beside
 * the test pattern, so that commands still show in the telemetry.
 *
 * Thread: the owner's. Cost: nanoseconds, no allocation.
 */
#ifndef SIMCAST_SIM_KINEMATIC_H
#define SIMCAST_SIM_KINEMATIC_H

#include "sim/robot.h"

/* Embed it, zeroed; all fields belong to kinematic.c. */
struct kinematic {
    double x_m;
    double y_m;
    double yaw_rad;
    double velocity[3];
    double alpha;
    uint64_t steps;
};

/* Back to the origin; simulated time goes on. */
void kinematic_reset(struct kinematic *kinematic);

/* One step of ROBOT_STEP_NS. */
void kinematic_step(struct kinematic *kinematic, const struct robot_input *input);

/* As robot_observe. */
void kinematic_observe(const struct kinematic *kinematic, struct robot_state *ret_state);

#endif
