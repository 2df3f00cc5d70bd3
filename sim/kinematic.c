/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone, on the physics thread; cannot fail. */
#include "sim/kinematic.h"

#include <math.h>

#define TURN (2 * 3.14159265358979323846)
#define HEIGHT_M 0.3

void kinematic_reset(struct kinematic *kinematic)
{
    *kinematic = (struct kinematic){.steps = kinematic->steps};
}

void kinematic_step(struct kinematic *kinematic, const struct robot_input *input)
{
    double dt_s = (double)ROBOT_STEP_NS * 1e-9;
    double cosine = cos(kinematic->yaw_rad);
    double sine = sin(kinematic->yaw_rad);

    for (unsigned i = 0; i < 3; i++)
        kinematic->velocity[i] = input->powered ? input->velocity[i] * input->alpha : 0;
    kinematic->x_m += (cosine * kinematic->velocity[0] - sine * kinematic->velocity[1]) * dt_s;
    kinematic->y_m += (sine * kinematic->velocity[0] + cosine * kinematic->velocity[1]) * dt_s;
    kinematic->yaw_rad = remainder(kinematic->yaw_rad + kinematic->velocity[2] * dt_s, TURN);
    kinematic->alpha = input->alpha;
    kinematic->steps++;
}

void kinematic_observe(const struct kinematic *kinematic, struct robot_state *ret_state)
{
    *ret_state = (struct robot_state){
        .magic = ROBOT_STATE_MAGIC,
        .sim_time_ns = (int64_t)kinematic->steps * ROBOT_STEP_NS,
        .step = kinematic->steps,
        .alpha = (float)kinematic->alpha,
        .position_m = {kinematic->x_m, kinematic->y_m, HEIGHT_M},
        .orientation_xyzw = {0, 0, sin(kinematic->yaw_rad / 2), cos(kinematic->yaw_rad / 2)},
        .angular_velocity_radps = {0, 0, (float)kinematic->velocity[2]},
        .linear_velocity_mps = {(float)kinematic->velocity[0], (float)kinematic->velocity[1], 0},
    };
    for (unsigned i = 0; i < 3; i++)
        ret_state->command[i] = (float)kinematic->velocity[i];
}
