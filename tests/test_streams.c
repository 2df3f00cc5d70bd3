/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/streams.h, stream.h and choice.h on real rings and a real loop: which streams there are,
 * who wants them, and which one a request gets. The relay and the sockets are stand-ins defined
 * here, so the linker leaves theirs out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "base/log.h"
#include "daemon/choice.h"
#include "daemon/streams.h"
#include "tests/support.h"

static struct {
    enum video_codec fixed_codec;
    bool renditions_watched;
    unsigned rendition_frames;
    unsigned keyframes;
    struct arrivals arrivals;
} relay;

static char dir[SUPPORT_PATH_BYTES];
static struct counters counters;
static struct loop *loop;
static struct source *source;
static struct fanout *fanout;
static struct streams *streams;
static unsigned frames_sent;

const struct arrivals *relay_arrivals(const struct relay *unused)
{
    (void)unused;
    return &relay.arrivals;
}

void relay_clients_changed(struct relay *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
}

void relay_client_ready(struct relay *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    relay.keyframes++;
}

bool relay_wanted(const struct relay *unused)
{
    (void)unused;
    return false;
}

void relay_rendition(struct relay *unused, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    relay.rendition_frames++;
}

void relay_renditions_watched(struct relay *unused, bool watched, int64_t now_ns)
{
    (void)unused;
    (void)now_ns;
    relay.renditions_watched = watched;
}

enum video_codec relay_fixed_codec(const struct relay *unused)
{
    (void)unused;
    return relay.fixed_codec;
}

int ws_peer_send(struct ws_peer *peer, const uint8_t *frame, size_t frame_bytes)
{
    (void)peer;
    (void)frame;
    (void)frame_bytes;
    frames_sent++;
    return 0;
}

int ws_peer_offer(struct ws_peer *peer, struct iovec *pieces, unsigned count)
{
    (void)peer;
    (void)pieces;
    frames_sent += count;
    return 0;
}

bool ws_peer_busy(struct ws_peer *peer)
{
    (void)peer;
    return false;
}

void ws_peer_finish(struct ws_peer *peer)
{
    (void)peer;
}

static void open_streams(void)
{
    const struct streams_config config = {
        .name = "front",
        .loop = loop,
        .source = source,
        .fanout = fanout,
        .relay = (struct relay *)&relay,
        .terms = {.dir = dir,
                  .keyframe_coalesce_ns = 1,
                  .keyframe_timeout_ns = 5 * NS_PER_S,
                  .counters = &counters},
    };

    ck_assert_int_eq(streams_open(&config, clock_now_ns(), &streams), 0);
}

static void set_up(void)
{
    const struct fanout_config config = {.queue_messages = 4, .counters = &counters};

    log_init("test_streams", LOG_LEVEL_ERROR);
    memset(&relay, 0, sizeof(relay));
    memset(&counters, 0, sizeof(counters));
    frames_sent = 0;
    support_dir_make(dir);
    ck_assert_int_eq(loop_create(&loop), 0);
    ck_assert_int_eq(source_open_ring(dir, "front", &counters, &source), 0);
    ck_assert_int_eq(fanout_create(&config, &fanout), 0);
    open_streams();
}

static void tear_down(void)
{
    while (fanout_connections(fanout) > 0)
        fanout_leave(fanout, fanout_client(fanout, 0));
    streams_close(streams);
    fanout_destroy(fanout);
    source_close(source);
    loop_destroy(loop);
    rmdir(dir);
}

/* Lets the loop work for as long as this is not so; at most 5 s. */
#define LOOP_UNTIL(condition)                                                                      \
    ck_assert(                                                                                     \
        WAIT_UNTIL((loop_run_once(loop), streams_tick(streams, clock_now_ns()), condition), 5))

static struct ring_producer *produce(const char *name)
{
    struct ring_producer_config config = {.dir = dir,
                                          .stream = name,
                                          .kind = RING_KIND_PACKETS,
                                          .payload_bytes_max = 4096,
                                          .history = 2};
    struct ring_producer *producer;

    ck_assert_int_eq(ring_producer_open(&config, &producer), 0);
    return producer;
}

static void publish(struct ring_producer *producer, enum video_codec codec)
{
    static uint64_t frame_seq;
    const struct video_header header = {
        .frame_seq = ++frame_seq, .size = 100, .flags = VIDEO_FLAG_KEYFRAME, .codec = codec};
    struct ring_loan loan;

    ck_assert_int_eq(ring_loan(producer, &loan), 0);
    video_packet_finish(loan.payload, &header);
    ck_assert_int_gt(ring_publish(producer, &loan,
                                  &(struct ring_frame){
                                      .payload_bytes = VIDEO_PAYLOAD_OFFSET + 100,
                                      .flags = RING_FRAME_KEYFRAME,
                                      .width = 64,
                                      .height = 48,
                                  }),
                     0);
}

static bool wanted(struct ring_producer *producer)
{
    struct ring_demand demand;

    ring_producer_demand(producer, &demand);
    return demand.wanting > 0;
}

/* The stream as soon as it is live. */
static struct stream *await_stream(const char *camera, const char *rendition)
{
    struct stream *stream = NULL;

    LOOP_UNTIL((stream = streams_find(streams, camera, rendition)) != NULL && stream->live);
    return stream;
}

static struct subscription *watch(struct stream *stream, enum client_kind kind)
{
    struct client *client =
        fanout_join_audience(fanout, NULL, kind, stream->audience, clock_now_ns());

    ck_assert_ptr_nonnull(client);
    fanout_heard(fanout, client, clock_now_ns());
    streams_update(streams, stream, clock_now_ns());
    return client->subscriptions[0];
}

START_TEST(a_ring_that_appears_is_a_stream_until_it_vanishes)
{
    struct ring_producer *arm = produce("arm+preview");
    const struct stream *stream = await_stream("arm", "preview");

    ck_assert_str_eq(stream->name, "arm+preview");
    ck_assert_uint_ne(stream->id, 0);
    ck_assert_ptr_eq(streams_by_id(streams, stream->id), stream);
    ck_assert_uint_eq(streams_count(streams), 2);
    ck_assert_ptr_eq(streams_at(streams, 0), streams_default(streams));
    ck_assert(streams_changed(streams));
    ck_assert(!streams_changed(streams));
    ring_producer_close(arm);
    LOOP_UNTIL(streams_count(streams) == 1);
    ck_assert(streams_changed(streams));
}
END_TEST

START_TEST(what_was_there_before_is_found_and_the_default_is_not_doubled)
{
    struct ring_producer *front = produce("front");
    struct ring_producer *arm = produce("arm");

    streams_close(streams);
    open_streams();
    await_stream("arm", "");
    ck_assert_uint_eq(streams_count(streams), 2);
    ck_assert_uint_eq(streams_find(streams, "front", "")->id, 0);
    ring_producer_close(front);
    ring_producer_close(arm);
}
END_TEST

START_TEST(other_files_are_passed_by)
{
    static const char *const names[] = {"arm.frames", ".packets", "a b.packets", "a+b+c.packets",
                                        "much-too-long-a-name-for-any-ring.packets"};
    char path[2 * SUPPORT_PATH_BYTES];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    struct ring_producer *arm = produce("arm");
    await_stream("arm", "");
    ck_assert_uint_eq(streams_count(streams), 2);
    ring_producer_close(arm);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        rmdir(path);
    }
}
END_TEST

START_TEST(a_ring_is_wanted_while_somebody_watches)
{
    struct ring_producer *arm = produce("arm");
    struct stream *stream = await_stream("arm", "");

    ck_assert(!wanted(arm));
    struct subscription *first = watch(stream, CLIENT_V1);
    struct subscription *second = watch(stream, CLIENT_V1);
    LOOP_UNTIL(wanted(arm));
    subscription_pause(first, true, clock_now_ns());
    streams_update(streams, stream, clock_now_ns());
    ck_assert(stream_wanted(stream));
    fanout_leave(fanout, second->client);
    LOOP_UNTIL(!wanted(arm));
    subscription_pause(first, false, clock_now_ns());
    LOOP_UNTIL(wanted(arm));
    publish(arm, VIDEO_CODEC_JPEG);
    LOOP_UNTIL(frames_sent == 1);
    ck_assert_uint_eq(stream->codec, VIDEO_CODEC_JPEG);
    ck_assert_uint_eq(stream->width, 64);
    ck_assert_uint_eq(first->frames, 1);
    ring_producer_close(arm);
}
END_TEST

START_TEST(an_unwatched_ring_that_flows_wakes_us_once_a_second)
{
    struct ring_producer *arm = produce("arm");
    const struct stream *stream = await_stream("arm", "");

    publish(arm, VIDEO_CODEC_JPEG);
    LOOP_UNTIL(stream->frames == 1);
    for (int i = 0; i < 5; i++) {
        publish(arm, VIDEO_CODEC_JPEG);
        loop_run_once(loop);
    }
    ck_assert_uint_eq(stream->frames, 1);
    streams_second(streams, clock_now_ns());
    LOOP_UNTIL(stream->frames > 1);
    ring_producer_close(arm);
}
END_TEST

static uint64_t stage_count(const struct stream *stream, enum metrics_stage stage)
{
    return stream->stages.of[stage].count;
}

START_TEST(stages_are_counted_of_the_stream_that_is_watched)
{
    struct ring_producer *arm = produce("arm");
    struct ring_producer *jpeg = produce("arm+jpeg");
    struct stream *stream = await_stream("arm", "jpeg");
    const struct stream *other = await_stream("arm", "");

    publish(jpeg, VIDEO_CODEC_JPEG); /* another program wants it */
    LOOP_UNTIL(stream->frames == 1);
    ck_assert_uint_eq(stage_count(stream, METRICS_FANOUT), 0);
    publish(jpeg, VIDEO_CODEC_JPEG); /* lies there until somebody watches */
    loop_run_once(loop);
    watch(stream, CLIENT_V1);
    LOOP_UNTIL(stream->frames == 2);
    ck_assert_uint_eq(stage_count(stream, METRICS_WAKE), 0);
    publish(jpeg, VIDEO_CODEC_JPEG);
    LOOP_UNTIL(stream->frames == 3);
    ck_assert_uint_eq(stage_count(stream, METRICS_WAKE), 1);
    ck_assert_uint_eq(stage_count(stream, METRICS_FANOUT), 1);
    ck_assert_uint_eq(stage_count(other, METRICS_FANOUT), 0);
    ck_assert_uint_eq(stage_count(streams_default(streams), METRICS_FANOUT), 0);
    ring_producer_close(jpeg);
    ring_producer_close(arm);
}
END_TEST

START_TEST(who_watches_keeps_the_stream_while_its_producer_is_away)
{
    struct ring_producer *arm = produce("arm");
    struct stream *stream = await_stream("arm", "");
    uint16_t id = stream->id;
    const struct subscription *subscription = watch(stream, CLIENT_V1);

    ring_producer_close(arm);
    LOOP_UNTIL((streams_second(streams, clock_now_ns()), !stream->live));
    streams_second(streams, clock_now_ns() + 10 * NS_PER_S);
    ck_assert_ptr_eq(streams_by_id(streams, id), stream);
    arm = produce("arm");
    LOOP_UNTIL(stream->live && wanted(arm));
    ring_producer_close(arm);
    fanout_leave(fanout, subscription->client);
    LOOP_UNTIL(
        (streams_second(streams, clock_now_ns() + 10 * NS_PER_S), streams_count(streams) == 1));
    arm = produce("arm");
    ck_assert_uint_ne(await_stream("arm", "")->id, id);
    ring_producer_close(arm);
}
END_TEST

START_TEST(the_gate_hears_of_other_renditions_of_the_default_camera)
{
    struct ring_producer *preview = produce("front+preview");
    struct ring_producer *arm = produce("arm");
    struct stream *stream = await_stream("front", "preview");

    watch(await_stream("arm", ""), CLIENT_V1);
    LOOP_UNTIL(wanted(arm));
    publish(arm, VIDEO_CODEC_JPEG);
    LOOP_UNTIL(frames_sent == 1);
    ck_assert(!relay.renditions_watched);
    ck_assert_uint_eq(relay.rendition_frames, 0);
    struct subscription *subscription = watch(stream, CLIENT_V1);
    ck_assert(relay.renditions_watched);
    publish(preview, VIDEO_CODEC_JPEG);
    LOOP_UNTIL(relay.rendition_frames == 1);
    fanout_leave(fanout, subscription->client);
    LOOP_UNTIL(!relay.renditions_watched);
    ring_producer_close(preview);
    ring_producer_close(arm);
}
END_TEST

START_TEST(the_directory_may_be_replaced)
{
    char away[SUPPORT_PATH_BYTES + 8];

    snprintf(away, sizeof(away), "%s-away", dir);
    ck_assert_int_eq(rename(dir, away), 0);
    if (_i == 1)
        streams_second(streams, clock_now_ns()); /* it is seen to be missing */
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    streams_second(streams, clock_now_ns());
    struct ring_producer *arm = produce("arm");
    await_stream("arm", "");
    ring_producer_close(arm);
    ck_assert_int_eq(rmdir(away), 0);
}
END_TEST

static int choose(const char *query, enum client_kind kind, const char **ret_name)
{
    struct stream *stream = NULL;
    int error = choose_stream(streams, query, kind, clock_now_ns(), &stream);

    *ret_name = stream ? stream->name : "";
    return error;
}

#define ASSERT_CHOICE(query, kind, error, name)                                                    \
    do {                                                                                           \
        const char *chosen_;                                                                       \
        ck_assert_int_eq(choose(query, kind, &chosen_), error);                                    \
        ck_assert_str_eq(chosen_, name);                                                           \
    } while (0)

START_TEST(a_request_gets_the_rendition_that_fits)
{
    struct ring_producer *jpeg = produce("front+jpeg");
    struct ring_producer *arm = produce("arm");
    struct stream *usual = streams_default(streams);

    await_stream("front", "jpeg");
    struct stream *other = await_stream("arm", "");
    ASSERT_CHOICE("", CLIENT_MJPEG, 0, "front+jpeg"); /* what the default is, nobody knows yet */
    ASSERT_CHOICE("", CLIENT_ANNEX_B, 0, "front");
    usual->codec = VIDEO_CODEC_H264;
    ASSERT_CHOICE("camera=front", CLIENT_JPEG, 0, "front+jpeg");
    ASSERT_CHOICE("rendition=jpeg&camera=front", CLIENT_JPEG, 0, "front+jpeg");
    ASSERT_CHOICE("action=stream&camera=arm", CLIENT_MJPEG, 0, "arm");
    other->codec = VIDEO_CODEC_H264;
    ASSERT_CHOICE("camera=arm", CLIENT_MJPEG, -EPROTOTYPE, "arm");
    ASSERT_CHOICE("camera=arm", CLIENT_ANNEX_B, 0, "arm");
    ASSERT_CHOICE("camera=leg", CLIENT_MJPEG, -ENOENT, "");
    ASSERT_CHOICE("camera=arm&rendition=jpeg", CLIENT_MJPEG, -ENOENT, "");
    ASSERT_CHOICE("camera=0123456789012345678901234567890123", CLIENT_MJPEG, -EINVAL, "");
    ring_producer_close(jpeg);
    LOOP_UNTIL(!streams_find(streams, "front", "jpeg"));
    ASSERT_CHOICE("", CLIENT_MJPEG, 0, "front"); /* it may be asked for JPEG */
    relay.fixed_codec = VIDEO_CODEC_H264;
    ASSERT_CHOICE("", CLIENT_MJPEG, -EPROTOTYPE, "front");
    ring_producer_close(arm);
}
END_TEST

START_TEST(a_websocket_may_start_without_a_stream)
{
    struct audience *usual = fanout_audience(fanout);

    ck_assert_ptr_null(choose_audience(streams, "default=0", CLIENT_V2));
    ck_assert_ptr_eq(choose_audience(streams, "default=0", CLIENT_V1), usual);
    ck_assert_ptr_eq(choose_audience(streams, "default=1&x=y", CLIENT_V2), usual);
    ck_assert_ptr_eq(choose_audience(streams, "", CLIENT_V2), usual);
}
END_TEST

START_TEST(nothing_is_left_open)
{
    unsigned before = support_count_fds();

    for (int i = 0; i < 3; i++) {
        struct ring_producer *arm = produce("arm");
        await_stream("arm", "");
        ring_producer_close(arm);
        LOOP_UNTIL(streams_count(streams) == 1);
    }
    ck_assert_uint_eq(support_count_fds(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("streams");
    TCase *cases = tcase_create("streams");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_ring_that_appears_is_a_stream_until_it_vanishes);
    tcase_add_test(cases, what_was_there_before_is_found_and_the_default_is_not_doubled);
    tcase_add_test(cases, other_files_are_passed_by);
    tcase_add_test(cases, a_ring_is_wanted_while_somebody_watches);
    tcase_add_test(cases, an_unwatched_ring_that_flows_wakes_us_once_a_second);
    tcase_add_test(cases, stages_are_counted_of_the_stream_that_is_watched);
    tcase_add_test(cases, who_watches_keeps_the_stream_while_its_producer_is_away);
    tcase_add_test(cases, the_gate_hears_of_other_renditions_of_the_default_camera);
    tcase_add_loop_test(cases, the_directory_may_be_replaced, 0, 2);
    tcase_add_test(cases, a_request_gets_the_rendition_that_fits);
    tcase_add_test(cases, a_websocket_may_start_without_a_stream);
    tcase_add_test(cases, nothing_is_left_open);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
