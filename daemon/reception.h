/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives clients: what happens between the network (ws) and the parts when a connection opens,
 * speaks, drains and closes.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_RECEPTION_H
#define SIMCAST_DAEMON_RECEPTION_H

#include "daemon/ws.h"

struct parts;

/* What ws is to call; `parts` is borrowed. */
struct ws_handler reception_handler(struct parts *parts);

#endif
