/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inference loop: takes an observation, lets the policy look at it, sends its action. A
 * policy slower than the period sees fewer observations, never old ones.
 *
 * Thread: it runs one of its own.
 */
#ifndef SIMCAST_HAL_INFERENCE_LOOP_H
#define SIMCAST_HAL_INFERENCE_LOOP_H

#include "hal/loop_link.h"
#include "hal/policies.h"
#include "hal/realtime.h"
#include "hal/stats.h"

struct inference_loop;

struct inference_loop_config {
    struct loop_link *link; /* borrowed, as are the next two, until destroyed */
    const struct loaded_policy *policy;
    struct stats *stats;
    struct realtime realtime;
};

/* Starts it; the HAL's side of the link is open. Errors: -ENOMEM, -EMFILE, -EAGAIN no thread. */
int inference_loop_create(const struct inference_loop_config *config,
                          struct inference_loop **ret_loop);

/* Takes NULL. After loop_link_shutdown; joins the thread. */
void inference_loop_destroy(struct inference_loop *loop);

#endif
