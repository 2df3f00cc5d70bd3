/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing: descriptors belong to the callers. */
#include "daemon/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define BACKLOG 1024
#define NOTSENT_BYTES_MAX (32 * 1024)

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
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

static int parse(const char *text, union address *ret_address, socklen_t *ret_bytes)
{
    char host[INET6_ADDRSTRLEN];
    union address address;
    unsigned port;
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

int listen_parse(const char *text, bool *ret_loopback)
{
    union address address;
    socklen_t bytes;
    int error = parse(text, &address, &bytes);

    if (error < 0)
        return error;
    if (address.any.sa_family == AF_INET)
        *ret_loopback = ntohl(address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    else
        *ret_loopback = IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
    return 0;
}

int listen_open(const char *text)
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
    if (bind(fd, &address.any, bytes) < 0 || listen(fd, BACKLOG) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int listen_port(int listen_fd)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t bytes = sizeof(address);

    if (getsockname(listen_fd, &address.any, &bytes) < 0)
        return -errno;
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
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
