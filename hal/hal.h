/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The robot side as a whole: a policy, the HAL loop and the inference loop, started and ended in
 * the right order.
 *
 * Thread: create, destroy and stats on one thread.
 */
#ifndef SIMCAST_HAL_HAL_H
#define SIMCAST_HAL_HAL_H

#include <stdbool.h>

#include "hal/hal_loop.h"
#include "hal/stats.h"

struct hal;

struct hal_config {
    const char *dir;    /* of the rings */
    const char *stream; /* of the robot */
    const char *policy; /* as policy_load takes it */
    const char *teleop; /* likewise, of what the operator does alone; NULL: "stand" */
    const char *cameras[POLICY_IMAGE_COUNT];
    struct endpoint_config endpoint; /* with the policy "external", and only then */
    unsigned rate_hz;                /* 1 to HAL_RATE_HZ_MAX */
    int64_t action_ns_max;
    unsigned patience;
    struct realtime hal_thread;
    struct realtime inference_thread;
    bool lock_memory;
};

/*
 * On success the caller owns *ret_hal. Errors, logged: those of policy_load, hal_loop_create
 * and inference_loop_create.
 */
int hal_create(const struct hal_config *config, struct hal **ret_hal);

/* Takes NULL. Waits for the period and the policy's step that are under way. */
void hal_destroy(struct hal *hal);

/* What the loops measured since the start. */
void hal_stats(struct hal *hal, struct stats_values *ret_values);

/* The policy's name and version, for the log. Borrowed. */
const struct policy *hal_policy(const struct hal *hal);

#endif
