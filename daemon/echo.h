/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test builds only (meson setup -Dwebsocket_echo=true): at ECHO_PATH simcastd sends back each
 * message as it came, so that suites which check WebSocket servers can be pointed at the path that
 * all messages take: inbound, libwebsockets, ws. Any number of clients, no token, no limits on size
 * and rate; never install such a build.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_ECHO_H
#define SIMCAST_DAEMON_ECHO_H

#include "daemon/ws.h"

#define ECHO_PATH "/echo"

/* What ws is to call for clients of ECHO_PATH. */
const struct ws_handler *echo_handler(void);

#endif
