/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one epoll, the ring's consumer and, per client, a descriptor and the tail it still needs. */
#include "bench/yardstick_send_loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "proto/video.h"
#include "shm/ring.h"

#define CLIENTS_MAX 2048
#define EVENTS 64
#define REQUEST_BYTES 2048
#define RING_TAG UINT32_MAX
#define LISTENER_TAG (UINT32_MAX - 1)
#define BLANK_LINE "\r\n\r\n"

/* What its clients need not check, it does not compute: there is no key of an accept. */
static const char welcome[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade" BLANK_LINE;

struct viewer {
    int fd; /* -1: gone */
    bool welcomed;
    uint8_t *tail; /* NULL: it took all */
    size_t tail_bytes;
    size_t tail_sent;
};

struct send_loop {
    int epoll;
    int listener;
    struct ring_consumer *ring;
    struct viewer viewers[CLIENTS_MAX];
    unsigned count;
};

static void leave(struct viewer *viewer)
{
    close(viewer->fd);
    free(viewer->tail);
    *viewer = (struct viewer){.fd = -1};
}

static void listen_to(struct send_loop *loop, int fd, uint32_t events, uint32_t tag)
{
    struct epoll_event event = {.events = events, .data.u32 = tag};

    epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event);
}

static void keep_tail(struct send_loop *loop, unsigned at, const uint8_t *bytes, size_t count)
{
    struct viewer *viewer = &loop->viewers[at];

    viewer->tail = malloc(count);
    if (!viewer->tail) {
        leave(viewer);
        return;
    }
    memcpy(viewer->tail, bytes, count);
    viewer->tail_bytes = count;
    viewer->tail_sent = 0;
    listen_to(loop, viewer->fd, EPOLLIN | EPOLLOUT, at);
}

static void send_to(struct send_loop *loop, unsigned at, const uint8_t *bytes, size_t count)
{
    struct viewer *viewer = &loop->viewers[at];

    if (viewer->fd < 0 || !viewer->welcomed || viewer->tail)
        return;
    ssize_t sent = send(viewer->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        sent = 0;
    if (sent < 0)
        leave(viewer);
    else if ((size_t)sent < count)
        keep_tail(loop, at, bytes + sent, count - (size_t)sent);
}

static void on_ring(struct send_loop *loop)
{
    struct video_packet_view packet;
    struct ring_view view;

    while (ring_acquire(loop->ring, RING_NEXT, &view) == 0) {
        if (video_packet_parse(view.payload, view.frame.payload_bytes, &packet) == 0) {
            for (unsigned i = 0; i < loop->count; i++)
                send_to(loop, i, packet.ws_frame, packet.ws_frame_bytes);
        }
        ring_release(loop->ring, &view);
    }
}

static void on_writable(struct send_loop *loop, unsigned at)
{
    struct viewer *viewer = &loop->viewers[at];
    ssize_t sent = send(viewer->fd, viewer->tail + viewer->tail_sent,
                        viewer->tail_bytes - viewer->tail_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN) {
        leave(viewer);
        return;
    }
    viewer->tail_sent += sent > 0 ? (size_t)sent : 0;
    if (viewer->tail_sent < viewer->tail_bytes)
        return;
    free(viewer->tail);
    viewer->tail = NULL;
    listen_to(loop, viewer->fd, EPOLLIN, at);
}

/* The whole request comes at once from our own clients. */
static void on_readable(struct send_loop *loop, unsigned at)
{
    struct viewer *viewer = &loop->viewers[at];
    char request[REQUEST_BYTES];
    ssize_t got = recv(viewer->fd, request, sizeof(request), MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || !memmem(request, (size_t)got, BLANK_LINE, strlen(BLANK_LINE)) ||
        send(viewer->fd, welcome, strlen(welcome), MSG_NOSIGNAL) != (ssize_t)strlen(welcome)) {
        leave(viewer);
        return;
    }
    viewer->welcomed = true;
}

static void on_listener(struct send_loop *loop)
{
    const int on = 1;
    int fd = accept4(loop->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (loop->count == CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = loop->count};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
    loop->viewers[loop->count++] = (struct viewer){.fd = fd};
}

static int open_loop(struct send_loop *loop, const struct send_loop_setup *setup)
{
    const struct ring_consumer_config config = {
        .dir = setup->dir, .stream = setup->stream, .kind = RING_KIND_PACKETS};
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(setup->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event on_new = {.events = EPOLLIN, .data.u32 = LISTENER_TAG};
    struct epoll_event on_packet = {.events = EPOLLIN, .data.u32 = RING_TAG};

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ring_consumer_open(&config, &loop->ring) < 0 ||
        bind(loop->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(loop->listener, CLIENTS_MAX) < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->listener, &on_new) < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, ring_consumer_fd(loop->ring), &on_packet) < 0)
        return -errno;
    ring_consumer_want(loop->ring, true);
    return 0;
}

static void turn_to(struct send_loop *loop, const struct epoll_event *event)
{
    uint32_t at = event->data.u32;

    if (at == RING_TAG) {
        on_ring(loop);
    } else if (at == LISTENER_TAG) {
        on_listener(loop);
    } else {
        if (loop->viewers[at].fd >= 0 && loop->viewers[at].tail && (event->events & EPOLLOUT))
            on_writable(loop, at);
        if (loop->viewers[at].fd >= 0 && (event->events & ~(uint32_t)EPOLLOUT))
            on_readable(loop, at);
    }
}

int send_loop_run(void *setup)
{
    struct epoll_event events[EVENTS];
    struct send_loop *loop = calloc(1, sizeof(*loop));

    if (!loop || open_loop(loop, setup) < 0)
        return 1;
    for (;;) {
        int count = epoll_wait(loop->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            turn_to(loop, &events[i]);
    }
}
