/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring's unix socket in the file system: bound so that the file of a dead producer is replaced
 * and that of a living one respected, and removed at the end.
 *
 * Internal to shm/. Thread: one.
 */
#ifndef SIMCAST_SHM_DOORWAY_H
#define SIMCAST_SHM_DOORWAY_H

#include <sys/types.h>
#include <sys/un.h>

struct doorway {
    struct sockaddr_un address;
    int fd;
    ino_t inode; /* of the socket's file; 0: none was made */
};

/*
 * Creates the last component of the directory (0770) when it is missing. Fills *doorway; on
 * failure there is nothing to close. Errors: -EADDRINUSE a living producer listens there, or what
 * mkdir, open, socket, bind and listen said.
 */
int doorway_open(struct doorway *doorway, const struct sockaddr_un *address);

/* Takes a doorway that failed to open or is closed, too. */
void doorway_close(struct doorway *doorway);

#endif
