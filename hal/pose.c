/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "hal/pose.h"

#include <stddef.h>

#include "motion/gait.h"

#define UPRIGHT_MIN 0.4F /* cosine of the trunk's tilt, as in the simulator */

void pose_stand(float ret_joints_rad[ROBOT_JOINTS])
{
    for (unsigned leg = 0; leg < GAIT_LEGS; leg++) {
        double side = leg % 2 == 0 ? 1.0 : -1.0;
        double foot_m[3] = {0, side * GAIT_HIP_M, -GAIT_STAND_M};
        double angles_rad[3];

        gait_leg_angles(leg, foot_m, angles_rad);
        for (size_t i = 0; i < 3; i++)
            ret_joints_rad[(size_t)3 * leg + i] = (float)angles_rad[i];
    }
}

void pose_gravity(const double orientation_xyzw[4], float ret_gravity[3])
{
    const double *q = orientation_xyzw;

    ret_gravity[0] = (float)(-2 * (q[0] * q[2] - q[3] * q[1]));
    ret_gravity[1] = (float)(-2 * (q[1] * q[2] + q[3] * q[0]));
    ret_gravity[2] = (float)(-(1 - 2 * (q[0] * q[0] + q[1] * q[1])));
}

bool pose_has_fallen(const struct robot_state *state)
{
    float gravity[3];

    pose_gravity(state->orientation_xyzw, gravity);
    return -gravity[2] < UPRIGHT_MIN;
}
