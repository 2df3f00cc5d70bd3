/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy "mlp:FILE": a trained actor network (hal/mlp.h) with the observation that
 * legged-robot training commonly uses: [linear velocity], angular velocity, gravity, command,
 * joint angles from the default ones, joint speeds, the network's last output.
 * target = default + action_scale x output.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal/mlp.h"
#include "hal/policies.h"

struct state {
    struct mlp *mlp;
    float last[MLP_JOINTS]; /* output, in the network's order */
};

_Static_assert(MLP_JOINTS == POLICY_JOINTS, "a network moves every joint");

static int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    struct state *state = calloc(1, sizeof(*state));
    const char *why = "";

    if (!state)
        return -ENOMEM;
    if (argument[0] == '\0') {
        snprintf(reason, reason_bytes, "write the network's file behind it: mlp:FILE");
        free(state);
        return -EINVAL;
    }
    int error = mlp_load(argument, &state->mlp, &why);
    if (error < 0) {
        snprintf(reason, reason_bytes, "%s: %s; hal/export_mlp.py writes such files", argument,
                 why);
        free(state);
        return error;
    }
    *ret_state = state;
    return 0;
}

static void fini(void *data)
{
    struct state *state = data;

    mlp_unload(state->mlp);
    free(state);
}

static float *put(float *to, const float *values, unsigned count, float scale)
{
    for (unsigned i = 0; i < count; i++)
        to[i] = values[i] * scale;
    return to + count;
}

static void describe(const struct state *state, const struct policy_observation *observation,
                     float input[MLP_INPUTS_WITH_VELOCITY])
{
    const struct mlp *mlp = state->mlp;
    const float *scale = mlp->scale;
    float *to = input;

    if (mlp->inputs == MLP_INPUTS_WITH_VELOCITY)
        to = put(to, observation->linear_velocity_mps, 3, scale[MLP_SCALE_LINEAR]);
    to = put(to, observation->angular_velocity_radps, 3, scale[MLP_SCALE_ANGULAR]);
    to = put(to, observation->gravity, 3, 1);
    to = put(to, observation->command, 2, scale[MLP_SCALE_COMMAND_LINEAR]);
    to = put(to, observation->command + 2, 1, scale[MLP_SCALE_COMMAND_TURN]);
    for (unsigned i = 0; i < MLP_JOINTS; i++)
        *to++ = (observation->joint_position_rad[mlp->order[i]] -
                 mlp->default_joint_rad[mlp->order[i]]) *
                scale[MLP_SCALE_JOINT_POSITION];
    for (unsigned i = 0; i < MLP_JOINTS; i++)
        *to++ = observation->joint_velocity_radps[mlp->order[i]] * scale[MLP_SCALE_JOINT_VELOCITY];
    put(to, state->last, MLP_JOINTS, 1);
}

static int step(void *data, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    struct state *state = data;
    const struct mlp *mlp = state->mlp;
    float input[MLP_INPUTS_WITH_VELOCITY];
    float output[MLP_JOINTS];

    describe(state, observation, input);
    mlp_run(state->mlp, input, output);
    for (unsigned i = 0; i < MLP_JOINTS; i++) {
        if (!isfinite(output[i])) {
            memset(state->last, 0, sizeof(state->last));
            return -ERANGE;
        }
    }
    memcpy(state->last, output, sizeof(state->last));
    for (unsigned i = 0; i < MLP_JOINTS; i++)
        ret_joints_rad[mlp->order[i]] =
            mlp->default_joint_rad[mlp->order[i]] + mlp->action_scale * output[i];
    return 0;
}

static struct policy_gains gains(const void *data)
{
    const struct state *state = data;

    return (struct policy_gains){state->mlp->stiffness, state->mlp->damping};
}

const struct policy *policy_mlp(void)
{
    static const struct policy policy = {
        .abi_version = POLICY_ABI_VERSION,
        .observation_bytes = sizeof(struct policy_observation),
        .joints = POLICY_JOINTS,
        .flags = POLICY_FOLLOWS_COMMAND,
        .name = "mlp",
        .version = "1",
        .init = init,
        .step = step,
        .fini = fini,
        .gains = gains,
    };

    return &policy;
}
