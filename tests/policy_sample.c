/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy in a shared object, for tests: crouches by its argument. Built three times: as it is,
 * with another version of the interface, and with another number of joints.
 *
 * The argument: CROUCH[:MS[:STEPS]], radians, how long each step thinks, and after how many steps
 * it fails for ever (0: never).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "hal/policy.h"

#ifndef SAMPLE_ABI
#define SAMPLE_ABI POLICY_ABI_VERSION
#endif
#ifndef SAMPLE_JOINTS
#define SAMPLE_JOINTS POLICY_JOINTS
#endif

struct sample {
    float crouch;
    int think_ms;
    unsigned steps_max;
    unsigned steps;
};

static int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    struct sample *sample = calloc(1, sizeof(*sample));

    if (!sample)
        return -ENOMEM;
    if (sscanf(argument, "%f:%d:%u", &sample->crouch, &sample->think_ms, &sample->steps_max) < 1) {
        snprintf(reason, reason_bytes, "it needs a number behind its name");
        free(sample);
        return -EINVAL;
    }
    *ret_state = sample;
    return 0;
}

static int step(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS])
{
    struct sample *sample = state;

    if (sample->think_ms > 0)
        poll(NULL, 0, sample->think_ms);
    if (sample->steps_max > 0 && ++sample->steps > sample->steps_max)
        return -EIO;
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ret_joints_rad[i] = observation->joint_position_rad[i] + sample->crouch;
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
