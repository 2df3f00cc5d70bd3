/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy "mlp:FILE": a trained actor network (hal/mlp.h), fed as its kind is (hal/training.h).
 */
#include <errno.h>
#include <stdio.h>

#include "hal/mlp.h"
#include "hal/policies.h"

static int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    struct mlp *mlp;
    const char *why = "";

    if (argument[0] == '\0') {
        snprintf(reason, reason_bytes, "write the network's file behind it: mlp:FILE");
        return -EINVAL;
    }
    int error = mlp_load(argument, &mlp, &why);
    if (error < 0) {
        snprintf(reason, reason_bytes, "%s: %s; hal/export_mlp.py writes such files", argument,
                 why);
        return error;
    }
    *ret_state = mlp;
    return 0;
}

static void fini(void *state)
{
    mlp_unload(state);
}

static int step(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    struct mlp *mlp = state;
    float input[TRAINING_INPUTS_WITH_VELOCITY];
    float output[POLICY_JOINTS];

    training_observe(&mlp->training, observation, input);
    mlp_run(mlp, input, output);
    return training_act(&mlp->training, output, ret_joints_rad);
}

static struct policy_gains gains(const void *state)
{
    const struct mlp *mlp = state;

    return (struct policy_gains){mlp->training.stiffness, mlp->training.damping};
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
