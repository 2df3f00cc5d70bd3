/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A viewer without a screen: connects to simcastd at 127.0.0.1 with subprotocol simcast.v2,
 * receives everything, measures it (cli/measure.h), and connects again whenever the connection
 * is lost. Home of libwebsockets' client side.
 *
 * Thread: it runs one of its own; the functions here may be called from any one thread.
 */
#ifndef SIMCAST_CLI_WS_CLIENT_H
#define SIMCAST_CLI_WS_CLIENT_H

#include <stdint.h>

#include "cli/measure.h"

/* A longer message counts as torn. */
#define WS_CLIENT_MESSAGE_BYTES_MAX (16 << 20)

struct ws_client;

/*
 * Starts the thread; a server that is not there yet is tried again every 100 ms.
 * On success the caller owns *ret_client. Errors: -ENOMEM, -EAGAIN (no thread).
 */
int ws_client_start(uint16_t port, struct ws_client **ret_client);

/*
 * From now on commands the robot to move with this velocity, twenty times a second, for layer 3
 * lets none stand for longer than 200 ms. Call it at most once.
 */
void ws_client_drive(struct ws_client *client, double forward_mps);

/* Copies what was measured so far (some 30 KB). */
void ws_client_read(struct ws_client *client, struct measure *ret_measure);

/* Takes NULL. Closes the connection and waits for the thread. */
void ws_client_stop(struct ws_client *client);

#endif
