/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/fanout.h and client.h: who gets which frame and which message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/fanout_kit.h"

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

/* What is told apart in the stand-in socket by its length. */
static void tell(const char *subject, size_t payload_bytes)
{
    static char payload[2048];

    ck_assert_int_eq(fanout_telemetry(fanout, subject, payload, payload_bytes), 0);
}

static void assert_told(size_t at, const char *subject, size_t payload_bytes)
{
    ck_assert_uint_lt(at, peers[0].sent_count);
    ck_assert_str_eq(peers[0].sent[at].subject, subject);
    ck_assert_uint_eq(peers[0].sent[at].bytes,
                      TELEMETRY_PREFIX_BYTES + strlen(subject) + payload_bytes);
}

START_TEST(a_fast_subject_pushes_no_other_out_of_a_stalled_clients_queue)
{
    struct client *client = join_ready(0, false);

    peers[0].busy = true;
    tell("telemetry.safety.state", 7);
    for (size_t i = 1; i <= 1000; i++)
        tell("telemetry.a", i);
    tell("telemetry.ab", 8); /* another subject, though it begins alike */
    ck_assert_uint_eq(counters.telemetry_dropped, 0);
    ck_assert_uint_eq(counters.telemetry_superseded, 999);
    peers[0].busy = false;
    fanout_drained(fanout, client);
    ck_assert_uint_eq(peers[0].sent_count, 3);
    assert_told(0, "telemetry.safety.state", 7);
    assert_told(1, "telemetry.a", 1000);
    assert_told(2, "telemetry.ab", 8);
}
END_TEST

START_TEST(events_wait_one_by_one)
{
    static const char *const events[] = {"telemetry.command.ack", "telemetry.command.limited",
                                         "telemetry.policy.list", "telemetry.safety.cmd_timeout",
                                         "telemetry.operator.lease"};
    struct client *client = join_ready(0, false);

    for (size_t i = 0; i < 5; i++) {
        size_t first = peers[0].sent_count;
        peers[0].busy = true;
        tell(events[i], 1);
        tell("telemetry.a", 2);
        tell(events[i], 3);
        peers[0].busy = false;
        fanout_drained(fanout, client);
        ck_assert_uint_eq(peers[0].sent_count, first + 3);
        assert_told(first, events[i], 1);
        assert_told(first + 2, events[i], 3);
    }
    ck_assert_uint_eq(counters.telemetry_superseded, 0);
}
END_TEST

START_TEST(who_keeps_up_gets_all_telemetry)
{
    join_ready(0, false);
    for (size_t i = 1; i <= 1000; i++)
        tell("telemetry.a", i);
    ck_assert_uint_eq(peers[0].sent_count, 1000);
    for (size_t i = 1; i <= 1000; i++)
        assert_told(i - 1, "telemetry.a", i);
}
END_TEST

static void limit_telemetry(unsigned per_s)
{
    const struct fanout_config config = {
        .ready_delay_ns = DELAY_NS,
        .patience_ns = PATIENCE_NS,
        .queue_messages = 3,
        .telemetry_per_s = per_s,
        .counters = &counters,
    };

    fanout_destroy(fanout);
    ck_assert_int_eq(fanout_create(&config, &fanout), 0);
}

START_TEST(a_limited_client_gets_the_newest_in_time)
{
    size_t events = 0;

    limit_telemetry(10);
    struct client *client = join_ready(0, false);
    for (size_t tick = 0; tick < 200; tick++) { /* 10 s with jitter, 10 messages in each tick */
        fanout_tick(fanout, (int64_t)(1000 + 50 * tick + tick % 3) * NS_PER_MS);
        for (size_t i = 0; i < 10; i++)
            tell("telemetry.a", 10 * tick + i + 1);
        tell("telemetry.command.ack", 1);
        events++;
    }
    size_t states = peers[0].sent_count - events;
    ck_assert_uint_ge(states, 99);
    ck_assert_uint_le(states, 101);
    fanout_tick(fanout, 12000 * NS_PER_MS);
    assert_told(peers[0].sent_count - 1, "telemetry.a", 2000);
    ck_assert_uint_eq(counters.telemetry_superseded, 2000 - states - 1);
    size_t count = peers[0].sent_count;
    fanout_tick(fanout, 13000 * NS_PER_MS);
    ck_assert_uint_eq(peers[0].sent_count, count);
    tell("telemetry.a", 5); /* the first after a pause goes at once */
    assert_told(count, "telemetry.a", 5);
    tell("telemetry.a", 6); /* waits as its client leaves */
    fanout_leave(fanout, client);
}
END_TEST

START_TEST(more_subjects_than_are_kept_are_all_told)
{
    char subject[32];

    limit_telemetry(1);
    join_ready(0, false);
    for (unsigned i = 0; i < 3 * PACING_SUBJECTS; i++) {
        snprintf(subject, sizeof(subject), "telemetry.n%u", i);
        tell(subject, 1);
        tell(subject, 2);
    }
    fanout_tick(fanout, 2000 * NS_PER_MS);
    size_t newest = 0;
    for (size_t i = 0; i < peers[0].sent_count; i++)
        newest +=
            peers[0].sent[i].bytes == TELEMETRY_PREFIX_BYTES + strlen(peers[0].sent[i].subject) + 2;
    ck_assert_uint_eq(newest, 3 * PACING_SUBJECTS);
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
    tcase_add_test(tcase, a_fast_subject_pushes_no_other_out_of_a_stalled_clients_queue);
    tcase_add_test(tcase, events_wait_one_by_one);
    tcase_add_test(tcase, who_keeps_up_gets_all_telemetry);
    tcase_add_test(tcase, a_limited_client_gets_the_newest_in_time);
    tcase_add_test(tcase, more_subjects_than_are_kept_are_all_told);
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
    tcase_add_test(tcase, a_client_may_watch_nothing_of_the_default_stream);
    tcase_add_test(tcase, nothing_new_is_sent_to_who_is_told_goodbye);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
