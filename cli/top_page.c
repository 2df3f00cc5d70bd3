/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one socket for the time of a call. A slow or foreign server costs the caller its answer. */
#include "cli/top_page.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <netdb.h>

#include "base/clock.h"

#define HEAD_BYTES 1024
#define CHUNK_BYTES 16384

static const char unix_scheme[] = "unix:";

static int wait_for(int fd, short events, int64_t until_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int64_t left_ms = (until_ns - clock_now_ns()) / NS_PER_MS;

    return left_ms > 0 && poll(&poll_fd, 1, (int)left_ms) > 0 ? 0 : -ETIMEDOUT;
}

static int connect_to(int fd, const struct sockaddr *address, socklen_t bytes, int64_t until_ns)
{
    int error = 0;
    socklen_t error_bytes = sizeof(error);

    if (connect(fd, address, bytes) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    if (wait_for(fd, POLLOUT, until_ns) < 0)
        return -ETIMEDOUT;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
    return -error;
}

static int open_unix(const char *path, int64_t until_ns, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    *ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect_to(*ret_fd, (struct sockaddr *)&address, sizeof(address), until_ns);
}

/* "host:port", "[::1]:port"; *ret_fd is to be closed whatever is returned, unless negative. */
static int open_tcp(const char *text, int64_t until_ns, int *ret_fd)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list;
    const char *colon = strrchr(text, ':');
    char host[256];

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        return -EINVAL;
    int bracket = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);
    if (getaddrinfo(host[0] ? host : "127.0.0.1", colon + 1, &hints, &list) != 0)
        return -EINVAL;
    *ret_fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error =
        *ret_fd < 0 ? -errno : connect_to(*ret_fd, list->ai_addr, list->ai_addrlen, until_ns);
    freeaddrinfo(list);
    return error;
}

static int ask(int fd, const struct top_server *server, const char *path, int64_t until_ns)
{
    char head[HEAD_BYTES];
    const char *host = strncmp(server->address, unix_scheme, strlen(unix_scheme)) == 0
                           ? "localhost"
                           : server->address;
    int count = snprintf(head, sizeof(head),
                         "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s%s\r\n", path,
                         host, server->token ? "Authorization: Bearer " : "",
                         server->token ? server->token : "", server->token ? "\r\n" : "");

    if (count < 0 || (size_t)count >= sizeof(head))
        return -EINVAL;
    if (wait_for(fd, POLLOUT, until_ns) < 0)
        return -ETIMEDOUT;
    return send(fd, head, (size_t)count, MSG_NOSIGNAL) == count ? 0 : -EPIPE;
}

/* Reads until the server closes. */
static int take(int fd, int64_t until_ns, char **ret_answer)
{
    char *answer = malloc(1);
    size_t used = 0;
    ssize_t got = 1;

    while (answer && got > 0) {
        char *larger = used < TOP_PAGE_BYTES_MAX ? realloc(answer, used + CHUNK_BYTES + 1) : NULL;
        if (!larger || wait_for(fd, POLLIN, until_ns) < 0) {
            free(larger ? larger : answer);
            return larger ? -ETIMEDOUT : -ENOMEM;
        }
        answer = larger;
        got = recv(fd, answer + used, CHUNK_BYTES, 0);
        used += got > 0 ? (size_t)got : 0;
    }
    if (!answer)
        return -ENOMEM;
    answer[used] = '\0';
    *ret_answer = answer;
    return 0;
}

/* Leaves the body in *answer. */
static int judge(char **answer)
{
    char *body = strstr(*answer, "\r\n\r\n");
    unsigned status = 0;

    if (strncmp(*answer, "HTTP/1.1 ", 9) == 0)
        status = (unsigned)strtoul(*answer + 9, NULL, 10);
    if (status == 401 || status == 403)
        return -EACCES;
    if (status != 200 || !body)
        return -EPROTO;
    memmove(*answer, body + 4, strlen(body + 4) + 1);
    return 0;
}

static void explain(int error, const struct top_server *server, char *reason, size_t bytes)
{
    const char *address = server->address;

    if (error == -ECONNREFUSED || error == -ENOENT)
        snprintf(reason, bytes, "nobody listens at %s: start simcastd, or give --server", address);
    else if (error == -EINVAL || error == -ENAMETOOLONG)
        snprintf(reason, bytes, "%s is no address: give host:port or unix:/path", address);
    else if (error == -EACCES)
        snprintf(reason, bytes, "%s wants %s token: give a file with one by --token-file", address,
                 server->token ? "another" : "a");
    else if (error == -EPROTO)
        snprintf(reason, bytes, "%s answers, but not like a simcastd (TLS is not spoken here)",
                 address);
    else
        snprintf(reason, bytes, "%s does not answer: %s", address, strerrordesc_np(-error));
}

int top_page_get(const struct top_server *server, const char *path, char **ret_page, char *reason,
                 size_t reason_bytes)
{
    int64_t until_ns = clock_now_ns() + TOP_PAGE_MS * NS_PER_MS;
    size_t scheme = strlen(unix_scheme);
    char *answer = NULL;
    int fd = -1;
    int error = strncmp(server->address, unix_scheme, scheme) == 0
                    ? open_unix(server->address + scheme, until_ns, &fd)
                    : open_tcp(server->address, until_ns, &fd);

    if (error == 0)
        error = ask(fd, server, path, until_ns);
    if (error == 0)
        error = take(fd, until_ns, &answer);
    if (fd >= 0)
        close(fd);
    if (error == 0)
        error = judge(&answer);
    if (error < 0) {
        free(answer);
        explain(error, server, reason, reason_bytes);
        return error;
    }
    *ret_page = answer;
    return 0;
}
