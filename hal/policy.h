/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy is: from what the robot senses to where its joints shall go. The built-in ones
 * and those in shared objects speak this same interface; it needs nothing but the C library.
 *
 * A shared object exports one function:
 *
 *     const struct policy *simcast_policy(void);
 *
 * Joints: front left, front right, rear left, rear right; each hip, thigh, calf. Frames follow
 * ROS REP-103 (x forward, y left, z up), quaternions (x, y, z, w), radians, metres, seconds.
 *
 * Thread: init and fini on the thread that loads it, step on the inference thread alone.
 */
#ifndef SIMCAST_HAL_POLICY_H
#define SIMCAST_HAL_POLICY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POLICY_ABI_VERSION 1
#define POLICY_JOINTS 12
#define POLICY_SYMBOL "simcast_policy"

enum policy_image_index {
    POLICY_RGB_CAMERA_1, /* u8[height, width, 3] */
    POLICY_RGB_CAMERA_2,
    POLICY_DEPTH_MAP,      /* f32[height, width], metres */
    POLICY_CONFIDENCE_MAP, /* f32[height, width] */
    POLICY_IMAGE_COUNT,
};

/* Memory of the camera's ring, not a copy: valid until step returns. */
struct policy_image {
    const void *top_row;  /* NULL: there is no such picture */
    int64_t stride_bytes; /* to the next row below; negative where the bottom row comes first */
    uint32_t width;       /* pixels */
    uint32_t height;
    uint64_t frame_id;
    int64_t published_ns; /* CLOCK_MONOTONIC */
};

struct policy_observation {
    int64_t state_ns; /* when the state was published, CLOCK_MONOTONIC */
    int64_t sim_time_ns;
    uint64_t step;    /* the simulator's */
    float dt_s;       /* simulated time since the last observation that this policy saw */
    float command[3]; /* forward m/s, left m/s, turn rad/s: what the safety layers allow now */
    float joint_position_rad[POLICY_JOINTS];
    float joint_velocity_radps[POLICY_JOINTS];
    float joint_target_rad[POLICY_JOINTS]; /* applied last */
    float linear_velocity_mps[3];          /* of the trunk, in its own frame */
    float angular_velocity_radps[3];       /* likewise */
    float orientation_xyzw[4];
    float gravity[3]; /* the direction of down in the trunk's frame, length 1 */
    struct policy_image images[POLICY_IMAGE_COUNT];
};

struct policy_gains {
    float stiffness_nm_per_rad;
    float damping_nms_per_rad;
};

/* Obeys `command`: at HOLD it goes on with zeros. Without the flag the robot just stands then. */
#define POLICY_FOLLOWS_COMMAND 0x1u

struct policy {
    uint32_t abi_version;       /* POLICY_ABI_VERSION */
    uint32_t observation_bytes; /* sizeof(struct policy_observation) */
    uint32_t joints;            /* POLICY_JOINTS */
    uint32_t flags;
    const char *name;
    const char *version; /* for the log */
    /*
     * `argument` is what the user wrote behind the name, or "". Returns 0, or a negative errno
     * and a sentence in `reason`. May be NULL: nothing to do.
     */
    int (*init)(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes);
    /* Returns 0 with all joints set, or a negative errno: no action this time. */
    int (*step)(void *state, const struct policy_observation *observation,
                float ret_joints_rad[POLICY_JOINTS]);
    void (*fini)(void *state); /* may be NULL */
    /* The gains that it was made for; all 0, or NULL: the HAL's own. */
    struct policy_gains (*gains)(const void *state);
};

const struct policy *simcast_policy(void);

#ifdef __cplusplus
}
#endif

#endif
