/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the directory, the pipe and the keeper. The keeper ignores every signal that can be
 * ignored: it must outlive a Ctrl-C that ends the others. A directory that cannot be emptied
 * (somebody else put a directory into it) stays.
 */
#include "cli/ipc_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dirent.h>

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);

    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    rmdir(path);
}

static _Noreturn void keep(const char *path, int pipe_fd)
{
    sigset_t all;
    char byte;

    setsid();
    prctl(PR_SET_NAME, "simcast-keeper");
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    /* Whoever waits for the end of the demo's output must not wait for us. */
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null_fd, fd);
    while (read(pipe_fd, &byte, 1) != 0) {
    }
    remove_tree(path);
    _exit(0);
}

static int make_dir(char path[IPC_DIR_BYTES])
{
    static const char name[] = "/simcast-demo-XXXXXX";
    const char *parent = getenv("XDG_RUNTIME_DIR");

    if (!parent || parent[0] != '/' || strlen(parent) + sizeof(name) > IPC_DIR_BYTES ||
        access(parent, W_OK) < 0)
        parent = "/tmp";
    snprintf(path, IPC_DIR_BYTES, "%s%s", parent, name);
    return mkdtemp(path) ? 0 : -errno;
}

int ipc_dir_create(struct ipc_dir *ret_dir)
{
    struct ipc_dir dir;
    int fds[2];
    int error = make_dir(dir.path);

    if (error < 0)
        return error;
    if (pipe(fds) < 0) { /* without O_CLOEXEC: the programs inherit the write end */
        error = -errno;
        rmdir(dir.path);
        return error;
    }
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    dir.pipe_fd = fds[1];
    dir.keeper = fork();
    if (dir.keeper == 0) {
        close(fds[1]);
        keep(dir.path, fds[0]);
    }
    error = -errno;
    close(fds[0]);
    if (dir.keeper < 0) {
        close(fds[1]);
        rmdir(dir.path);
        return error;
    }
    *ret_dir = dir;
    return 0;
}

void ipc_dir_remove(struct ipc_dir *dir)
{
    close(dir->pipe_fd);
    while (waitpid(dir->keeper, NULL, 0) < 0 && errno == EINTR) {
    }
}
