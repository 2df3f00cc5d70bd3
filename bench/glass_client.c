/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one socket and one buffer, which is moved to its front whenever it was handed out whole. */
#include "bench/glass_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/clock.h"

#define BUFFER_BYTES (GLASS_MESSAGE_BYTES_MAX + PART_HEAD_BYTES_MAX)
#define SENT_BYTES_MAX 1000
#define RETRY_MS 10
#define PART_HEAD_BYTES_MAX 512
#define BLANK_LINE "\r\n\r\n"
#define LENGTH_FIELD "content-length:"
#define OPCODE_BINARY 2
#define OPCODE_CLOSE 8

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

uint16_t glass_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &bytes) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/* ---- connecting ---------------------------------------------------------------------------- */

static int connect_until(struct glass_client *client, uint16_t port, int64_t give_up_ns)
{
    struct sockaddr_in address = loopback(port);
    int on = 1;

    while (clock_now_ns() < give_up_ns) {
        client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client->fd < 0)
            return -errno;
        if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return 0;
        }
        close(client->fd);
        client->fd = -1;
        poll(NULL, 0, RETRY_MS);
    }
    return -ETIMEDOUT;
}

/* Reads what is there. Errors: -EAGAIN nothing, -EPIPE. */
static int read_some(struct glass_client *client)
{
    ssize_t count = recv(client->fd, client->bytes + client->filled, BUFFER_BYTES - client->filled,
                         MSG_DONTWAIT);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (count <= 0)
        return -EPIPE;
    client->filled += (size_t)count;
    client->read_ns = clock_now_ns();
    return 0;
}

/* Messages may follow the answer at once; they stay in the buffer. */
static int await_answer(struct glass_client *client, const char *welcome, int64_t give_up_ns)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    const char *end = NULL;

    while (!end) {
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        poll(&fd, 1, RETRY_MS);
        if (read_some(client) == -EPIPE)
            return -EPROTO;
        end = memmem(client->bytes, client->filled, BLANK_LINE, strlen(BLANK_LINE));
    }
    client->taken = (size_t)(end + strlen(BLANK_LINE) - (const char *)client->bytes);
    return memcmp(client->bytes + strlen("HTTP/1.1"), welcome, strlen(welcome)) == 0 ? 0 : -EPROTO;
}

static int open_with(struct glass_client *client, uint16_t port, const char *request,
                     int timeout_ms)
{
    bool multipart = client->multipart;
    int64_t give_up_ns = clock_now_ns() + timeout_ms * NS_PER_MS;

    *client =
        (struct glass_client){.fd = -1, .bytes = malloc(BUFFER_BYTES), .multipart = multipart};
    if (!client->bytes)
        return -ENOMEM;
    int error = connect_until(client, port, give_up_ns);
    if (error == 0 && send(client->fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        error = -EPIPE;
    if (error == 0)
        error = await_answer(client, multipart ? " 200 " : " 101 ", give_up_ns);
    if (error < 0)
        glass_client_close(client);
    return error;
}

/* The key is the RFC's own example: nobody between us and the server could be confused by it. */
int glass_client_open(struct glass_client *client, uint16_t port, const char *subprotocol,
                      int timeout_ms)
{
    char request[512];

    snprintf(request, sizeof(request),
             "GET /stream/ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
             (unsigned)port, subprotocol ? "Sec-WebSocket-Protocol: " : "",
             subprotocol ? subprotocol : "", subprotocol ? "\r\n" : "");
    client->multipart = false;
    return open_with(client, port, request, timeout_ms);
}

int glass_client_open_multipart(struct glass_client *client, uint16_t port, int timeout_ms)
{
    char request[128];

    snprintf(request, sizeof(request), "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:%u%s",
             (unsigned)port, BLANK_LINE);
    client->multipart = true;
    return open_with(client, port, request, timeout_ms);
}

void glass_client_close(struct glass_client *client)
{
    if (client->bytes && client->fd >= 0)
        close(client->fd);
    free(client->bytes);
    *client = (struct glass_client){.fd = -1};
}

/* ---- messages ------------------------------------------------------------------------------ */

static uint64_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Errors: -EAGAIN the frame is not complete; -EPIPE it says goodbye; -EPROTO. */
static int take_frame(struct glass_client *client, struct glass_message *ret_message)
{
    const uint8_t *frame = client->bytes + client->taken;
    size_t left = client->filled - client->taken;

    if (left < 2)
        return -EAGAIN;
    unsigned more = frame[1] < 126 ? 0 : frame[1] == 126 ? 2 : 8;
    if (left < 2 + more)
        return -EAGAIN;
    uint64_t count = more == 0 ? frame[1] : big_endian(frame + 2, more);
    if ((frame[0] & 0x80) == 0 || (frame[1] & 0x80) != 0 || count > GLASS_MESSAGE_BYTES_MAX)
        return -EPROTO;
    if ((frame[0] & 0x0f) == OPCODE_CLOSE)
        return -EPIPE;
    if (left < 2 + more + count)
        return -EAGAIN;
    client->taken += 2 + more + count;
    bool is_binary = (frame[0] & 0x0f) == OPCODE_BINARY;
    *ret_message = (struct glass_message){frame + 2 + more, is_binary ? count : 0, client->read_ns};
    return 0;
}

/* The same of a multipart answer. */
static int take_part(struct glass_client *client, struct glass_message *ret_message)
{
    const uint8_t *part = client->bytes + client->taken;
    size_t left = client->filled - client->taken;
    char head[PART_HEAD_BYTES_MAX + 1];
    const uint8_t *end = memmem(part, left, BLANK_LINE, strlen(BLANK_LINE));

    if (!end)
        return left > PART_HEAD_BYTES_MAX ? -EPROTO : -EAGAIN;
    size_t head_bytes = (size_t)(end - part) + strlen(BLANK_LINE);
    if (head_bytes > PART_HEAD_BYTES_MAX)
        return -EPROTO;
    memcpy(head, part, head_bytes);
    head[head_bytes] = '\0';
    const char *field = strcasestr(head, LENGTH_FIELD);
    size_t count = field ? strtoul(field + strlen(LENGTH_FIELD), NULL, 10) : 0;
    if (count == 0 || count > GLASS_MESSAGE_BYTES_MAX)
        return -EPROTO;
    if (left < head_bytes + count)
        return -EAGAIN;
    client->taken += head_bytes + count;
    *ret_message = (struct glass_message){part + head_bytes, count, client->read_ns};
    return 0;
}

int glass_client_receive(struct glass_client *client, struct glass_message *ret_message)
{
    for (;;) {
        int error =
            client->multipart ? take_part(client, ret_message) : take_frame(client, ret_message);
        if (error == 0 && ret_message->count == 0)
            continue;
        if (error != -EAGAIN)
            return error;
        memmove(client->bytes, client->bytes + client->taken, client->filled - client->taken);
        client->filled -= client->taken;
        client->taken = 0;
        error = read_some(client);
        if (error < 0)
            return error;
    }
}

/* A mask of zeros is a mask; it guards proxies, and there are none. */
int glass_client_send(struct glass_client *client, const void *message, size_t count)
{
    uint8_t frame[8 + SENT_BYTES_MAX] = {0x80 | OPCODE_BINARY};
    size_t header = 6;

    if (count > SENT_BYTES_MAX)
        return -EMSGSIZE;
    if (count < 126) {
        frame[1] = (uint8_t)(0x80 | count);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(count >> 8);
        frame[3] = (uint8_t)count;
        header = 8;
    }
    memcpy(frame + header, message, count);
    ssize_t sent = send(client->fd, frame, header + count, MSG_NOSIGNAL);
    return sent == (ssize_t)(header + count) ? 0 : -EPIPE;
}
