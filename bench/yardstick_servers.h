/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs that serve JPEG pictures, which come to them through a pipe: Node with npm's ws
 * as WebSocket messages, ustreamer as multipart over HTTP. ustreamer reads cameras only;
 * mjpeg_device.c plays one to it.
 *
 * Thread: one, which must have started no others (it forks).
 */
#ifndef SIMCAST_BENCH_YARDSTICK_SERVERS_H
#define SIMCAST_BENCH_YARDSTICK_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/peer.h"

/* What is missing and how to get it; NULL: nothing. */
const char *yardstick_ustreamer_missing(void);
const char *yardstick_node_missing(void);

/* How a numbered picture's number is written. */
#define YARDSTICK_NUMBER_CHARS 8
#define YARDSTICK_NUMBER_SCAN "%8x"

/*
 * Starts the server on 127.0.0.1:port with the pipe's reading end as its input, which stays the
 * caller's. End it with SIGKILL: ustreamer takes a second to obey anything milder.
 *
 * `numbered`: behind each JPEG's end stands its number among all that came, from 0, as text.
 */
int yardstick_ustreamer_start(struct peer *peer, int input, uint16_t port, bool numbered);
int yardstick_node_start(struct peer *peer, int input, uint16_t port);

#endif
