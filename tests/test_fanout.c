/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/fanout.h and client.h: who gets which frame. The sockets are stand-ins: this file
 * defines what ws.h declares, so the linker leaves libwebsockets' side out.
 */
#include <errno.h>
#include <stdlib.h>
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
static struct audience second; /* of stream 2 */
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

static void set_up(void)
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
    audience_init(&second, 2, &counters);
}

static struct client *join(size_t peer, bool v2)
{
    struct client *client = fanout_join(fanout, &peers[peer], v2 ? CLIENT_V2 : CLIENT_V1, 1);

    ck_assert_ptr_nonnull(client);
    return client;
}

static struct client *join_ready(size_t peer, bool v2)
{
    struct client *client = join(peer, v2);

    ck_assert(fanout_heard(fanout, client, 2));
    return client;
}

static struct packet make_packet(uint64_t seq, enum video_codec codec, bool keyframe)
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

static bool send_lossy(uint64_t seq, enum video_codec codec, bool keyframe, uint64_t lost)
{
    struct packet packet = make_packet(seq, codec, keyframe);

    packet.lost = lost;
    return fanout_packet(fanout, &packet, (int64_t)seq);
}

static bool send(uint64_t seq, enum video_codec codec, bool keyframe)
{
    return send_lossy(seq, codec, keyframe, 0);
}

static void assert_frames(size_t peer, const uint64_t *seqs, size_t count)
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

START_TEST(a_client_starts_on_a_keyframe)
{
    join_ready(0, false);
    send(1, VIDEO_CODEC_H264, false);
    send(2, VIDEO_CODEC_H264, true);
    send(3, VIDEO_CODEC_H264, false);
    ASSERT_FRAMES(0, 2, 3);
    ck_assert_uint_eq(counters.client_lag, 0);
    ck_assert_uint_eq(counters.frames_delivered, 2);
    ck_assert_uint_eq(counters.frames_broadcast, 3);
}
END_TEST

START_TEST(every_jpeg_is_a_start)
{
    join_ready(0, false);
    send(7, VIDEO_CODEC_JPEG, false);
    send(9, VIDEO_CODEC_JPEG, false);
    ASSERT_FRAMES(0, 7, 9);
}
END_TEST

START_TEST(nothing_is_sent_before_the_first_message_or_the_delay)
{
    struct client *silent = join(0, false);
    struct client *speaks = join(1, false);

    send(1, VIDEO_CODEC_JPEG, true);
    fanout_telemetry(fanout, "telemetry.early", "{}", 2);
    ck_assert_uint_eq(peers[0].sent_count, 0);
    ck_assert(fanout_heard(fanout, speaks, 2));
    ck_assert(!fanout_heard(fanout, speaks, 3));
    ck_assert_str_eq(peers[1].sent[0].subject, "telemetry.early");
    ck_assert_uint_eq(fanout_tick(fanout, DELAY_NS), 0);
    ck_assert_uint_eq(fanout_tick(fanout, DELAY_NS + 1), 1);
    ck_assert_uint_eq(fanout_tick(fanout, DELAY_NS + 2), 0);
    ck_assert_str_eq(peers[0].sent[0].subject, "telemetry.early");
    ck_assert(silent->ready);
    send(2, VIDEO_CODEC_JPEG, true);
    ASSERT_FRAMES(0, 2);
}
END_TEST

START_TEST(a_slow_h264_client_resumes_at_the_next_keyframe)
{
    struct client *slow = join_ready(0, true);

    join_ready(1, false);
    send(1, VIDEO_CODEC_H264, true);
    peers[0].busy = true;
    send(2, VIDEO_CODEC_H264, false);
    send(3, VIDEO_CODEC_H264, false);
    peers[0].busy = false;
    fanout_drained(fanout, slow);
    send(4, VIDEO_CODEC_H264, false);
    send(5, VIDEO_CODEC_H264, true);
    send(6, VIDEO_CODEC_H264, false);
    ASSERT_FRAMES(0, 1, 5, 6);
    ASSERT_FRAMES(1, 1, 2, 3, 4, 5, 6);
    ck_assert_uint_eq(counters.client_lag, 3);
    ck_assert_uint_eq(peers[0].sent[2].type, FRAME_INFO_MESSAGE_TYPE);
    ck_assert_uint_eq(peers[0].sent[2].missed, 3);
    ck_assert_uint_eq(peers[0].sent[4].missed, 0);
}
END_TEST

START_TEST(a_slow_jpeg_client_gets_the_newest)
{
    join_ready(0, true);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        peers[0].busy = seq > 2 && seq < 9;
        send(seq, VIDEO_CODEC_JPEG, true);
    }
    ASSERT_FRAMES(0, 1, 2, 9, 10);
    ck_assert_uint_eq(peers[0].sent[4].missed, 6);
}
END_TEST

START_TEST(a_frame_that_the_socket_does_not_begin_is_missed)
{
    struct client *client = join_ready(0, true);

    send(1, VIDEO_CODEC_H264, true);
    peers[0].takes_nothing = true;
    send(2, VIDEO_CODEC_H264, false);
    ck_assert_uint_eq(peers[0].sent_count, 2);
    ck_assert_uint_eq(client_subscription(client, 0)->missed, 1);
    ck_assert_uint_eq(counters.client_lag, 1);
    peers[0].takes_nothing = false;
    send(3, VIDEO_CODEC_H264, false); /* of no use without the second */
    send(4, VIDEO_CODEC_H264, true);
    ck_assert_uint_eq(peers[0].sent_count, 4);
    ck_assert_uint_eq(peers[0].sent[2].frame_seq, 4);
    ck_assert_uint_eq(peers[0].sent[2].missed, 2);
}
END_TEST

START_TEST(a_frame_and_its_info_stay_together_when_the_socket_fills_between_them)
{
    join_ready(0, true);
    peers[0].busy_after = 1;
    send(1, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].sent_count, 2);
    ck_assert_uint_eq(peers[0].sent[0].type, FRAME_INFO_MESSAGE_TYPE);
    ck_assert_uint_eq(peers[0].sent[1].type, VIDEO_MESSAGE_TYPE);
}
END_TEST

START_TEST(a_break_in_the_stream_waits_for_a_keyframe_and_is_told)
{
    join_ready(0, true);
    ck_assert(!send(1, VIDEO_CODEC_H264, true));
    ck_assert(!send(2, VIDEO_CODEC_H264, false));
    ck_assert(send_lossy(5, VIDEO_CODEC_H264, false, 2)); /* lost 3 and 4 */
    ck_assert(!send(6, VIDEO_CODEC_H264, false));         /* asked for already */
    ck_assert(!send(7, VIDEO_CODEC_H264, true));
    ASSERT_FRAMES(0, 1, 2, 7);
    ck_assert_uint_eq(peers[0].sent[4].missed, 4);
}
END_TEST

START_TEST(another_codec_starts_on_its_own_keyframe)
{
    join_ready(0, false);
    send(1, VIDEO_CODEC_HEVC, true);
    ck_assert(send(2, VIDEO_CODEC_H264, false));
    send(3, VIDEO_CODEC_H264, true);
    send(4, VIDEO_CODEC_JPEG, true);
    ck_assert(send(5, VIDEO_CODEC_H264, false));
    ASSERT_FRAMES(0, 1, 3, 4);
}
END_TEST

START_TEST(a_restarted_encoder_may_count_from_anywhere)
{
    join_ready(0, false);
    send(1000, VIDEO_CODEC_H264, true);
    ck_assert(send(5, VIDEO_CODEC_H264, false));
    send(6, VIDEO_CODEC_H264, true);
    send(7, VIDEO_CODEC_H264, false);
    ASSERT_FRAMES(0, 1000, 6, 7);
}
END_TEST

START_TEST(a_dead_client_is_passed_by)
{
    join_ready(0, true);
    join_ready(1, false);
    peers[0].gone = true;
    send(1, VIDEO_CODEC_JPEG, true);
    fanout_telemetry(fanout, "telemetry.x", "{}", 2);
    ck_assert_uint_eq(peers[0].sent_count, 0);
    ck_assert_uint_eq(peers[1].sent_count, 2);
}
END_TEST

START_TEST(telemetry_waits_behind_a_tail_and_the_oldest_makes_room)
{
    struct client *client = join_ready(0, false);
    static const char *const subjects[] = {"telemetry.a", "telemetry.b", "telemetry.c",
                                           "telemetry.d", "telemetry.e"};

    peers[0].busy = true;
    for (size_t i = 0; i < 5; i++)
        fanout_telemetry(fanout, subjects[i], "{}", 2);
    ck_assert_uint_eq(peers[0].sent_count, 0);
    ck_assert_uint_eq(counters.telemetry_dropped, 2);
    peers[0].busy = false;
    peers[0].busy_after = 2;
    fanout_drained(fanout, client);
    ck_assert_uint_eq(peers[0].sent_count, 2);
    peers[0].busy = false;
    fanout_telemetry(fanout, "telemetry.f", "{}", 2);
    ck_assert_uint_eq(peers[0].sent_count, 2); /* not past the one that waits */
    fanout_drained(fanout, client);
    ck_assert_uint_eq(peers[0].sent_count, 4);
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(peers[0].sent[i].subject, subjects[i + 2]);
    ck_assert_str_eq(peers[0].sent[3].subject, "telemetry.f");
}
END_TEST

START_TEST(telemetry_too_long_is_counted)
{
    char subject[TELEMETRY_SUBJECT_BYTES_MAX + 2];
    static char payload[TELEMETRY_PAYLOAD_BYTES_MAX + 1];

    join_ready(0, false);
    memset(subject, 's', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = '\0';
    ck_assert_int_lt(fanout_telemetry(fanout, subject, "{}", 2), 0);
    ck_assert_int_lt(fanout_telemetry(fanout, "telemetry.x", payload, sizeof(payload)), 0);
    ck_assert_uint_eq(counters.telemetry_too_long, 2);
    ck_assert_uint_eq(peers[0].sent_count, 0);
}
END_TEST

START_TEST(the_clock_answers_v2_clients_only)
{
    struct client *v2 = join_ready(0, true);
    struct client *v1 = join_ready(1, false);
    const uint8_t request[CLOCK_REQUEST_BYTES] = {CLOCK_MESSAGE_TYPE};

    ck_assert_int_eq(fanout_clock(fanout, v2, request, sizeof(request), 5), 0);
    ck_assert_int_lt(fanout_clock(fanout, v2, request, sizeof(request) - 1, 5), 0);
    ck_assert_int_lt(fanout_clock(fanout, v1, request, sizeof(request), 5), 0);
    ck_assert_uint_eq(peers[0].sent_count, 1);
    ck_assert_uint_eq(peers[0].sent[0].type, CLOCK_MESSAGE_TYPE);
    ck_assert_uint_eq(peers[1].sent_count, 0);
}
END_TEST

START_TEST(clients_come_and_go_in_any_order)
{
    struct client *clients[PEERS];

    for (size_t i = 0; i < PEERS; i++)
        clients[i] = join_ready(i, false);
    fanout_leave(fanout, clients[1]);
    send(1, VIDEO_CODEC_JPEG, true);
    fanout_leave(fanout, clients[3]);
    fanout_leave(fanout, clients[0]);
    send(2, VIDEO_CODEC_JPEG, true);
    ASSERT_FRAMES(2, 1, 2);
    ASSERT_FRAMES(3, 1);
    ck_assert_uint_eq(peers[1].sent_count, 0);
    fanout_leave(fanout, clients[2]);
    ck_assert_uint_eq(fanout_clients(fanout), 0);
    send(3, VIDEO_CODEC_JPEG, true);
    fanout_destroy(fanout);
}
END_TEST

START_TEST(waiting_time_counts_who_could_take_a_keyframe)
{
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 0);
    join_ready(0, false);
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 98);
    send(50, VIDEO_CODEC_H264, true);
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 0);
    peers[0].busy = true;
    send(60, VIDEO_CODEC_H264, false);
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 0);
    peers[0].busy = false;
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 40);
}
END_TEST

static struct client *join_http(size_t peer, enum client_kind kind)
{
    struct client *client = fanout_join(fanout, &peers[peer], kind, 1);

    ck_assert_ptr_nonnull(client);
    ck_assert(fanout_heard(fanout, client, 2));
    return client;
}

START_TEST(an_mjpeg_client_gets_parts_with_lengths)
{
    join_http(0, CLIENT_MJPEG);
    send(1, VIDEO_CODEC_JPEG, true);
    send(2, VIDEO_CODEC_JPEG, true);
    const char *text = peers[0].text;
    ck_assert_int_eq(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    const char *first = strstr(text, "\r\n--simcast-frame\r\n");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first, "Content-Length: 1000\r\n\r\n"));
    const char *body = strstr(first, "\r\n\r\n") + 4;
    ck_assert_int_eq(strncmp(body + 1000, "\r\n--simcast-frame\r\n", 19), 0);
    ck_assert(!peers[0].finished);
}
END_TEST

START_TEST(a_snapshot_is_one_picture_and_the_end)
{
    join_http(0, CLIENT_JPEG);
    send(1, VIDEO_CODEC_H264, true);
    ck_assert_uint_eq(peers[0].text_bytes, 0);
    send(2, VIDEO_CODEC_JPEG, true);
    size_t bytes = peers[0].text_bytes;
    ck_assert(peers[0].finished);
    send(3, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].text_bytes, bytes);
    ck_assert_ptr_nonnull(strstr(peers[0].text, "Content-Type: image/jpeg\r\n"));
}
END_TEST

START_TEST(annex_b_starts_at_a_keyframe_and_ends_with_its_codec)
{
    join_http(0, CLIENT_ANNEX_B);
    send(1, VIDEO_CODEC_H264, false);
    ck_assert_uint_eq(peers[0].text_bytes, 0);
    send(2, VIDEO_CODEC_H264, true);
    size_t first = peers[0].text_bytes;
    ck_assert_uint_gt(first, 1000);
    send(3, VIDEO_CODEC_H264, false);
    ck_assert_uint_eq(peers[0].text_bytes, first + 1000);
    send(4, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].text_bytes, first + 1000);
    ck_assert(peers[0].finished);
}
END_TEST

START_TEST(http_clients_without_a_frame_get_an_error_in_time)
{
    join_http(0, CLIENT_MJPEG);
    fanout_tick(fanout, PATIENCE_NS);
    ck_assert(!peers[0].finished);
    fanout_tick(fanout, PATIENCE_NS + 1);
    ck_assert(peers[0].finished);
    ck_assert_int_eq(strncmp(peers[0].text, "HTTP/1.1 503 ", 13), 0);
    size_t bytes = peers[0].text_bytes;
    fanout_tick(fanout, 3 * PATIENCE_NS);
    send(1, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].text_bytes, bytes);
}
END_TEST

START_TEST(http_clients_get_no_telemetry)
{
    join_http(0, CLIENT_MJPEG);
    ck_assert_int_eq(fanout_telemetry(fanout, "telemetry.x", "{}", 2), 0);
    ck_assert_uint_eq(peers[0].text_bytes, 0);
    ck_assert_uint_eq(peers[0].sent_count, 0);
}
END_TEST

START_TEST(a_codec_is_needed_when_all_need_the_same)
{
    ck_assert_uint_eq(fanout_codec_needed(fanout), VIDEO_CODEC_NONE);
    join_http(0, CLIENT_MJPEG);
    join_http(1, CLIENT_JPEG);
    ck_assert_uint_eq(fanout_codec_needed(fanout), VIDEO_CODEC_JPEG);
    struct client *other = join_http(2, CLIENT_ANNEX_B);
    ck_assert_uint_eq(fanout_codec_needed(fanout), VIDEO_CODEC_NONE);
    fanout_leave(fanout, other);
    join(2, false);
    ck_assert_uint_eq(fanout_codec_needed(fanout), VIDEO_CODEC_NONE);
    ck_assert(fanout_serves_http(fanout));
}
END_TEST

/* A frame of the second stream, at this time. */
static void send_second(uint64_t seq, enum video_codec codec, bool keyframe, int64_t now_ns)
{
    struct packet packet = make_packet(seq, codec, keyframe);

    audience_packet(&second, &packet, now_ns);
}

static struct subscription *subscribe(struct client *client)
{
    struct subscription *subscription;

    ck_assert_int_eq(audience_join(&second, client, 2, &subscription), 0);
    return subscription;
}

START_TEST(two_streams_on_one_socket_keep_their_own_step)
{
    struct client *client = join_ready(0, true);
    const struct subscription *subscription = subscribe(client);

    send(1, VIDEO_CODEC_H264, true);
    send_second(70, VIDEO_CODEC_H264, false, 1);
    send_second(71, VIDEO_CODEC_H264, true, 2);
    send(2, VIDEO_CODEC_H264, false);
    ASSERT_FRAMES(0, 1, 71, 2);
    ck_assert_uint_eq(peers[0].sent[0].stream, 0);
    ck_assert_uint_eq(peers[0].sent[2].stream, 2);
    ck_assert_uint_eq(peers[0].sent[2].missed, 1);
    ck_assert_uint_eq(peers[0].sent[4].missed, 0);
    ck_assert_uint_eq(subscription->frames, 1);
    struct client_totals totals;
    client_totals(client, &totals);
    ck_assert_uint_eq(totals.frames, 3);
    ck_assert_uint_eq(totals.frame_bytes, 3000);
    ck_assert_uint_eq(totals.missed, 1);
    ck_assert(totals.in_step);
}
END_TEST

/* The socket takes one frame in each period, whichever is offered first. */
START_TEST(streams_that_share_a_slow_socket_take_turns)
{
    struct client *client = join_ready(0, true);
    const struct subscription *other = subscribe(client);
    const struct subscription *first = client_subscription(client, 0);

    for (int64_t period = 1; period <= 100; period++) {
        int64_t now_ns = period * 33 * NS_PER_MS;
        struct packet packet = make_packet((uint64_t)period, VIDEO_CODEC_JPEG, true);
        peers[0].busy = false;
        peers[0].busy_after = 2;
        fanout_packet(fanout, &packet, now_ns);
        send_second((uint64_t)period, VIDEO_CODEC_JPEG, true, now_ns + 1);
    }
    ck_assert_uint_ge(first->frames, 48);
    ck_assert_uint_ge(other->frames, 48);
}
END_TEST

START_TEST(a_stream_in_step_gives_way_only_to_one_that_starves)
{
    struct client *client = join_ready(0, true);
    const struct subscription *other = subscribe(client);
    const struct subscription *first = client_subscription(client, 0);

    for (int64_t period = 1; period <= 100; period++) {
        int64_t now_ns = period * 33 * NS_PER_MS;
        struct packet packet = make_packet((uint64_t)period, VIDEO_CODEC_H264, period == 1);
        peers[0].busy = false;
        peers[0].busy_after = 2;
        fanout_packet(fanout, &packet, now_ns);
        send_second((uint64_t)period, VIDEO_CODEC_JPEG, true, now_ns + 1);
    }
    ck_assert_uint_ge(first->frames, 30);
    ck_assert_uint_ge(other->frames, 15);
}
END_TEST

START_TEST(a_stream_that_went_silent_holds_nobody_up)
{
    struct client *client = join_ready(0, true);

    subscribe(client);
    send(1, VIDEO_CODEC_JPEG, true);
    peers[0].busy = true;
    send_second(1, VIDEO_CODEC_JPEG, true, 2);
    peers[0].busy = false;
    send(3, VIDEO_CODEC_JPEG, true); /* the other's turn, which does not come */
    struct packet packet = make_packet(4, VIDEO_CODEC_JPEG, true);
    fanout_packet(fanout, &packet, 3 + 100 * NS_PER_MS);
    ASSERT_FRAMES(0, 1, 4);
}
END_TEST

START_TEST(a_pause_ends_with_a_keyframe)
{
    struct client *client = join_ready(0, true);
    struct subscription *subscription = client_subscription(client, 0);

    send(1, VIDEO_CODEC_H264, true);
    subscription_pause(subscription, true, 1);
    ck_assert_uint_eq(audience_watchers(fanout_audience(fanout)), 0);
    send_lossy(4, VIDEO_CODEC_H264, true, 2);
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 0);
    subscription_pause(subscription, false, 5);
    ck_assert_int_eq(audience_waiting_ns(fanout_audience(fanout), 100), 95);
    send(5, VIDEO_CODEC_H264, false);
    send(6, VIDEO_CODEC_H264, true);
    ASSERT_FRAMES(0, 1, 6);
    ck_assert_uint_eq(peers[0].sent[2].missed, 1); /* only the one that came after it */
}
END_TEST

START_TEST(metadata_goes_before_the_frame_to_who_asked)
{
    struct client *asks = join_ready(0, true);
    static uint8_t user[RING_USER_BYTES];

    join_ready(1, true);
    client_subscription(asks, 0)->metadata = true;
    for (unsigned user_bytes = 0; user_bytes <= RING_USER_BYTES;
         user_bytes += RING_USER_BYTES / 2) {
        struct packet packet = make_packet(1 + user_bytes, VIDEO_CODEC_JPEG, true);
        packet.ring_view.user = user;
        packet.ring_view.frame.user_bytes = user_bytes;
        fanout_packet(fanout, &packet, 1);
    }
    ck_assert_uint_eq(peers[0].sent_count, 2 + 3 + 3);
    ck_assert_uint_eq(peers[0].sent[2].type, METADATA_MESSAGE_TYPE);
    ck_assert_uint_eq(peers[0].sent[2].bytes, METADATA_HEADER_BYTES + RING_USER_BYTES / 2);
    ck_assert_uint_eq(peers[0].sent[3].type, FRAME_INFO_MESSAGE_TYPE);
    ck_assert_uint_eq(peers[0].sent[5].bytes, METADATA_HEADER_BYTES + RING_USER_BYTES);
    ck_assert_uint_eq(peers[1].sent_count, 6);
}
END_TEST

START_TEST(subscriptions_are_bounded_and_once_each)
{
    static struct audience audiences[CLIENT_SUBSCRIPTIONS_MAX];
    struct client *client = join_ready(0, true);

    ck_assert_int_eq(audience_join(fanout_audience(fanout), client, 1, NULL), -EEXIST);
    for (uint16_t i = 0; i + 1 < CLIENT_SUBSCRIPTIONS_MAX; i++) {
        audience_init(&audiences[i], 10 + i, &counters);
        ck_assert_int_eq(audience_join(&audiences[i], client, 1, NULL), 0);
    }
    ck_assert_int_eq(audience_join(&second, client, 1, NULL), -EMFILE);
    audience_leave(client_subscription(client, 12));
    ck_assert_ptr_null(client_subscription(client, 12));
    ck_assert_ptr_nonnull(client_subscription(client, 13));
    subscribe(client);
    fanout_leave(fanout, client);
    ck_assert_uint_eq(second.count, 0);
    ck_assert_uint_eq(audiences[0].count, 0);
}
END_TEST

START_TEST(a_client_may_watch_nothing_of_the_default_stream)
{
    struct client *client = fanout_join_audience(fanout, &peers[0], CLIENT_V2, NULL, 1);

    ck_assert_ptr_nonnull(client);
    ck_assert_uint_eq(fanout_clients(fanout), 1);
    ck_assert_uint_eq(fanout_watchers(fanout), 0);
    ck_assert_uint_eq(fanout_tick(fanout, 1 + DELAY_NS), 0); /* needs no keyframe */
    ck_assert(client->ready);
    send(1, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].sent_count, 0);
    fanout_telemetry(fanout, "telemetry.x", "{}", 2);
    ck_assert_uint_eq(peers[0].sent_count, 1);
}
END_TEST

START_TEST(nothing_new_is_sent_to_who_is_told_goodbye)
{
    struct client *client = join_ready(0, false);

    join(1, false);
    fanout_quiet(fanout);
    send(1, VIDEO_CODEC_JPEG, true);
    fanout_telemetry(fanout, "telemetry.x", "{}", 2);
    fanout_drained(fanout, client);
    fanout_tick(fanout, 10 * DELAY_NS);
    send(2, VIDEO_CODEC_JPEG, true);
    ck_assert_uint_eq(peers[0].sent_count, 0);
    ck_assert_uint_eq(peers[1].sent_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fanout");
    TCase *tcase = tcase_create("fanout");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_client_starts_on_a_keyframe);
    tcase_add_test(tcase, every_jpeg_is_a_start);
    tcase_add_test(tcase, nothing_is_sent_before_the_first_message_or_the_delay);
    tcase_add_test(tcase, a_slow_h264_client_resumes_at_the_next_keyframe);
    tcase_add_test(tcase, a_slow_jpeg_client_gets_the_newest);
    tcase_add_test(tcase, a_frame_that_the_socket_does_not_begin_is_missed);
    tcase_add_test(tcase, a_frame_and_its_info_stay_together_when_the_socket_fills_between_them);
    tcase_add_test(tcase, a_break_in_the_stream_waits_for_a_keyframe_and_is_told);
    tcase_add_test(tcase, another_codec_starts_on_its_own_keyframe);
    tcase_add_test(tcase, a_restarted_encoder_may_count_from_anywhere);
    tcase_add_test(tcase, a_dead_client_is_passed_by);
    tcase_add_test(tcase, telemetry_waits_behind_a_tail_and_the_oldest_makes_room);
    tcase_add_test(tcase, telemetry_too_long_is_counted);
    tcase_add_test(tcase, the_clock_answers_v2_clients_only);
    tcase_add_test(tcase, clients_come_and_go_in_any_order);
    tcase_add_test(tcase, waiting_time_counts_who_could_take_a_keyframe);
    tcase_add_test(tcase, an_mjpeg_client_gets_parts_with_lengths);
    tcase_add_test(tcase, a_snapshot_is_one_picture_and_the_end);
    tcase_add_test(tcase, annex_b_starts_at_a_keyframe_and_ends_with_its_codec);
    tcase_add_test(tcase, http_clients_without_a_frame_get_an_error_in_time);
    tcase_add_test(tcase, http_clients_get_no_telemetry);
    tcase_add_test(tcase, a_codec_is_needed_when_all_need_the_same);
    tcase_add_test(tcase, two_streams_on_one_socket_keep_their_own_step);
    tcase_add_test(tcase, streams_that_share_a_slow_socket_take_turns);
    tcase_add_test(tcase, a_stream_in_step_gives_way_only_to_one_that_starves);
    tcase_add_test(tcase, a_stream_that_went_silent_holds_nobody_up);
    tcase_add_test(tcase, a_pause_ends_with_a_keyframe);
    tcase_add_test(tcase, metadata_goes_before_the_frame_to_who_asked);
    tcase_add_test(tcase, subscriptions_are_bounded_and_once_each);
    tcase_add_test(tcase, a_client_may_watch_nothing_of_the_default_stream);
    tcase_add_test(tcase, nothing_new_is_sent_to_who_is_told_goodbye);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
