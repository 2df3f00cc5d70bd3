/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's side of the bus: commands in, through the safety authority, to the world and
 * the stream; acknowledgements and telemetry out. A bus that is away is waited for; the robot
 * then times out to HOLD and ESTOP like with any silent operator.
 *
 * Thread: all calls from the one thread that created it.
 */
#ifndef SIMCAST_SIM_CONTROL_H
#define SIMCAST_SIM_CONTROL_H

#include "safety/authority.h"
#include "sim/stream.h"
#include "sim/world.h"

struct control;

/*
 * Borrows `world` and `stream` until destroyed. On success the caller owns *ret_control. Errors,
 * logged: those of bus_open.
 */
int control_create(const char *bus_url, const struct authority_config *safety, struct world *world,
                   struct stream *stream, struct control **ret_control);

/* Takes NULL. */
void control_destroy(struct control *control);

/* Readable while commands wait: call control_take_commands. Borrowed. */
int control_fd(const struct control *control);
void control_take_commands(struct control *control);

/* Safety and telemetry; call every AUTHORITY_TICK_NS. Never blocks. */
void control_tick(struct control *control);

#endif
