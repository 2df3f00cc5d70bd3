/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns policy, link, statistics and both loops. The order of the end matters: the link's last
 * messages may still hold camera frames, so it goes before the loop that owns the cameras.
 */
#include "hal/hal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hal/inference_loop.h"
#include "hal/policies.h"

struct hal {
    struct loaded_policy policy;
    struct loaded_policy teleop;
    struct stats stats;
    struct loop_link *link;
    struct hal_loop *hal_loop;
    struct inference_loop *inference_loop;
};

static int start(struct hal *hal, const struct hal_config *config)
{
    struct hal_loop_config hal_loop = {
        .dir = config->dir,
        .stream = config->stream,
        .endpoint = config->endpoint,
        .policy = hal->policy.policy,
        .teleop = &hal->teleop,
        .stats = &hal->stats,
        .realtime = config->hal_thread,
        .period_ns = NS_PER_S / config->rate_hz,
        .action_ns_max = config->action_ns_max,
        .patience = config->patience,
    };
    struct inference_loop_config inference = {
        .policy = &hal->policy,
        .stats = &hal->stats,
        .realtime = config->inference_thread,
    };
    const struct policy *policy = hal->policy.policy;
    int error = loop_link_create(&hal->link);

    if (policy->gains)
        hal_loop.gains = policy->gains(hal->policy.state);
    memcpy(hal_loop.cameras, config->cameras, sizeof(hal_loop.cameras));
    hal_loop.link = inference.link = hal->link;
    if (error == 0)
        error = hal_loop_create(&hal_loop, &hal->hal_loop);
    if (error == 0 && !config->endpoint.observations) {
        error = inference_loop_create(&inference, &hal->inference_loop);
        if (error < 0)
            log_error("cannot start the inference loop: %s", strerrordesc_np(-error));
    }
    if (error == 0 && config->lock_memory)
        realtime_lock_memory();
    return error;
}

int hal_create(const struct hal_config *config, struct hal **ret_hal)
{
    struct hal *hal = calloc(1, sizeof(*hal));

    if (!hal)
        return -ENOMEM;
    stats_init(&hal->stats);
    int error = policy_load(config->policy, &hal->policy);
    if (error == 0)
        error = policy_load(config->teleop ? config->teleop : "stand", &hal->teleop);
    if (error == 0)
        error = start(hal, config);
    if (error < 0) {
        hal_destroy(hal);
        return error;
    }
    *ret_hal = hal;
    return 0;
}

void hal_destroy(struct hal *hal)
{
    if (!hal)
        return;
    if (hal->link)
        loop_link_shutdown(hal->link);
    inference_loop_destroy(hal->inference_loop);
    if (hal->hal_loop)
        hal_loop_stop(hal->hal_loop);
    loop_link_destroy(hal->link);
    hal_loop_destroy(hal->hal_loop);
    policy_unload(&hal->policy);
    policy_unload(&hal->teleop);
    stats_fini(&hal->stats);
    free(hal);
}

void hal_stats(struct hal *hal, struct stats_values *ret_values)
{
    stats_read(&hal->stats, ret_values);
}

const struct policy *hal_policy(const struct hal *hal)
{
    return hal->policy.policy;
}
