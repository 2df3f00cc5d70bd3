/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The robot's state of one instant, 224 bytes: the payload of the state ring <stream>.state, and
 * in the reference simulator the user metadata of each frame. Frames follow ROS REP-103 (x forward,
 * y left, z up); radians, metres, seconds; quaternions (x, y, z, w).
 *
 * Joints: front left, front right, rear left, rear right; each hip, thigh, calf.
 *
 * Fixed-width and naturally aligned, so it is shared as it is (little-endian hosts).
 */
#ifndef SIMCAST_PROTO_ROBOT_STATE_H
#define SIMCAST_PROTO_ROBOT_STATE_H

#include <assert.h>
#include <stdint.h>

#define ROBOT_STATE_MAGIC 0x31534252 /* "RBS1" */
#define ROBOT_JOINTS 12

struct robot_state {
    uint32_t magic; /* ROBOT_STATE_MAGIC */
    uint32_t mode;  /* enum gate_mode of the simulator's safety layer */
    int64_t sim_time_ns;
    uint64_t cmd_seq; /* newest command applied before this instant; 0: none */
    double position_m[3];
    double orientation_xyzw[4];
    float linear_velocity_mps[3];
    float angular_velocity_radps[3];
    float joint_position_rad[ROBOT_JOINTS];
    float joint_velocity_radps[ROBOT_JOINTS];
    float command[3]; /* forward m/s, left m/s, turn rad/s as applied */
    float alpha;      /* part of the policy that the operator wants applied, 0 to 1 */
    uint64_t step;
};

static_assert(sizeof(struct robot_state) == 224, "robot_state is shared memory");

#endif
