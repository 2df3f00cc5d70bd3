/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one socket for the time of a call. A slow or foreign server costs the caller its answer. */
#include "cli/health.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <jansson.h>

#include "base/clock.h"

#define PATIENCE_NS (250 * NS_PER_MS)
#define ANSWER_BYTES 8192

static bool limit_wait(int fd, int option, int64_t until_ns)
{
    int64_t left_ns = until_ns - clock_now_ns();
    struct timeval left = {.tv_usec = left_ns / NS_PER_US};

    return left_ns >= NS_PER_US && setsockopt(fd, SOL_SOCKET, option, &left, sizeof(left)) == 0;
}

/* Sends the question and reads until the server closes; returns the answer's length. */
static ssize_t exchange(int fd, uint16_t port, char *answer, size_t answer_bytes)
{
    int64_t until_ns = clock_now_ns() + PATIENCE_NS;
    size_t used = 0;

    int count = snprintf(answer, answer_bytes,
                         "GET /health HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n\r\n",
                         (unsigned)port);
    if (send(fd, answer, (size_t)count, MSG_NOSIGNAL) != count)
        return -ETIMEDOUT;
    while (used < answer_bytes - 1 && limit_wait(fd, SO_RCVTIMEO, until_ns)) {
        ssize_t got = recv(fd, answer + used, answer_bytes - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    answer[used] = '\0';
    return used > 0 ? (ssize_t)used : -ETIMEDOUT;
}

static void copy_text(const json_t *object, const char *key, char text[HEALTH_TEXT_BYTES])
{
    const char *value = json_string_value(json_object_get(object, key));

    snprintf(text, HEALTH_TEXT_BYTES, "%s", value ? value : "");
}

int health_parse(const char *answer, struct health *ret_health)
{
    const char *body = strstr(answer, "\r\n\r\n");
    json_t *object = body ? json_loads(body + 4, 0, NULL) : NULL;

    if (!json_is_integer(json_object_get(object, "clients"))) {
        json_decref(object);
        return -EPROTO;
    }
    ret_health->clients = (unsigned)json_integer_value(json_object_get(object, "clients"));
    copy_text(object, "gate", ret_health->gate);
    copy_text(object, "gate_reason", ret_health->gate_reason);
    json_decref(object);
    return 0;
}

int health_connect(uint16_t port)
{
    int64_t until_ns = clock_now_ns() + PATIENCE_NS;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    errno = ETIMEDOUT;
    if (!limit_wait(fd, SO_SNDTIMEO, until_ns) || !limit_wait(fd, SO_RCVTIMEO, until_ns) ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int health_get(uint16_t port, struct health *ret_health)
{
    char answer[ANSWER_BYTES];
    int fd = health_connect(port);

    if (fd < 0)
        return fd;
    ssize_t used = exchange(fd, port, answer, sizeof(answer));
    close(fd);
    return used < 0 ? (int)used : health_parse(answer, ret_health);
}
