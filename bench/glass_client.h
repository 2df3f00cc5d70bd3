/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client on a plain socket, which does nothing but receive: what it adds to a latency is one
 * read. Connects to this machine only; takes unfragmented binary WebSocket messages, as simcastd
 * and ws send them, and ignores pings, which neither sends within seconds; or the parts of a
 * multipart answer, as ustreamer sends them.
 *
 * Source: RFC 6455 sections 4.1 and 5.2; RFC 2046 section 5.1.
 * Thread: one.
 */
#ifndef SIMCAST_BENCH_GLASS_CLIENT_H
#define SIMCAST_BENCH_GLASS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GLASS_MESSAGE_BYTES_MAX (4 << 20)

struct glass_client {
    int fd;         /* for poll; -1: closed */
    uint8_t *bytes; /* GLASS_MESSAGE_BYTES_MAX and a header's length more */
    bool multipart;
    size_t filled;
    size_t taken;    /* of these, handed out already */
    int64_t read_ns; /* when the newest bytes were read */
};

/* Valid until the next call on this client. */
struct glass_message {
    const uint8_t *bytes;
    size_t count;
    int64_t arrived_ns; /* its last byte */
};

/* A free port on this machine; somebody else may take it before it is used. 0: none. */
uint16_t glass_port(void);

/*
 * Connects, trying for at most timeout_ms. `subprotocol` may be NULL. On success the caller owns
 * the connection. Errors: -ETIMEDOUT nobody accepts; -EPROTO it is no WebSocket; -ENOMEM.
 */
int glass_client_open(struct glass_client *client, uint16_t port, const char *subprotocol,
                      int timeout_ms);

/* The same of GET /stream; each part is a message. */
int glass_client_open_multipart(struct glass_client *client, uint16_t port, int timeout_ms);

/* Also after an open that failed. */
void glass_client_close(struct glass_client *client);

/* Never waits. Errors: -EAGAIN none is complete; -EPIPE the connection is gone; -EPROTO. */
int glass_client_receive(struct glass_client *client, struct glass_message *ret_message);

/* A binary message of at most 1000 bytes. Errors: -EPIPE, -EMSGSIZE. */
int glass_client_send(struct glass_client *client, const void *message, size_t count);

#endif
