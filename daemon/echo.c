/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing: a message's frame lives until it was handed to the socket. */
#include "daemon/echo.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES_MAX 10

static unsigned may_connect(void *data, const struct http_request *request)
{
    (void)data;
    (void)request;
    return 0;
}

static void *open_echo(void *data, struct ws_peer *peer, enum client_kind kind,
                       const struct http_request *request)
{
    (void)data;
    (void)kind;
    (void)request;
    return peer;
}

/* RFC 6455, 5.2: one final frame, its length in the shortest form. Returns the header's length. */
static size_t write_header(uint8_t *at, bool text, size_t size)
{
    at[0] = text ? 0x81 : 0x82;
    if (size < 126) {
        at[1] = (uint8_t)size;
        return 2;
    }
    size_t bytes = size < 65536 ? 2 : 8;
    at[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++)
        at[2 + i] = (uint8_t)(size >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

static void message(void *data, void *client, const uint8_t *bytes, size_t size, bool text)
{
    uint8_t *frame = malloc(HEADER_BYTES_MAX + size);

    (void)data;
    if (!frame)
        return;
    size_t header = write_header(frame, text, size);
    memcpy(frame + header, bytes, size);
    ws_peer_send(client, frame, header + size);
    free(frame);
}

static void ignore(void *data, void *client)
{
    (void)data;
    (void)client;
}

const struct ws_handler *echo_handler(void)
{
    static const struct ws_handler handler = {
        .open = open_echo,
        .message = message,
        .drained = ignore,
        .close = ignore,
        .may_connect = may_connect,
    };

    return &handler;
}
