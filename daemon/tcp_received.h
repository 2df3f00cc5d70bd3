/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a peer has sent, as the kernel counts it: also what libwebsockets answers by itself and
 * never tells of, such as pings.
 *
 * Thread: any. Cost: one getsockopt(2).
 */
#ifndef SIMCAST_DAEMON_TCP_RECEIVED_H
#define SIMCAST_DAEMON_TCP_RECEIVED_H

#include <stdint.h>

/* Bytes received since the connection began; 0 where that is not known (a unix socket). */
uint64_t tcp_received_bytes(int fd);

#endif
