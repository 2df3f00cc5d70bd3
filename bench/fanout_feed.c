/* SPDX-License-Identifier: Apache-2.0 */
/* The process owns the ring or the pipe's writing end; orders come through a pipe of their own. */
#include "bench/fanout_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/video.h"
#include "shm/ring.h"

#define HISTORY 8 /* slots beyond the newest, as simcast-encoder keeps them */
#define END_MS 2000

struct source {
    const struct fanout_feed_setup *setup;
    struct ring_producer *ring;
    uint8_t *picture; /* for the pipe */
};

static int publish(struct source *source, uint64_t seq)
{
    const struct fanout_album *album = source->setup->album;
    struct video_header header = {
        .frame_id = seq,
        .frame_seq = seq,
        .size = (uint32_t)album->picture_bytes,
        .flags = VIDEO_FLAG_KEYFRAME,
        .codec = VIDEO_CODEC_JPEG,
    };
    struct ring_frame frame = {
        .frame_id = seq,
        .payload_bytes = VIDEO_PAYLOAD_OFFSET + album->picture_bytes,
        .flags = RING_FRAME_KEYFRAME,
        .codec = VIDEO_CODEC_JPEG,
    };
    struct ring_loan loan;
    int error = ring_loan(source->ring, &loan);

    if (error < 0)
        return error;
    uint8_t *picture = (uint8_t *)loan.payload + VIDEO_PAYLOAD_OFFSET;
    fanout_picture_draw(album, &(struct fanout_mark){.seq = seq}, picture);
    frame.stamp_ns[RING_STAGE_PUBLISHED] = clock_now_ns();
    header.crc32 = fanout_picture_mark(
        album, &(struct fanout_mark){seq, frame.stamp_ns[RING_STAGE_PUBLISHED]}, picture);
    video_packet_finish(loan.payload, &header);
    int64_t position = ring_publish(source->ring, &loan, &frame);
    return position < 0 ? (int)position : 0;
}

static int write_picture(struct source *source, uint64_t seq)
{
    const struct fanout_album *album = source->setup->album;
    const uint8_t *at = source->picture;
    size_t left = album->picture_bytes;

    fanout_picture_draw(album, &(struct fanout_mark){.seq = seq}, source->picture);
    fanout_picture_mark(album, &(struct fanout_mark){seq, clock_now_ns()}, source->picture);
    while (left > 0) {
        ssize_t wrote = write(source->setup->pipe, at, left);
        if (wrote < 0)
            return -errno;
        at += wrote;
        left -= (size_t)wrote;
    }
    return 0;
}

static int open_source(struct source *source)
{
    const struct fanout_feed_setup *setup = source->setup;

    if (!setup->stream) {
        source->picture = malloc(setup->album->picture_bytes);
        return source->picture ? 0 : -ENOMEM;
    }
    const struct ring_producer_config config = {
        .dir = setup->dir,
        .stream = setup->stream,
        .kind = RING_KIND_PACKETS,
        .payload_bytes_max = VIDEO_PAYLOAD_OFFSET + setup->album->picture_bytes,
        .history = HISTORY,
    };
    return ring_producer_open(&config, &source->ring);
}

static int run(void *context)
{
    struct fanout_feed *feed = context;
    struct source source = {.setup = &feed->setup};
    uint64_t seq = 0;
    uint32_t pictures;

    close(feed->orders[1]);
    if (open_source(&source) < 0)
        return 1;
    while (read(feed->orders[0], &pictures, sizeof(pictures)) == sizeof(pictures) && pictures > 0) {
        int64_t due_ns = clock_now_ns();
        for (uint32_t i = 0; i < pictures; i++) {
            if ((source.ring ? publish(&source, ++seq) : write_picture(&source, ++seq)) < 0)
                return 1;
            atomic_store_explicit(feed->published, seq, memory_order_release);
            due_ns += NS_PER_S / feed->setup.fps;
            struct timespec due = {due_ns / NS_PER_S, due_ns % NS_PER_S};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
    }
    ring_producer_close(source.ring);
    free(source.picture);
    return 0;
}

int fanout_feed_start(struct fanout_feed *feed, const struct fanout_feed_setup *setup)
{
    *feed = (struct fanout_feed){.setup = *setup, .orders = {-1, -1}};
    feed->published = peer_share(sizeof(*feed->published));
    if (!feed->published)
        return -ENOMEM;
    int error = pipe2(feed->orders, O_CLOEXEC) < 0 ? -errno : 0;
    if (error == 0)
        error = peer_start(&feed->peer, run, feed);
    if (error < 0) {
        fanout_feed_stop(feed);
        return error;
    }
    close(feed->orders[0]);
    feed->orders[0] = -1;
    return 0;
}

int fanout_feed_order(struct fanout_feed *feed, unsigned pictures)
{
    uint32_t order = pictures;

    if (write(feed->orders[1], &order, sizeof(order)) != sizeof(order))
        return -EPIPE;
    feed->ordered += pictures;
    return 0;
}

int fanout_feed_await(const struct fanout_feed *feed, int timeout_ms)
{
    int64_t give_up_ns = clock_now_ns() + timeout_ms * NS_PER_MS;

    while (atomic_load_explicit(feed->published, memory_order_acquire) < feed->ordered) {
        if (clock_now_ns() > give_up_ns)
            return -ETIMEDOUT;
        poll(NULL, 0, 1);
    }
    return 0;
}

/* It ends by itself unless the server is stuck. Other children may hold the pipe open as well. */
void fanout_feed_stop(struct fanout_feed *feed)
{
    const uint32_t end = 0;

    if (!feed->published)
        return;
    if (feed->orders[1] >= 0 && write(feed->orders[1], &end, sizeof(end)) < 0)
        peer_signal(&feed->peer, SIGKILL);
    for (unsigned i = 0; i < 2; i++) {
        if (feed->orders[i] >= 0)
            close(feed->orders[i]);
    }
    peer_join(&feed->peer, END_MS);
    peer_unshare(feed->published, sizeof(*feed->published));
    feed->published = NULL;
}
