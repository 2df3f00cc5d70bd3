/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing: descriptors belong to the callers. Home of systemd's socket activation. */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <systemd/sd-daemon.h>

#define BACKLOG 1024
#define NOTSENT_BYTES_MAX (32 * 1024)
#define UNIX_PREFIX "unix:"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

/* Splits "host:port"; brackets around an IPv6 host are taken off. */
static int split(const char *text, char host[INET6_ADDRSTRLEN], unsigned *ret_port)
{
    const char *colon = strrchr(text, ':');
    char *end;

    if (!colon || colon == text || colon[1] < '0' || colon[1] > '9')
        return -EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX)
        return -EINVAL;
    size_t length = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= INET6_ADDRSTRLEN)
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    if (strcmp(host, "localhost") == 0)
        snprintf(host, INET6_ADDRSTRLEN, "127.0.0.1");
    *ret_port = (unsigned)port;
    return 0;
}

static int parse_unix(const char *path, union address *ret_address, socklen_t *ret_bytes)
{
    size_t length = strlen(path);

    if (path[0] != '/' || length >= sizeof(ret_address->un.sun_path))
        return -EINVAL;
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->un.sun_family = AF_UNIX;
    memcpy(ret_address->un.sun_path, path, length);
    *ret_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

static int parse(const char *text, union address *ret_address, socklen_t *ret_bytes)
{
    char host[INET6_ADDRSTRLEN];
    union address address;
    unsigned port;

    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), ret_address, ret_bytes);
    int error = split(text, host, &port);
    if (error < 0)
        return error;
    memset(&address, 0, sizeof(address));
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
        *ret_bytes = sizeof(address.v4);
    } else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        *ret_bytes = sizeof(address.v6);
    } else {
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

static bool is_remote(const union address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohl(address->v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET;
    case AF_INET6:
        return !IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    default:
        return address->any.sa_family != AF_UNIX;
    }
}

/* Calls `each` for every address of the list. Errors: -EINVAL, -E2BIG, or what `each` returned. */
static int for_each(const char *list, int (*each)(void *data, const char *text), void *data)
{
    char copy[1024];
    char *rest = NULL;
    size_t count = 0;

    if (strlen(list) >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, list, strlen(list) + 1);
    for (char *one = strtok_r(copy, ", ", &rest); one; one = strtok_r(NULL, ", ", &rest)) {
        int error = count++ < LISTEN_MAX ? each(data, one) : -E2BIG;
        if (error < 0)
            return error;
    }
    return count > 0 ? 0 : -EINVAL;
}

static int check_one(void *data, const char *text)
{
    bool *remote = data;
    union address address;
    socklen_t bytes;
    int error = parse(text, &address, &bytes);

    if (error == 0)
        *remote = *remote || is_remote(&address);
    return error;
}

int listen_check(const char *list, bool *ret_remote)
{
    bool remote = false;

    if (for_each(list, check_one, &remote) < 0)
        return -EINVAL;
    *ret_remote = remote;
    return 0;
}

/* Whether a socket stands at this path that nobody listens on: its process was killed. */
static bool is_stale(const union address *address, socklen_t bytes)
{
    struct stat info;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    bool stale = lstat(address->un.sun_path, &info) == 0 && S_ISSOCK(info.st_mode) &&
                 connect(fd, &address->any, bytes) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_unix(int fd, const union address *address, socklen_t bytes)
{
    mode_t former = umask(S_IXUSR | S_IXGRP | S_IRWXO);

    if (is_stale(address, bytes))
        unlink(address->un.sun_path);
    int error = bind(fd, &address->any, bytes) < 0 ? -errno : 0;
    umask(former);
    return error;
}

static int open_one(const char *text)
{
    union address address;
    socklen_t bytes;
    const int on = 1;
    int error = parse(text, &address, &bytes);

    if (error < 0)
        return error;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* A restart must not wait for connections of the former process to fade away. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.any.sa_family == AF_UNIX)
        error = bind_unix(fd, &address, bytes);
    else if (bind(fd, &address.any, bytes) < 0)
        error = -errno;
    if (error == 0 && listen(fd, BACKLOG) < 0)
        error = -errno;
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}

struct opening {
    struct listeners *listeners;
    char *error;
};

static void add(struct listeners *listeners, int fd)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t bytes = sizeof(address);

    getsockname(fd, &address.any, &bytes);
    listeners->remote = listeners->remote || is_remote(&address);
    listeners->fds[listeners->count++] = fd;
}

static int add_one(void *data, const char *text)
{
    struct opening *opening = data;
    int fd = open_one(text);

    if (fd < 0) {
        snprintf(opening->error, LISTEN_ERROR_BYTES,
                 "cannot listen on %s: %s; choose another address with --listen", text,
                 strerror(-fd));
        return fd;
    }
    add(opening->listeners, fd);
    return 0;
}

static int inherit(struct listeners *listeners, int count, char *ret_error)
{
    listeners->inherited = true;
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (i >= LISTEN_MAX || sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
            snprintf(ret_error, LISTEN_ERROR_BYTES,
                     "systemd passed %d descriptors: expected at most %d listening stream sockets; "
                     "see ListenStream= in simcastd.socket",
                     count, LISTEN_MAX);
            return -EINVAL;
        }
        fcntl(fd, F_SETFL, O_NONBLOCK);
        add(listeners, fd);
    }
    return 0;
}

int listeners_open(const char *list, struct listeners *ret_listeners, char *ret_error)
{
    struct listeners listeners = {.count = 0};
    struct opening opening = {.listeners = &listeners, .error = ret_error};
    int count = sd_listen_fds(1);

    snprintf(ret_error, LISTEN_ERROR_BYTES, "listen: not a list of addresses: %.200s", list);
    int error =
        count > 0 ? inherit(&listeners, count, ret_error) : for_each(list, add_one, &opening);
    if (error < 0)
        listeners_close(&listeners);
    else
        *ret_listeners = listeners;
    return error;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        union address address = {.any.sa_family = AF_UNSPEC};
        socklen_t bytes = sizeof(address);
        int fd = listeners->fds[i];
        if (!listeners->inherited && getsockname(fd, &address.any, &bytes) == 0 &&
            address.any.sa_family == AF_UNIX)
            unlink(address.un.sun_path);
        close(fd);
    }
    listeners->count = 0;
}

void listen_name(int listen_fd, char ret_text[LISTEN_NAME_BYTES])
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t bytes = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "?";

    getsockname(listen_fd, &address.any, &bytes);
    switch (address.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
        snprintf(ret_text, LISTEN_NAME_BYTES, "%s:%u", host, ntohs(address.v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
        snprintf(ret_text, LISTEN_NAME_BYTES, "[%s]:%u", host, ntohs(address.v6.sin6_port));
        break;
    default:
        snprintf(ret_text, LISTEN_NAME_BYTES, UNIX_PREFIX "%.*s", (int)sizeof(address.un.sun_path),
                 address.un.sun_path);
    }
}

int listen_accept(int listen_fd)
{
    const int on = 1;
    const int notsent_bytes_max = NOTSENT_BYTES_MAX;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_bytes_max, sizeof(notsent_bytes_max));
    return fd;
}
