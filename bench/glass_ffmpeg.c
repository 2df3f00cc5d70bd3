/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns three processes (who writes the pictures, ffmpeg, the server), the two pipes between them
 * and the viewer's connection. ffmpeg is told to drop and repeat nothing, and the first picture is
 * written when the viewer is connected: so the n-th that leaves ffmpeg is the n-th picture, which
 * Node sends all, and ustreamer, which may drop some, with its number. ffmpeg gets one thread,
 * because with more it holds back as many pictures; one it holds back whatever it is told.
 */
#include "bench/glass_ffmpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/glass_client.h"
#include "bench/peer.h"
#include "bench/program.h"
#include "bench/yardstick_servers.h"

#define FFMPEG "/usr/bin/ffmpeg"
#define PIPE_BYTES (1 << 20) /* the most that an ordinary user gets: in ffmpeg's favour */
#define WARM_UP 20           /* pictures */
#define HELD_BACK 2          /* written after those that count; ffmpeg keeps the newest, or two */
#define PICTURES_MAX 1000
#define START_MS 5000
#define END_MS 2000

struct writer {
    const struct scene *clip;
    int64_t period_ns;
    unsigned pictures;
    int into;
    int64_t began_ns[PICTURES_MAX + HELD_BACK]; /* by picture; memory of both sides */
};

struct way {
    struct peer writing;
    struct peer ffmpeg;
    struct peer server;
    enum glass_server kind;
    struct glass_client client;
    struct writer *writer;
    int raw[2];
    int coded[2];
    uint16_t port;
};

const char *glass_ffmpeg_missing(enum glass_server server)
{
    if (access(FFMPEG, X_OK) < 0)
        return "ffmpeg is missing; install the package ffmpeg";
    return server == GLASS_NODE ? yardstick_node_missing() : yardstick_ustreamer_missing();
}

/* ---- processes ----------------------------------------------------------------------------- */

static int write_picture(struct writer *writer, unsigned n)
{
    const uint8_t *picture = scene_rgb24(writer->clip, n);
    size_t left = writer->clip->picture_pixels * 3;

    writer->began_ns[n] = clock_now_ns();
    while (left > 0) {
        ssize_t wrote = write(writer->into, picture, left);
        if (wrote < 0)
            return -errno;
        picture += wrote;
        left -= (size_t)wrote;
    }
    return 0;
}

/* A process of its own, as a simulator is. */
static int write_pictures(void *context)
{
    struct writer *writer = context;
    int64_t due_ns = clock_now_ns();

    for (unsigned n = 0; n < writer->pictures + HELD_BACK; n++) {
        if (write_picture(writer, n) < 0)
            return 1;
        due_ns += writer->period_ns;
        struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    pause(); /* our end would end ffmpeg and node, perhaps before the last picture is sent */
    return 0;
}

static int start_ffmpeg(struct way *way)
{
    char size[32];
    char rate[16];
    const struct scene *clip = way->writer->clip;
    const char *const argv[] = {
        FFMPEG,        "-hide_banner", "-loglevel", "error",
        "-nostdin",    "-fflags",      "nobuffer",  "-f",
        "rawvideo",    "-probesize",   "32",        "-pix_fmt",
        "rgb24",       "-video_size",  size,        "-framerate",
        rate,          "-i",           "pipe:0",    "-vsync",
        "passthrough", "-c:v",         "mjpeg",     "-threads",
        "1",           "-pix_fmt",     "yuvj420p",  "-q:v",
        "4",           "-f",           "mjpeg",     "-flush_packets",
        "1",           "pipe:1",       NULL,
    };

    snprintf(size, sizeof(size), "%ux%u", clip->width, clip->height);
    snprintf(rate, sizeof(rate), "%u", (unsigned)(NS_PER_S / way->writer->period_ns));
    return program_start(&way->ffmpeg, argv, (struct program_pipes){way->raw[0], way->coded[1]});
}

static int start_server(struct way *way)
{
    way->port = glass_port();
    if (way->kind == GLASS_NODE)
        return yardstick_node_start(&way->server, way->coded[0], way->port);
    return yardstick_ustreamer_start(&way->server, way->coded[0], way->port, true);
}

static int open_client(struct way *way)
{
    if (way->kind == GLASS_NODE)
        return glass_client_open(&way->client, way->port, NULL, START_MS);
    return glass_client_open_multipart(&way->client, way->port, START_MS);
}

static void close_all(int fds[2])
{
    for (unsigned i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static int begin(struct way *way)
{
    if (pipe2(way->raw, O_CLOEXEC) < 0 || pipe2(way->coded, O_CLOEXEC) < 0)
        return -errno;
    fcntl(way->raw[1], F_SETPIPE_SZ, PIPE_BYTES);
    fcntl(way->coded[1], F_SETPIPE_SZ, PIPE_BYTES);
    way->writer->into = way->raw[1];
    int error = start_server(way);
    if (error == 0)
        error = start_ffmpeg(way);
    if (error == 0)
        error = open_client(way);
    if (error == 0)
        error = peer_start(&way->writing, write_pictures, way->writer);
    close_all(way->raw);
    close_all(way->coded);
    return error;
}

static void end(struct way *way)
{
    struct peer *peers[] = {&way->writing, &way->ffmpeg, &way->server};

    glass_client_close(&way->client);
    for (unsigned i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        peer_signal(peers[i], SIGKILL);
        peer_join(peers[i], END_MS);
    }
    close_all(way->raw);
    close_all(way->coded);
}

/* ---- the viewer ---------------------------------------------------------------------------- */

/* Which picture a message is; `before` came before it. Negative: none of the clip's. */
static int number_of(const struct way *way, const struct glass_message *message, int before)
{
    char digits[YARDSTICK_NUMBER_CHARS + 1] = "";
    unsigned number;

    if (way->kind == GLASS_NODE)
        return before + 1;
    if (message->count < YARDSTICK_NUMBER_CHARS)
        return -1;
    memcpy(digits, message->bytes + message->count - YARDSTICK_NUMBER_CHARS,
           YARDSTICK_NUMBER_CHARS);
    if (sscanf(digits, YARDSTICK_NUMBER_SCAN, &number) != 1 || number >= PICTURES_MAX)
        return -1;
    return (int)number;
}

static int watch(struct way *way, struct histogram *ret_times)
{
    struct pollfd fd = {.fd = way->client.fd, .events = POLLIN};
    int64_t give_up_ns = clock_now_ns() + START_MS * NS_PER_MS +
                         4 * (int64_t)way->writer->pictures * way->writer->period_ns;
    struct glass_message message;
    int newest = -1;

    while (newest + 1 < (int)way->writer->pictures) {
        int error = glass_client_receive(&way->client, &message);
        if (error < 0 && error != -EAGAIN)
            return error;
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        if (error == -EAGAIN) {
            poll(&fd, 1, 100);
            continue;
        }
        int number = number_of(way, &message, newest);
        if (number <= newest)
            continue;
        newest = number;
        if (number >= WARM_UP)
            histogram_record(ret_times, message.arrived_ns - way->writer->began_ns[number]);
    }
    return 0;
}

int glass_ffmpeg_measure(enum glass_server server, const struct scene *clip, unsigned fps,
                         unsigned pictures, struct histogram *ret_times)
{
    struct way way = {.kind = server, .client.fd = -1, .raw = {-1, -1}, .coded = {-1, -1}};

    if (WARM_UP + pictures > PICTURES_MAX)
        return -EINVAL;
    way.writer = peer_share(sizeof(*way.writer));
    if (!way.writer)
        return -ENOMEM;
    way.writer->clip = clip;
    way.writer->period_ns = NS_PER_S / fps;
    way.writer->pictures = WARM_UP + pictures;
    int error = begin(&way);
    if (error == 0)
        error = watch(&way, ret_times);
    end(&way);
    peer_unshare(way.writer, sizeof(*way.writer));
    return error;
}
