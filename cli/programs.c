/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the system and keeps nothing; a port found free may be taken by another a moment later. */
#include "cli/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

/* Debian keeps daemons there, and a user's PATH may lack it. */
#define PATH_EXTRA "/usr/sbin:/usr/local/sbin"

static int try_path(const char *dir, int dir_bytes, const char *rest, const char *name,
                    char ret_path[PROGRAM_PATH_BYTES])
{
    char path[PROGRAM_PATH_BYTES];
    int count = snprintf(path, sizeof(path), "%.*s/%s%s", dir_bytes, dir, rest, name);

    if (count < 0 || (size_t)count >= sizeof(path) || access(path, X_OK) < 0)
        return -ENOENT;
    memcpy(ret_path, path, (size_t)count + 1);
    return 0;
}

static int find_in_list(const char *list, const char *name, char ret_path[PROGRAM_PATH_BYTES])
{
    while (list && *list != '\0') {
        int length = (int)strcspn(list, ":");
        if (length > 0 && try_path(list, length, "", name, ret_path) == 0)
            return 0;
        list += length + (list[length] == ':');
    }
    return -ENOENT;
}

int program_find(const char *name, const char *folder, char ret_path[PROGRAM_PATH_BYTES])
{
    char own[PROGRAM_PATH_BYTES];
    char rest[64];
    ssize_t count = readlink("/proc/self/exe", own, sizeof(own) - 1);

    own[count > 0 ? count : 0] = '\0';
    char *slash = strrchr(own, '/');
    if (folder && slash) {
        int dir_bytes = (int)(slash - own);
        snprintf(rest, sizeof(rest), "../%s/", folder);
        if (try_path(own, dir_bytes, rest, name, ret_path) == 0 ||
            try_path(own, dir_bytes, "", name, ret_path) == 0)
            return 0;
    }
    if (find_in_list(getenv("PATH"), name, ret_path) == 0)
        return 0;
    return find_in_list(PATH_EXTRA, name, ret_path);
}

/* Binds as a server would, so that connections in TIME_WAIT do not count as taken. */
static int bind_loopback(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof(address);
    int one = 1;
    int error = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &address_bytes) < 0)
        error = -errno;
    close(fd);
    if (error == 0)
        *ret_port = ntohs(address.sin_port);
    return error;
}

int port_check(uint16_t port)
{
    uint16_t bound;

    return bind_loopback(port, &bound);
}

int port_find(uint16_t *ret_port)
{
    return bind_loopback(0, ret_port);
}
