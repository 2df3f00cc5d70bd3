/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ over ipc://, as fast as it goes: PUSH to PULL, one message per picture, the picture
 * drawn into the message, the time in its first eight bytes. Home of libzmq in bench/; its I/O
 * thread lives from open to close.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "base/clock.h"
#include "bench/yardsticks.h"

#define URL_BYTES 128
#define LOOK_MS 100
#define HIGH_WATER_MARK 2

struct sender {
    void *context;
    void *socket;
    zmq_msg_t message;
    bool drawn; /* the message is ours to send or close */
};

static void make_url(const struct delivery *delivery, char url[URL_BYTES])
{
    snprintf(url, URL_BYTES, "ipc://%s/zeromq", delivery->dir);
}

static void *make_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);
    int mark = HIGH_WATER_MARK;
    int look_ms = LOOK_MS;
    int linger_ms = 0;

    if (!socket)
        return NULL;
    zmq_setsockopt(socket, ZMQ_SNDHWM, &mark, sizeof(mark));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &mark, sizeof(mark));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &look_ms, sizeof(look_ms));
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    return socket;
}

static int zeromq_open(struct delivery *delivery)
{
    char url[URL_BYTES];
    struct sender *sender = calloc(1, sizeof(*sender));

    if (!sender)
        return -ENOMEM;
    delivery->state = sender;
    sender->context = zmq_ctx_new();
    sender->socket = sender->context ? make_socket(sender->context, ZMQ_PUSH) : NULL;
    make_url(delivery, url);
    if (!sender->socket || zmq_bind(sender->socket, url) < 0)
        return -errno;
    return 0;
}

static void *zeromq_canvas(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    sender->drawn = zmq_msg_init_size(&sender->message, delivery->picture_bytes) == 0;
    return sender->drawn ? zmq_msg_data(&sender->message) : NULL;
}

static int zeromq_send(struct delivery *delivery)
{
    struct sender *sender = delivery->state;
    int64_t now_ns = clock_now_ns();

    memcpy(zmq_msg_data(&sender->message), &now_ns, sizeof(now_ns));
    if (zmq_msg_send(&sender->message, sender->socket, 0) < 0)
        return -errno;
    sender->drawn = false;
    return 0;
}

static void zeromq_close(struct delivery *delivery)
{
    struct sender *sender = delivery->state;

    if (!sender)
        return;
    if (sender->drawn)
        zmq_msg_close(&sender->message);
    if (sender->socket)
        zmq_close(sender->socket);
    if (sender->context)
        zmq_ctx_term(sender->context);
    free(sender);
}

static int receive_messages(struct delivery *delivery, void *socket)
{
    zmq_msg_t message;
    int64_t stamp_ns;

    delivery_ready(delivery);
    while (!delivery_over(delivery)) {
        zmq_msg_init(&message);
        int bytes = zmq_msg_recv(&message, socket, 0);
        if (bytes < 0 && zmq_errno() != EAGAIN)
            return -zmq_errno();
        if (bytes >= (int)sizeof(stamp_ns)) {
            memcpy(&stamp_ns, zmq_msg_data(&message), sizeof(stamp_ns));
            delivery_arrived(delivery, stamp_ns);
        }
        zmq_msg_close(&message);
    }
    return 0;
}

static int zeromq_receive(struct delivery *delivery)
{
    char url[URL_BYTES];
    void *context = zmq_ctx_new();
    void *socket = context ? make_socket(context, ZMQ_PULL) : NULL;
    int error = -ENOMEM;

    make_url(delivery, url);
    if (socket)
        error = zmq_connect(socket, url) < 0 ? -errno : receive_messages(delivery, socket);
    if (socket)
        zmq_close(socket);
    if (context)
        zmq_ctx_term(context);
    return error;
}

const struct courier courier_zeromq = {
    .open = zeromq_open,
    .canvas = zeromq_canvas,
    .send = zeromq_send,
    .close = zeromq_close,
    .receive = zeromq_receive,
};
