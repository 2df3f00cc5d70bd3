/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the demo's programs are: in the build tree beside this one, installed beside this one, or
 * in PATH; and which TCP ports are free on loopback.
 *
 * Thread: the main thread, at start (reads the environment).
 */
#ifndef SIMCAST_CLI_PROGRAMS_H
#define SIMCAST_CLI_PROGRAMS_H

#include <stdint.h>

#define PROGRAM_PATH_BYTES 512

/*
 * Finds `name`, whose folder in the build tree is `folder` (NULL: it is not ours).
 * Errors: -ENOENT.
 */
int program_find(const char *name, const char *folder, char ret_path[PROGRAM_PATH_BYTES]);

/* Whether 127.0.0.1:port can be listened on. Errors: -EADDRINUSE, -EACCES, others likewise. */
int port_check(uint16_t port);

/* A port that is free just now. Errors: from the system. */
int port_find(uint16_t *ret_port);

#endif
