/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of simcastd, put together: what is created in which order, the one loop, and how it
 * stops.
 */
#ifndef SIMCAST_DAEMON_SERVER_H
#define SIMCAST_DAEMON_SERVER_H

#include "daemon/config.h"

/*
 * Serves until SIGTERM or SIGINT. Returns the exit code of the process: 0 stopped cleanly,
 * 78 (EX_CONFIG) a setting names something that is not there, 1 anything else; what went wrong
 * has been logged.
 * Thread: the main thread, before any other exists.
 */
int server_run(const struct config *config);

#endif
