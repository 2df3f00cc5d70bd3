/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole sessions with the daemon's network side: the real loop, libwebsockets and everything that
 * a client's bytes pass before they are a message, over a socket pair. The first byte says how the
 * session begins: with a good handshake, with one that is followed by frames at once, or with bytes
 * of the fuzzer's own in its place. The rest is cut into pieces, each behind a byte with its
 * length.
 *
 * What the server writes must be frames that a server may send, and nothing may follow its close
 * frame; a message is never longer than it may be; and when the client hangs up, all is over.
 *
 * Sources: daemon/ws.c daemon/certificate.c daemon/inbound.c daemon/head.c daemon/frames.c
 * Sources: daemon/loop.c daemon/http.c daemon/http_stream.c daemon/web_files.c daemon/ws_request.c
 * Libraries: -lwebsockets -lev -lssl -lcrypto -ldl
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/inbound.h"
#include "daemon/loop.h"
#include "daemon/ws.h"

#define OUTPUT_BYTES_MAX 65536
#define ROUNDS_MAX 200

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char handshake[] = "GET /stream/ws HTTP/1.1\r\nHost: localhost\r\n"
                                "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static struct loop *loop;
static struct ws *ws;
static struct counters counters;
static unsigned open_clients;

static uint8_t output[OUTPUT_BYTES_MAX];
static size_t output_bytes;

#define check(holds)                                                                               \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            fprintf(stderr, "ERROR: line %d: expected %s\n", __LINE__, #holds);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void *on_open(void *data, struct ws_peer *peer, enum client_kind kind,
                     const struct http_request *request)
{
    (void)data;
    check(kind <= CLIENT_ANNEX_B && strlen(request->path) < 4096);
    open_clients++;
    return peer;
}

static void on_message(void *data, void *client, const uint8_t *bytes, size_t size, bool text)
{
#ifdef PLANTED_BUG /* for run_fuzz: one that must be found within seconds */
    static uint8_t kept[8];
    memcpy(kept, bytes, size);
    check(size == 0 || kept[0] == bytes[0]);
#endif
    (void)data;
    (void)text;
    check(size <= WS_MESSAGE_BYTES_MAX && client != NULL);
    for (size_t i = 0; i < size; i++) {
        volatile uint8_t touched = bytes[i];
        (void)touched;
    }
    static const uint8_t answer[] = {0x82, 2, 'o', 'k'};
    if (size > 0 && bytes[0] == 'c')
        ws_peer_close(client, WS_CLOSE_VIOLATION);
    else if (size > 0)
        ws_peer_send(client, answer, sizeof(answer));
}

static void on_drained(void *data, void *client)
{
    (void)data;
    check(client != NULL);
}

static void on_close(void *data, void *client)
{
    (void)data;
    check(client != NULL && open_clients > 0);
    open_clients--;
}

static void on_get(void *data, const struct http_request *request,
                   struct http_response *ret_response)
{
    enum client_kind kind;

    (void)data;
    check(strlen(request->path) < 4096 && strlen(request->host) < 4096);
    if (http_stream_kind(request->path, request->query, &kind) == 0)
        *ret_response = (struct http_response){.status = 200, .streams = true, .kind = kind};
    else
        http_error(404, ret_response);
}

static unsigned on_may_connect(void *data, const struct http_request *request)
{
    (void)data;
    return http_origin_allowed(request->origin, request->host, "") ? 0 : 403;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct ws_handler handler = {
        .open = on_open,
        .message = on_message,
        .drained = on_drained,
        .close = on_close,
        .get = on_get,
        .may_connect = on_may_connect,
    };
    const struct inbound_config inbound = {
        .counters = &counters, .waiting_max = 8, .message_bytes_max = WS_MESSAGE_BYTES_MAX};
    const struct ws_tls tls = {.certificate_path = "", .key_path = ""};

    (void)argc;
    (void)argv;
    check(loop_create(&loop) == 0 && inbound_open(&inbound) == 0 &&
          ws_create(loop, &handler, &tls, &ws) == 0);
    return 0;
}

/* Lets the server work and keeps what it writes. Returns whether it hung up. */
static bool turn(int fd)
{
    for (unsigned i = 0; i < 3; i++)
        loop_run_once(loop);
    for (;;) {
        ssize_t got = recvfrom(fd, output + output_bytes, sizeof(output) - output_bytes,
                               MSG_DONTWAIT, NULL, NULL);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        if (got < 0 || output_bytes + (size_t)got == sizeof(output))
            return false;
        output_bytes += (size_t)got;
    }
}

static bool say(int fd, const void *bytes, size_t size)
{
    return size == 0 || send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* Behind a 101, all must be whole frames of a server, and the close frame the last. */
static void check_output(void)
{
    const uint8_t *end = memmem(output, output_bytes, "\r\n\r\n", 4);

    if (output_bytes < 12 || memcmp(output, "HTTP/1.1 101", 12) != 0 || !end)
        return;
    size_t at = (size_t)(end - output) + 4;
    bool closed = false;
    while (at < output_bytes) {
        check(!closed && output_bytes - at >= 2);
        unsigned opcode = output[at] & 15;
        size_t size = output[at + 1];
        check((output[at] & 0xf0) == 0x80 && size < 126);
        check(opcode == 2 || opcode == 8 || opcode == 10);
        closed = opcode == 8;
        at += 2 + size;
        check(at <= output_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    size_t at = 1;
    bool over = size == 0;

    output_bytes = 0;
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    check(ws_adopt(ws, fds[0]) == 0);
    if (!over && data[0] % 4 != 0) {
        say(fds[1], handshake, sizeof(handshake) - 1);
        if (data[0] % 4 != 1)
            over = turn(fds[1]);
    }
    while (!over && at < size) {
        size_t piece = data[at++] * 8u;
        if (piece > size - at)
            piece = size - at;
        over = !say(fds[1], data + at, piece) || turn(fds[1]);
        at += piece;
    }
    turn(fds[1]);
    check_output();
    close(fds[1]);
    for (unsigned i = 0; i < ROUNDS_MAX && (open_clients > 0 || ws_peers(ws) > 0); i++) {
        loop_run_once(loop);
        ws_tick(ws);
    }
    loop_run_once(loop);
    check(open_clients == 0 && ws_peers(ws) == 0);
    return 0;
}
