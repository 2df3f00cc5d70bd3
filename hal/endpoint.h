/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For control programs that exist already: the HAL as they know it, over ipc:// or tcp://. It
 * publishes the eight-part observation and takes the two-part joint command, byte for byte
 * (proto/observation.h). Such a program then is the policy: `--policy external`.
 *
 * Their 18 joints: ours by a table, the rest zero. Pictures: the first camera's size counts; a
 * camera that has none, or another size, is black. A picture with its top row first and no
 * padding is sent from the ring's own memory, any other is copied row by row.
 *
 * Thread: open, use and close on one thread, the HAL loop's. Home of libzmq's outer side.
 */
#ifndef SIMCAST_HAL_ENDPOINT_H
#define SIMCAST_HAL_ENDPOINT_H

#include <stdint.h>

#include "hal/cameras.h"
#include "hal/loop_link.h"
#include "hal/policy.h"
#include "proto/observation.h"

struct endpoint;

struct endpoint_config {
    const char *observations;         /* URL to bind; NULL: no endpoint */
    const char *commands;             /* likewise */
    uint8_t joint_map[POLICY_JOINTS]; /* our joint i is their joint joint_map[i] */
};

/*
 * Binds both. On success the caller owns *ret_endpoint. Errors, logged: -EINVAL a URL that
 * ZeroMQ does not know, -EADDRINUSE, -EACCES, -ENOENT, -EADDRNOTAVAIL; -EMFILE; -ENOMEM.
 */
int endpoint_open(const struct endpoint_config *config, struct endpoint **ret_endpoint);

/* Takes NULL. Waits until the last pictures were let go of. */
void endpoint_close(struct endpoint *endpoint);

/*
 * Publishes what the observation says and lets go of its frames. Observations that a program
 * does not take in time are dropped, not queued.
 */
void endpoint_publish(struct endpoint *endpoint, struct hal_observation *observation);

/*
 * Waits until `until_ns` for a good command; its observation_timestamp_ns becomes sent_ns. Wrong
 * ones are counted, and the first of each kind is logged. Errors: -ETIMEDOUT.
 */
int endpoint_wait_command(struct endpoint *endpoint, int64_t until_ns,
                          struct hal_action *ret_action);

/* Messages refused since the start. */
uint64_t endpoint_refused(const struct endpoint *endpoint);

#endif
