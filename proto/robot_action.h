/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the joints shall do, 88 bytes: the payload of the action ring <stream>.actions, written by
 * simcast-hal, read by the simulator. Joints as in proto/robot_state.h.
 *
 * A reader applies an action only while it is fresh, and never against its own safety layer: an
 * action says which mode its maker obeyed.
 *
 * Fixed-width and naturally aligned, so it is shared as it is (little-endian hosts).
 */
#ifndef SIMCAST_PROTO_ROBOT_ACTION_H
#define SIMCAST_PROTO_ROBOT_ACTION_H

#include <assert.h>
#include <stdint.h>

#include "proto/robot_state.h"

#define ROBOT_ACTION_MAGIC 0x31414252          /* "RBA1" */
#define ROBOT_ACTION_NS_MAX INT64_C(100000000) /* older than this it is not applied */

struct robot_action {
    uint32_t magic;   /* ROBOT_ACTION_MAGIC */
    uint32_t mode;    /* enum gate_mode that was obeyed in making it */
    int64_t made_ns;  /* CLOCK_MONOTONIC */
    int64_t state_ns; /* when the state that it answers was published; 0: it answers none */
    uint64_t step;    /* of that state */
    float joint_position_rad[ROBOT_JOINTS]; /* to be reached */
    float stiffness_nm_per_rad;             /* torque = stiffness x error - damping x speed */
    float damping_nms_per_rad;
};

static_assert(sizeof(struct robot_action) == 88, "robot_action is shared memory");

#endif
