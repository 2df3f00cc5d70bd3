/* SPDX-License-Identifier: Apache-2.0 */
/* The policy "stand": the standing pose, whatever happens. No state, cannot fail. */
#include "hal/policies.h"
#include "hal/pose.h"

static int step(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    (void)state;
    (void)observation;
    pose_stand(ret_joints_rad);
    return 0;
}

const struct policy *policy_stand(void)
{
    static const struct policy policy = {
        .abi_version = POLICY_ABI_VERSION,
        .observation_bytes = sizeof(struct policy_observation),
        .joints = POLICY_JOINTS,
        .flags = POLICY_FOLLOWS_COMMAND,
        .name = "stand",
        .version = "1",
        .step = step,
    };

    return &policy;
}
