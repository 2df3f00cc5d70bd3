/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The robot's way to its control loop and back: the state ring <stream>.state, one robot_state
 * per step of the physics, and the action ring <stream>.actions of simcast-hal.
 *
 * Safety layer 3 stays the last word: an action is obeyed only while it is fresh, never in ESTOP,
 * and in HOLD only when its maker knew of the HOLD (or the HOLD is younger than
 * ROBOT_LINK_GRACE_NS, the time that the maker needs to learn of it).
 *
 * Thread: open and close on one, the rest on the physics thread. Cost: drive and publish are
 * some hundred nanoseconds; a system call every 50 ms while no HAL is there.
 */
#ifndef SIMCAST_SIM_ROBOT_LINK_H
#define SIMCAST_SIM_ROBOT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/robot_state.h"
#include "safety/gate.h"
#include "sim/robot.h"

#define ROBOT_LINK_GRACE_NS INT64_C(50000000)

struct robot_link;

/*
 * Opens both rings; no HAL need be there. On success the caller owns *ret_link. Errors, logged:
 * those of ring_producer_open and ring_consumer_open.
 */
int robot_link_open(const char *dir, const char *stream, struct robot_link **ret_link);

/* Takes NULL. */
void robot_link_close(struct robot_link *link);

/* A state that finds no free slot is dropped: the next one is newer. */
void robot_link_publish(struct robot_link *link, const struct robot_state *state);

/* Whether the joints shall follow an action in this step; *ret_drive is set then. */
bool robot_link_drive(struct robot_link *link, enum gate_mode mode, int64_t now_ns,
                      struct robot_drive *ret_drive);

#endif
