/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy "trot": the open-loop gait of motion/gait.h, which follows the commanded velocity.
 * Owns one gait; a robot that was put elsewhere or lay on the ground starts it anew.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "hal/policies.h"
#include "motion/gait.h"

#define UPRIGHT_MIN 0.4F
#define DT_S_MAX 0.02 /* the gait's limit */

// NOLINTNEXTLINE(readability-non-const-parameter): the interface of all policies
static int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    struct gait *gait = calloc(1, sizeof(*gait));

    (void)argument;
    (void)reason;
    (void)reason_bytes;
    if (!gait)
        return -ENOMEM;
    gait_init(gait);
    *ret_state = gait;
    return 0;
}

static void fini(void *state)
{
    free(state);
}

static int step(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    const float *gravity = observation->gravity;
    double dt_s = fmin(fmax((double)observation->dt_s, 1e-4), DT_S_MAX);
    double joints_rad[ROBOT_JOINTS];
    struct gait_input input = {
        .measured = {(double)observation->linear_velocity_mps[0],
                     (double)observation->linear_velocity_mps[1],
                     (double)observation->angular_velocity_radps[2]},
        .roll_rad = atan2(-(double)gravity[1], -(double)gravity[2]),
        .pitch_rad = asin(fmax(-1.0, fmin(1.0, (double)gravity[0]))),
        .alpha = 1,
    };

    if (-gravity[2] < UPRIGHT_MIN)
        gait_init(state);
    for (unsigned i = 0; i < 3; i++)
        input.command[i] = (double)observation->command[i];
    gait_step(state, &input, dt_s, joints_rad);
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ret_joints_rad[i] = (float)joints_rad[i];
    return 0;
}

const struct policy *policy_trot(void)
{
    static const struct policy policy = {
        .abi_version = POLICY_ABI_VERSION,
        .observation_bytes = sizeof(struct policy_observation),
        .joints = POLICY_JOINTS,
        .flags = POLICY_FOLLOWS_COMMAND,
        .name = "trot",
        .version = "1",
        .init = init,
        .step = step,
        .fini = fini,
    };

    return &policy;
}
