/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fan-out whose sockets are stand-ins that remember what they were sent. They define what ws.h
 * declares, so the linker leaves libwebsockets' side out.
 */
#ifndef SIMCAST_TESTS_FANOUT_KIT_H
#define SIMCAST_TESTS_FANOUT_KIT_H

#include <errno.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "daemon/fanout.h"
#include "proto/telemetry.h"
#include "proto/viewer.h"

#define PEERS 4
#define SENT_MAX 4096
#define DELAY_NS (100 * NS_PER_MS)
#define PATIENCE_NS (5 * NS_PER_S)

struct ws_peer {
    bool busy;
    bool gone;
    bool finished;
    bool takes_nothing; /* of an offer, though it is not known to be busy */
    char text[8192];    /* what came that is no WebSocket frame */
    size_t text_bytes;
    unsigned busy_after; /* becomes busy with this many further frames; 0: never */
    size_t sent_count;
    struct {
        uint8_t type;
        uint64_t frame_seq; /* VIDEO, FRAME_INFO */
        unsigned missed;    /* FRAME_INFO */
        unsigned stream;    /* FRAME_INFO, METADATA */
        size_t bytes;       /* of the message */
        char subject[64];   /* TELEMETRY */
    } sent[SENT_MAX];
};

static struct ws_peer peers[PEERS];
static struct counters counters;
static struct fanout *fanout;
static uint8_t packet_bytes[VIDEO_PAYLOAD_OFFSET + 1000];

/* Reads the length of the WebSocket frame's header. */
static size_t header_bytes(const uint8_t *frame)
{
    return frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
}

int ws_peer_send(struct ws_peer *peer, const uint8_t *frame, size_t frame_bytes)
{
    const uint8_t *message = frame + header_bytes(frame);
    size_t message_bytes = frame_bytes - header_bytes(frame);
    size_t first_bytes = frame[1] < 126 ? frame[1] : ((size_t)frame[2] << 8 | frame[3]);
    struct frame_info info;
    struct telemetry telemetry;
    struct video_header header;

    if (peer->gone)
        return -1;
    if (frame[0] != 0x82) {
        ck_assert_uint_lt(peer->text_bytes + frame_bytes, sizeof(peer->text));
        memcpy(peer->text + peer->text_bytes, frame, frame_bytes);
        peer->text_bytes += frame_bytes;
        return 0;
    }
    if (frame[1] != 127 && first_bytes < message_bytes) { /* two messages in one piece */
        ck_assert_int_eq(ws_peer_send(peer, frame, header_bytes(frame) + first_bytes), 0);
        return ws_peer_send(peer, message + first_bytes, message_bytes - first_bytes);
    }
    ck_assert_uint_lt(peer->sent_count, SENT_MAX);
    size_t at = peer->sent_count++;
    peer->sent[at].type = message[0];
    peer->sent[at].bytes = message_bytes;
    if (message[0] == VIDEO_MESSAGE_TYPE) {
        video_header_decode(message + 1, &header);
        peer->sent[at].frame_seq = header.frame_seq;
    } else if (message[0] == FRAME_INFO_MESSAGE_TYPE) {
        ck_assert_int_eq(frame_info_decode(message, message_bytes, &info), 0);
        peer->sent[at].frame_seq = info.frame_seq;
        peer->sent[at].missed = info.missed;
        peer->sent[at].stream = info.stream;
    } else if (message[0] == METADATA_MESSAGE_TYPE) {
        peer->sent[at].stream = message[4];
    } else if (message[0] == TELEMETRY_MESSAGE_TYPE) {
        ck_assert_int_eq(telemetry_decode(message, message_bytes, &telemetry), 0);
        memcpy(peer->sent[at].subject, telemetry.subject, telemetry.subject_bytes);
    }
    if (peer->busy_after > 0 && --peer->busy_after == 0)
        peer->busy = true;
    return 0;
}

int ws_peer_offer(struct ws_peer *peer, struct iovec *pieces, unsigned count)
{
    if (peer->busy || peer->takes_nothing)
        return -EAGAIN;
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].iov_len > 0 && ws_peer_send(peer, pieces[i].iov_base, pieces[i].iov_len) < 0)
            return -EPIPE;
    }
    return 0;
}

bool ws_peer_busy(struct ws_peer *peer)
{
    return peer->busy;
}

void ws_peer_finish(struct ws_peer *peer)
{
    peer->finished = true;
}

__attribute__((unused)) static void set_up(void)
{
    const struct fanout_config config = {
        .ready_delay_ns = DELAY_NS,
        .patience_ns = PATIENCE_NS,
        .queue_messages = 3,
        .counters = &counters,
    };

    memset(peers, 0, sizeof(peers));
    memset(&counters, 0, sizeof(counters));
    ck_assert_int_eq(fanout_create(&config, &fanout), 0);
}

__attribute__((unused)) static struct client *join(size_t peer, bool v2)
{
    struct client *client = fanout_join(fanout, &peers[peer], v2 ? CLIENT_V2 : CLIENT_V1, 1);

    ck_assert_ptr_nonnull(client);
    return client;
}

__attribute__((unused)) static struct client *join_ready(size_t peer, bool v2)
{
    struct client *client = join(peer, v2);

    ck_assert(fanout_heard(fanout, client, 2));
    return client;
}

__attribute__((unused)) static struct packet make_packet(uint64_t seq, enum video_codec codec,
                                                         bool keyframe)
{
    const struct video_header header = {
        .frame_seq = seq,
        .size = 1000,
        .flags = keyframe ? VIDEO_FLAG_KEYFRAME : 0,
        .codec = (uint16_t)codec,
    };
    struct packet packet = {.keyframe = keyframe || codec == VIDEO_CODEC_JPEG};

    video_packet_finish(packet_bytes, &header);
    ck_assert_int_eq(video_packet_parse(packet_bytes, sizeof(packet_bytes), &packet.video), 0);
    return packet;
}

__attribute__((unused)) static bool send_lossy(uint64_t seq, enum video_codec codec, bool keyframe,
                                               uint64_t lost)
{
    struct packet packet = make_packet(seq, codec, keyframe);

    packet.lost = lost;
    return fanout_packet(fanout, &packet, (int64_t)seq);
}

__attribute__((unused)) static bool send(uint64_t seq, enum video_codec codec, bool keyframe)
{
    return send_lossy(seq, codec, keyframe, 0);
}

__attribute__((unused)) static void assert_frames(size_t peer, const uint64_t *seqs, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < peers[peer].sent_count; i++) {
        if (peers[peer].sent[i].type != VIDEO_MESSAGE_TYPE)
            continue;
        ck_assert_uint_lt(found, count);
        ck_assert_uint_eq(peers[peer].sent[i].frame_seq, seqs[found]);
        found++;
    }
    ck_assert_uint_eq(found, count);
}

#define ASSERT_FRAMES(peer, ...)                                                                   \
    assert_frames(peer, (const uint64_t[]){__VA_ARGS__},                                           \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

#endif
