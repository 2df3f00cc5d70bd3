/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket and HTTP towards the network. Home of libwebsockets, which only ws.c and ws_request.c
 * see. It knows nothing about video: a handler gets the events, and writes finished WebSocket
 * frames.
 *
 * Thread: the loop, for everything.
 */
#ifndef SIMCAST_DAEMON_WS_H
#define SIMCAST_DAEMON_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemon/http.h"
#include "daemon/loop.h"

#ifdef SIMCAST_ECHO /* daemon/echo.h */
#define WS_MESSAGE_BYTES_MAX (1024u * 1024)
#else
#define WS_MESSAGE_BYTES_MAX 4096u /* from a client; a longer message closes with 1009 */
#endif
#define WS_FRAME_BYTES_MAX ((size_t)512 * 1024 * 1024)

enum ws_close_status {
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_NO_UTF8 = 1007,
    WS_CLOSE_VIOLATION = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_TRY_LATER = 1013,
};

/* Files in PEM; both empty: no TLS. */
struct ws_tls {
    const char *certificate_path;
    const char *key_path;
};

struct ws;
struct ws_peer; /* one open WebSocket or stream over HTTP; valid from `open` until `close` */

struct ws_handler {
    void *data;
    /*
     * A WebSocket is open, or `get` answered with a stream, to this request. Returns what the
     * next three are called with, or NULL to close it.
     */
    void *(*open)(void *data, struct ws_peer *peer, enum client_kind kind,
                  const struct http_request *request);
    /* One whole message. `bytes` is borrowed. */
    void (*message)(void *data, void *client, const uint8_t *bytes, size_t size, bool text);
    /* The peer took all that it had been sent, after a time when it had not. */
    void (*drained)(void *data, void *client);
    void (*close)(void *data, void *client);
    /* GET. The response is used before the next call. */
    void (*get)(void *data, const struct http_request *request, struct http_response *ret_response);
    /* Asks for a WebSocket. Returns 0 (welcome), or the status that refuses it. */
    unsigned (*may_connect)(void *data, const struct http_request *request);
};

/*
 * `handler` is copied. Errors: -ENOMEM, or -ENOTSUP when libwebsockets cannot use the loop (its
 * libev plug-in is not installed), -EINVAL certificate or key are wrong.
 */
int ws_create(struct loop *loop, const struct ws_handler *handler, const struct ws_tls *tls,
              struct ws **ret_ws);

/* Reads certificate and key again, for connections from now on. Errors: -EINVAL they are wrong. */
int ws_reload_tls(struct ws *ws, const struct ws_tls *tls);

/* Takes NULL. Drops what is still open. */
void ws_destroy(struct ws *ws);

/* Takes the accepted socket, also on failure. Errors: -ENOMEM, -EMFILE. */
int ws_adopt(struct ws *ws, int fd);

/*
 * Sends one or more finished WebSocket frames, over HTTP just bytes. What the socket does not take
 * now is copied and sent later, before anything else; the caller looks at ws_peer_busy and stops
 * meanwhile. Errors: -EPIPE the peer is gone; `close` follows by itself. Cost: one send(2); no copy
 * when the socket takes all.
 */
int ws_peer_send(struct ws_peer *peer, const uint8_t *frame, size_t frame_bytes);

/*
 * The same of something that the peer may do without, in pieces that go out as one; ws_peer_send
 * copies what a busy socket does not take, this does not begin. Errors: -EPIPE as above; -EAGAIN
 * the socket takes nothing, or has a tail to send: ws_peer_busy until `drained`.
 */
int ws_peer_offer(struct ws_peer *peer, struct iovec *pieces, unsigned count);

/* Whether a tail waits, or the socket took nothing of the last offer. */
bool ws_peer_busy(struct ws_peer *peer);

/* Ends a WebSocket with this status; `close` follows, after 2 s at most. */
void ws_peer_close(struct ws_peer *peer, enum ws_close_status status);

/* Of a stream over HTTP: hangs up when all was taken; `close` follows. */
void ws_peer_finish(struct ws_peer *peer);

/* Open WebSockets and streams, including those whose farewell is on the way. */
unsigned ws_peers(const struct ws *ws);

/*
 * To be called about every 50 ms: hangs up on streams over HTTP whose reader left, and nudges
 * libwebsockets 4.1.6, which moves its libev timer only when the timer has run out, so that its
 * time-outs would come late or never.
 */
void ws_tick(struct ws *ws);

/* Starts to close all of them; each gets `close`. */
void ws_close_all(struct ws *ws, enum ws_close_status status);

#endif
