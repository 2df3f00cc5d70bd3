/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring's unix socket in the file system: bound so that the file of a dead producer is replaced
 * and that of a living one respected, and removed at the end.
 *
 * Internal to shm/. Thread: one.
 */
#ifndef SIMCAST_SHM_LISTENER_H
#define SIMCAST_SHM_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

struct listener {
    struct sockaddr_un address;
    int fd;
    ino_t inode; /* of the socket's file; 0: none was made */
};

/*
 * Creates the last component of the directory (0770) when it is missing. Fills *listener; on
 * failure there is nothing to close. Errors: -EADDRINUSE a living producer listens there, or what
 * mkdir, open, socket, bind and listen said.
 */
int listener_open(struct listener *listener, const struct sockaddr_un *address);

/* Takes a listener that failed to open or is closed, too. */
void listener_close(struct listener *listener);

#endif
