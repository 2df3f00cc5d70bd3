/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy in a shared object, for tests: crouches by its argument. Built three times: as it is,
 * with another version of the interface, and with another number of joints.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hal/policy.h"

#ifndef SAMPLE_ABI
#define SAMPLE_ABI POLICY_ABI_VERSION
#endif
#ifndef SAMPLE_JOINTS
#define SAMPLE_JOINTS POLICY_JOINTS
#endif

static int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    float *crouch = malloc(sizeof(*crouch));

    if (!crouch)
        return -ENOMEM;
    if (sscanf(argument, "%f", crouch) != 1) {
        snprintf(reason, reason_bytes, "it needs a number behind its name");
        free(crouch);
        return -EINVAL;
    }
    *ret_state = crouch;
    return 0;
}

static int step(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ret_joints_rad[i] = observation->joint_position_rad[i] + *(const float *)state;
    return 0;
}

const struct policy *simcast_policy(void)
{
    static const struct policy policy = {
        .abi_version = SAMPLE_ABI,
        .observation_bytes = sizeof(struct policy_observation),
        .joints = SAMPLE_JOINTS,
        .name = "sample",
        .version = "7",
        .init = init,
        .step = step,
        .fini = free,
    };

    return &policy;
}
