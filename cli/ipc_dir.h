/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory for the sockets of one demo, gone when the demo is gone, however that came about.
 *
 * A small process, the keeper, waits at the end of a pipe whose other end is open in the demo and
 * in every program that it starts. The pipe closes with the last of them, even when all were
 * killed; then the keeper removes the directory and ends.
 *
 * Thread: one, before others start (it forks).
 */
#ifndef SIMCAST_CLI_IPC_DIR_H
#define SIMCAST_CLI_IPC_DIR_H

#include <sys/types.h>

/* Short: a unix socket's whole path has 108 bytes. */
#define IPC_DIR_BYTES 64

struct ipc_dir {
    char path[IPC_DIR_BYTES];
    int pipe_fd; /* inherited by programs started from here on */
    pid_t keeper;
};

/*
 * Creates the directory under $XDG_RUNTIME_DIR, or under /tmp when that is unset or long.
 * Errors: what the system said; nothing is left then.
 */
int ipc_dir_create(struct ipc_dir *ret_dir);

/* Lets go of the pipe and waits for the keeper, so all other programs must have ended before. */
void ipc_dir_remove(struct ipc_dir *dir);

#endif
