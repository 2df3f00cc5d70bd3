/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening TCP socket. simcastd opens it itself, not libwebsockets, so that a port in use
 * is an error with a name and each accepted socket gets its options before the first byte.
 *
 * Thread: the loop. Cost: opening blocks for no name look-up: addresses are numbers.
 */
#ifndef SIMCAST_DAEMON_LISTEN_H
#define SIMCAST_DAEMON_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Checks "ADDRESS:PORT" where the address is IPv4, "[IPv6]" or "localhost" and the port 0 to
 * 65535 (0: the system chooses). Errors: -EINVAL.
 */
int listen_parse(const char *text, bool *ret_loopback);

/*
 * Returns a listening, non-blocking descriptor that the caller owns.
 * Errors: -EINVAL; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES and others from the system.
 */
int listen_open(const char *text);

/* The port that the system chose, or -errno. */
int listen_port(int listen_fd);

/*
 * Accepts one connection: non-blocking, TCP_NODELAY, and at most 32 KiB in the kernel beyond what
 * the network has taken, so that what a slow reader gets is fresh. The caller owns the result.
 * Errors: -EAGAIN none waits; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: try again later.
 */
int listen_accept(int listen_fd);

#endif
