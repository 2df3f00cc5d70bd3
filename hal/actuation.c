/* SPDX-License-Identifier: Apache-2.0 */
/* Works on the caller's memory alone; cannot fail. */
#include "hal/actuation.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "hal/pose.h"

static const struct gains {
    float stiffness_nm_per_rad;
    float damping_nms_per_rad;
} gains_of_mode[] = {
    [GATE_ARMED] = {170, 0.5F},
    [GATE_HOLD] = {170, 1},
    [GATE_ESTOP] = {120, 2},
};

void actuation_init(struct actuation *actuation, const float joints_rad[ROBOT_JOINTS])
{
    memset(actuation, 0, sizeof(*actuation));
    pose_stand(actuation->stand);
    memcpy(actuation->applied, joints_rad, sizeof(actuation->applied));
    memcpy(actuation->before, joints_rad, sizeof(actuation->before));
}

static void ramp_alpha(struct actuation *actuation, const struct actuation_input *input)
{
    float limit = ACTUATION_ALPHA_PER_S * input->dt_s;
    float step = fminf(fmaxf(input->alpha, 0), 1) - actuation->alpha;

    actuation->alpha += fminf(fmaxf(step, -limit), limit);
}

static void choose(struct actuation *actuation, const struct actuation_input *input)
{
    bool follows = input->policy_joints_rad && input->mode != GATE_ESTOP;

    if (follows != actuation->follows) {
        actuation->follows = follows;
        actuation->changed = 0;
        memcpy(actuation->before, actuation->applied, sizeof(actuation->before));
    }
    actuation->changed = fminf(1, actuation->changed + input->dt_s / ACTUATION_CHANGE_S);
}

static float goal_of(const struct actuation *actuation, const struct actuation_input *input,
                     size_t joint)
{
    const float *teleop = input->teleop_joints_rad;
    float own = teleop ? teleop[joint] : actuation->stand[joint];

    if (!actuation->follows)
        return actuation->stand[joint];
    return own + actuation->alpha * (input->policy_joints_rad[joint] - own);
}

void actuation_step(struct actuation *actuation, const struct actuation_input *input,
                    struct robot_action *ret_action)
{
    const struct gains *own = &gains_of_mode[input->mode];
    bool has_gains = input->stiffness_nm_per_rad > 0;

    ramp_alpha(actuation, input);
    choose(actuation, input);
    for (size_t i = 0; i < ROBOT_JOINTS; i++) {
        float goal = goal_of(actuation, input, i);
        float before = actuation->before[i];
        actuation->applied[i] = before + actuation->changed * (goal - before);
        ret_action->joint_position_rad[i] = actuation->applied[i];
    }
    has_gains = has_gains && actuation->follows;
    ret_action->mode = input->mode;
    ret_action->stiffness_nm_per_rad =
        has_gains ? input->stiffness_nm_per_rad : own->stiffness_nm_per_rad;
    ret_action->damping_nms_per_rad =
        has_gains ? input->damping_nms_per_rad : own->damping_nms_per_rad;
}
