/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process connects all clients, then reads whoever has something. Bytes go
 * through one buffer that stays in the cache; what fails ends the process and is told in the tally.
 */
#include "bench/fanout_load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "proto/viewer.h"

#define BUFFER_BYTES ((size_t)256 * 1024)
#define EVENTS 64
#define ANSWER_BYTES_MAX 4096
#define CONNECT_NS (5 * NS_PER_S)
#define RETRY_MS 10
#define STEP_NS (10 * NS_PER_MS) /* a slow reader reads so often */
#define BLANK_LINE "\r\n\r\n"

struct crowd {
    const struct fanout_load_setup *setup;
    struct fanout_tally *tally;
    int fds[FANOUT_CLIENTS_MAX];
    struct fanout_stream streams[FANOUT_CLIENTS_MAX];
    uint8_t buffer[BUFFER_BYTES];
};

/* ---- connecting ---------------------------------------------------------------------------- */

/* The first client may come before the server listens. */
static int connect_until(uint16_t port, int64_t give_up_ns)
{
    const struct linger at_once = {.l_onoff = 1}; /* leave no port behind in TIME_WAIT */
    const struct timeval patience = {.tv_sec = CONNECT_NS / NS_PER_S};
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    while (clock_now_ns() < give_up_ns) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        poll(NULL, 0, RETRY_MS);
    }
    return -ETIMEDOUT;
}

static int request(const struct fanout_load_setup *setup, int fd)
{
    char text[512];
    int count;

    if (setup->protocol == FANOUT_MULTIPART) {
        count = snprintf(text, sizeof(text), "GET /stream HTTP/1.1\r\nHost: 127.0.0.1:%u%s",
                         (unsigned)setup->port, BLANK_LINE);
    } else {
        count = snprintf(text, sizeof(text),
                         "GET /stream/ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                         "Sec-WebSocket-Version: 13%s%s",
                         (unsigned)setup->port,
                         setup->stamped ? "\r\nSec-WebSocket-Protocol: " VIEWER_SUBPROTOCOL : "",
                         BLANK_LINE);
    }
    return send(fd, text, (size_t)count, MSG_NOSIGNAL) == count ? 0 : -EPIPE;
}

/* Byte by byte, so that nothing of the stream is taken with it. */
static int await_answer(const struct fanout_load_setup *setup, int fd)
{
    const char *welcome = setup->protocol == FANOUT_MULTIPART ? " 200 " : " 101 ";
    char text[ANSWER_BYTES_MAX + 1];
    size_t count = 0;

    do {
        ssize_t got = count < ANSWER_BYTES_MAX ? recv(fd, text + count, 1, 0) : 0;
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? -ETIMEDOUT : -EPROTO;
        text[++count] = '\0';
    } while (count < strlen(BLANK_LINE) ||
             strcmp(text + count - strlen(BLANK_LINE), BLANK_LINE) != 0);
    return strstr(text, welcome) ? 0 : -EPROTO;
}

/* All requests are out before the first answer is awaited: some servers answer after a while. */
static int join(struct crowd *crowd)
{
    const struct fanout_load_setup *setup = crowd->setup;
    int64_t give_up_ns = clock_now_ns() + CONNECT_NS;
    int error = 0;

    for (unsigned i = 0; i < setup->clients && error == 0; i++) {
        crowd->fds[i] = connect_until(setup->port, give_up_ns);
        if (crowd->fds[i] < 0)
            return crowd->fds[i];
        error = request(setup, crowd->fds[i]);
        fanout_stream_init(&crowd->streams[i], setup->protocol);
    }
    for (unsigned i = 0; i < setup->clients && error == 0; i++) {
        error = await_answer(setup, crowd->fds[i]);
        if (error == 0)
            atomic_fetch_add_explicit(&crowd->tally->joined, 1, memory_order_release);
    }
    return error;
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void note(struct fanout_tally *tally, unsigned client, const struct fanout_arrival *arrival,
                 int64_t now_ns)
{
    const struct fanout_mark *mark = &arrival->mark;
    struct fanout_seen *seen = &tally->seen[mark->seq % FANOUT_SEEN_MAX];

    if (seen->seq != mark->seq)
        *seen = (struct fanout_seen){.seq = mark->seq, .published_ns = mark->published_ns};
    seen->last_ns = now_ns;
    seen->clients++;
    if (seen->sent_ns == 0 || arrival->sent_ns < seen->sent_ns)
        seen->sent_ns = arrival->sent_ns;
    if (atomic_load_explicit(&tally->counting, memory_order_acquire))
        histogram_record(&tally->ages, now_ns - mark->published_ns);
    if (atomic_fetch_add_explicit(&tally->pictures[client], 1, memory_order_relaxed) == 0)
        atomic_fetch_add_explicit(&tally->served, 1, memory_order_release);
    atomic_fetch_add_explicit(&tally->delivered, 1, memory_order_release);
}

/* Errors: -EAGAIN nothing is there; -EPIPE; those of fanout_stream_take. */
static int receive(struct crowd *crowd, unsigned client, size_t bytes_max)
{
    struct fanout_arrival arrival;
    ssize_t got = recv(crowd->fds[client], crowd->buffer, bytes_max, MSG_DONTWAIT);

    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPIPE;
    int64_t now_ns = clock_now_ns();
    struct fanout_bytes bytes = {crowd->buffer, (size_t)got};
    atomic_fetch_add_explicit(&crowd->tally->bytes, (uint64_t)got, memory_order_relaxed);
    int taken;
    while ((taken = fanout_stream_take(&crowd->streams[client], crowd->setup->album, &bytes,
                                       &arrival)) == 1)
        note(crowd->tally, client, &arrival, now_ns);
    return taken;
}

static int read_eagerly(struct crowd *crowd)
{
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        return -errno;
    for (unsigned i = 0; i < crowd->setup->clients; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, crowd->fds[i], &event) < 0)
            return -errno;
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int error = receive(crowd, events[i].data.u32, BUFFER_BYTES);
            if (error < 0 && error != -EAGAIN)
                return error;
        }
    }
}

static int read_slowly(struct crowd *crowd)
{
    const size_t step_bytes = crowd->setup->bytes_per_s / (unsigned)(NS_PER_S / STEP_NS);
    int64_t due_ns = clock_now_ns();

    for (;;) {
        due_ns += STEP_NS;
        struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        int error = receive(crowd, 0, step_bytes < BUFFER_BYTES ? step_bytes : BUFFER_BYTES);
        if (error < 0 && error != -EAGAIN)
            return error;
    }
}

static int attend(struct crowd *crowd)
{
    int error = join(crowd);

    if (error < 0)
        return error;
    switch (crowd->setup->habit) {
    case FANOUT_EAGER:
        return read_eagerly(crowd);
    case FANOUT_SLOW:
        return read_slowly(crowd);
    case FANOUT_STALLED:
        pause();
        return 0;
    }
    return -EINVAL;
}

static int run(void *context)
{
    struct fanout_load *load = context;
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    int error = -ENOMEM;

    if (crowd) {
        crowd->setup = &load->setup;
        crowd->tally = load->tally;
        error = attend(crowd);
        free(crowd);
    }
    atomic_store_explicit(&load->tally->error, error, memory_order_release);
    return 1;
}

/* ---- the measuring side -------------------------------------------------------------------- */

int fanout_load_start(struct fanout_load *load, const struct fanout_load_setup *setup)
{
    if (setup->clients > FANOUT_CLIENTS_MAX)
        return -EINVAL;
    *load = (struct fanout_load){.setup = *setup, .tally = peer_share(sizeof(*load->tally))};
    if (!load->tally)
        return -ENOMEM;
    int error = peer_start(&load->peer, run, load);
    if (error < 0)
        fanout_load_stop(load);
    return error;
}

int fanout_load_error(const struct fanout_load *load)
{
    return atomic_load_explicit(&load->tally->error, memory_order_acquire);
}

int fanout_load_await(const struct fanout_load *load, int timeout_ms)
{
    int64_t give_up_ns = clock_now_ns() + timeout_ms * NS_PER_MS;

    while (atomic_load_explicit(&load->tally->joined, memory_order_acquire) < load->setup.clients) {
        if (fanout_load_error(load) < 0)
            return fanout_load_error(load);
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        poll(NULL, 0, 1);
    }
    return 0;
}

void fanout_load_stop(struct fanout_load *load)
{
    peer_signal(&load->peer, SIGKILL);
    peer_join(&load->peer, 1000);
    peer_unshare(load->tally, sizeof(*load->tally));
    load->tally = NULL;
}
