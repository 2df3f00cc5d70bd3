/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `simcast-hal --game-loop`: the whole HAL without a simulator. Plays the robot at the HAL's own
 * rate, with joints that swing, a command that changes, camera frames where the configuration
 * names cameras, and every two seconds an ESTOP for half a second; and checks every action that
 * comes back:
 *
 *   whole, finite, made after what it answers, for a mode that was in force, in order
 *
 * Thread: the calling one, and one that plays the robot.
 */
#ifndef SIMCAST_HAL_GAME_LOOP_H
#define SIMCAST_HAL_GAME_LOOP_H

#include "hal/hal.h"

/*
 * Runs for `seconds` (0: until stop_fd is readable), then prints one line of JSON on stdout:
 * {"states","actions","bad","estops","estop_periods_max","frames","latency_us":{"p50","p99"},
 *  "jitter_us":{"p99"},"overruns"}.
 * Errors: those of hal_create and ring_producer_open; -EBADMSG an action was wrong (logged), or
 * fewer than half of the states were answered.
 */
int game_loop_run(const struct hal_config *config, unsigned seconds, int stop_fd);

#endif
