/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world in real time: a thread that steps the robot every ROBOT_STEP_NS on an absolute
 * schedule. Orders go in and snapshots come out as whole values, so nobody waits for a step.
 * When the machine falls behind by more than 100 ms the lost time is dropped, not caught up.
 *
 * Thread: any, after create. Cost: each call holds a lock for the copy of about 800 bytes.
 */
#ifndef SIMCAST_SIM_WORLD_H
#define SIMCAST_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/robot.h"
#include "sim/robot_link.h"

struct world;

struct world_orders {
    struct robot_input input;
    bool paused;
    uint32_t resets;  /* grows by one for each reset */
    uint32_t mode;    /* enum gate_mode, for robot_state */
    uint64_t cmd_seq; /* for robot_state */
};

struct world_snapshot {
    struct robot_state state;
    struct robot_pose pose; /* count 0 without a body */
    bool fallen;
};

/*
 * Starts the world: the quadruped, or with `with_body` false a point that moves as told. On
 * success the caller owns *ret_world. Errors: those of robot_create; -EAGAIN no thread.
 */
int world_create(bool with_body, struct world **ret_world);

/* Takes NULL. Ends and joins the thread. */
void world_destroy(struct world *world);

/*
 * From the next step on the world publishes each step's state on `link` and lets a body follow
 * the actions that come from there, as far as link and orders allow. Borrowed until the world is
 * destroyed.
 */
void world_link(struct world *world, struct robot_link *link);

/*
 * From the next step on the world takes the orders of `leader`, a little slower and turning a
 * little more with each number, so that environments differ. Borrowed until destroyed.
 */
void world_follow(struct world *world, struct world *leader, unsigned number);

/* Replaces the orders; they hold from the next step on. */
void world_order(struct world *world, const struct world_orders *orders);

/* The state after the last step. */
void world_observe(struct world *world, struct world_snapshot *ret_snapshot);

/* The robot whose model a renderer draws; NULL without a body. Borrowed. */
const struct robot *world_robot(const struct world *world);

#endif
