/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening sockets: TCP, unix, or those that systemd opened for us. simcastd opens them
 * itself, not libwebsockets, so that a port in use is an error with a name and each accepted socket
 * gets its options before the first byte.
 *
 * Thread: the loop. Cost: opening blocks for no name look-up: addresses are numbers.
 */
#ifndef SIMCAST_DAEMON_LISTEN_H
#define SIMCAST_DAEMON_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#define LISTEN_MAX 8
#define LISTEN_ERROR_BYTES 512
#define LISTEN_NAME_BYTES 128

struct listeners {
    int fds[LISTEN_MAX];
    size_t count;
    bool remote;    /* other machines can reach one of them */
    bool inherited; /* from systemd, which keeps them when we end */
};

/*
 * Checks a list, comma-separated, of "ADDRESS:PORT", where the address is IPv4, "[IPv6]" or
 * "localhost" and the port 0 to 65535 (0: the system chooses), and "unix:/PATH".
 * *ret_remote: other machines can reach one of them. Errors: -EINVAL.
 */
int listen_check(const char *list, bool *ret_remote);

/*
 * Opens them all, or takes over those that systemd passed (LISTEN_FDS) in place of the list. They
 * are non-blocking. A unix socket is for its owner and group; one that nobody listens on any more
 * is replaced. Errors: -EINVAL; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES and others from the system;
 * ret_error (LISTEN_ERROR_BYTES) has a sentence. Nothing stays open then.
 */
int listeners_open(const char *list, struct listeners *ret_listeners, char *ret_error);

/* Closes them, and removes the unix sockets that listeners_open made. Zeroed ones are fine. */
void listeners_close(struct listeners *listeners);

/* "127.0.0.1:8080", with the port that the system chose, or "unix:/PATH". */
void listen_name(int listen_fd, char ret_text[LISTEN_NAME_BYTES]);

/*
 * Accepts one connection: non-blocking, and over TCP with TCP_NODELAY and at most 32 KiB in the
 * kernel beyond what the network has taken, so that what a slow reader gets is fresh. The caller
 * owns the result. Errors: -EAGAIN none waits; -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: try again
 * later.
 */
int listen_accept(int listen_fd);

#endif
