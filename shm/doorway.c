/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the listening descriptor and the socket's file. Runs on the thread that opens and closes
 * the ring.
 */
#include "shm/doorway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/fork_guard.h"
#include "shm/handoff.h"

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd;
    int error = handoff_connect(address, &fd);

    if (error == 0)
        close(fd);
    return error == 0 || error == -EAGAIN; /* EAGAIN: its backlog is full */
}

static int bind_replacing_stale(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    if (somebody_listens(address))
        return -EADDRINUSE;
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return -errno;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    return 0;
}

/* Creates the last component of the directory when it is missing and locks the directory. */
static int lock_directory(const struct sockaddr_un *address, int *ret_fd)
{
    char dir[sizeof(address->sun_path)];

    memcpy(dir, address->sun_path, sizeof(dir));
    *strrchr(dir, '/') = '\0';
    if (mkdir(dir, 0770) < 0 && errno != EEXIST)
        return -errno;
    /* Guarded, for a child that kept it would keep the lock. */
    fork_guard_hold();
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fork_guard_add(fd);
    fork_guard_let_go();
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) < 0) {
        int error = -errno;
        if (error == -EINTR)
            continue;
        fork_guard_close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int doorway_open(struct doorway *doorway, const struct sockaddr_un *address)
{
    struct stat status;
    int dir_fd = -1;

    *doorway = (struct doorway){.address = *address, .fd = -1};
    /* Two producers that start at once must not both find the old socket dead. */
    int error = lock_directory(address, &dir_fd);
    if (error < 0)
        return error;
    fork_guard_hold();
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fork_guard_add(fd);
    fork_guard_let_go();
    error = fd < 0 ? -errno : bind_replacing_stale(fd, address);
    if (error == 0 && stat(address->sun_path, &status) == 0)
        doorway->inode = status.st_ino;
    if (error == 0 && (chmod(address->sun_path, 0660) < 0 || listen(fd, 16) < 0))
        error = -errno;
    fork_guard_close(dir_fd);
    doorway->fd = fd;
    if (error < 0)
        doorway_close(doorway);
    return error;
}

void doorway_close(struct doorway *doorway)
{
    struct stat status;

    /* Not one that a successor has put there meanwhile. */
    if (doorway->inode != 0 && stat(doorway->address.sun_path, &status) == 0 &&
        status.st_ino == doorway->inode)
        unlink(doorway->address.sun_path);
    if (doorway->fd >= 0)
        fork_guard_close(doorway->fd);
    doorway->fd = -1;
}
