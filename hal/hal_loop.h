/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HAL loop. Once per period, on an absolute schedule: looks at robot and gates, sends an
 * observation, waits for its action until shortly before the period ends, and tells the joints.
 *
 * When things are late:
 *   the loop itself     periods that are over are skipped and counted, never caught up
 *   the inference       the last action is kept, for `patience` periods; then the robot stands
 *   an action           whose observation is older than action_ns_max is refused
 *   the robot's state   older than SENSES_STATE_NS_MAX: HOLD
 *
 * Thread: it runs one of its own, which owns all rings and its side of the link.
 */
#ifndef SIMCAST_HAL_HAL_LOOP_H
#define SIMCAST_HAL_HAL_LOOP_H

#include <stdint.h>

#include "hal/endpoint.h"
#include "hal/loop_link.h"
#include "hal/policies.h"
#include "hal/policy.h"
#include "hal/realtime.h"
#include "hal/stats.h"

#define HAL_RATE_HZ_MAX 1000

struct hal_loop;

struct hal_loop_config {
    const char *dir;
    const char *stream;
    const char *cameras[POLICY_IMAGE_COUNT]; /* streams of frames; NULL: none */
    struct endpoint_config endpoint; /* of a program that is the policy; no URLs: the link's */
    struct loop_link *link;          /* borrowed, as is the next */
    const struct policy *policy;     /* for its flags */
    struct loaded_policy *teleop;    /* asked on this thread; borrowed: at most some microseconds */
    struct policy_gains gains;       /* its own; 0: none */
    struct stats *stats;
    struct realtime realtime;
    int64_t period_ns;     /* at least NS_PER_S / HAL_RATE_HZ_MAX */
    int64_t action_ns_max; /* an action to an older observation is refused */
    unsigned patience;     /* periods without an action before the robot stands */
};

/*
 * Opens the rings and the HAL's side of the link, then starts the thread. Errors, logged:
 * those of ring_producer_open and ring_consumer_open; -ENOMEM, -EMFILE, -EAGAIN no thread.
 */
int hal_loop_create(const struct hal_loop_config *config, struct hal_loop **ret_loop);

/* Ends the thread within a period and joins it. The link's HAL side is closed then. */
void hal_loop_stop(struct hal_loop *loop);

/*
 * Takes NULL. Stops it if need be. The link must have been destroyed: its messages may hold
 * camera frames to the last.
 */
void hal_loop_destroy(struct hal_loop *loop);

#endif
