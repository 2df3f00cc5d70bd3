/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/subscription.h and audience.h: several streams on one socket. */
#include <errno.h>
#include <stdlib.h>

#include <check.h>

#include "tests/fanout_kit.h"

static struct audience second; /* of stream 2 */

static void set_up_second(void)
{
    set_up();
    audience_init(&second, 2, &counters);
}

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

/* Its keyframe always comes when the socket is busy, and late when it is asked for. */
START_TEST(a_stream_that_needs_a_keyframe_gets_one_in_the_end)
{
    struct client *client = join_ready(0, true);
    const struct subscription *other = subscribe(client);
    const struct subscription *first = client_subscription(client, 0);
    int64_t asked = -1000; /* when the demand last asked for one, in periods */

    for (int64_t period = 1; period <= 300; period++) {
        int64_t now_ns = period * 33 * NS_PER_MS;
        struct packet packet = make_packet((uint64_t)period, VIDEO_CODEC_JPEG, true);
        peers[0].busy = false;
        peers[0].busy_after = 2;
        fanout_packet(fanout, &packet, now_ns);
        if (audience_waiting_ns(&second, now_ns) > 5 * NS_PER_S && period - asked > 150)
            asked = period;
        send_second((uint64_t)period, VIDEO_CODEC_H264, period % 60 == 1 || period == asked + 4,
                    now_ns + 1);
    }
    ck_assert_uint_ge(other->frames, 1);
    ck_assert_uint_ge(first->frames, 250);
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

START_TEST(who_is_held_back_or_paused_does_not_watch)
{
    const struct audience *usual = fanout_audience(fanout);
    struct client *held = join(0, true);
    struct client *other = join(1, true);

    ck_assert_uint_eq(audience_watchers(usual), 2);
    fanout_hold(fanout, held);
    fanout_hold(fanout, held);
    ck_assert_uint_eq(audience_watchers(usual), 1);
    struct subscription *subscription = subscribe(held);
    ck_assert_uint_eq(audience_watchers(&second), 0);
    subscription_pause(subscription, true, 1);
    fanout_admit(fanout, held);
    ck_assert_uint_eq(audience_watchers(usual), 2);
    ck_assert_uint_eq(audience_watchers(&second), 0);
    subscription_pause(subscription, false, 1);
    ck_assert_uint_eq(audience_watchers(&second), 1);
    fanout_hold(fanout, other);
    fanout_leave(fanout, other);
    fanout_leave(fanout, held);
    ck_assert_uint_eq(audience_watchers(usual), 0);
    ck_assert_uint_eq(audience_watchers(&second), 0);
    ck_assert_uint_eq(fanout_clients(fanout), 0);
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

int main(void)
{
    Suite *suite = suite_create("subscription");
    TCase *tcase = tcase_create("subscription");

    tcase_add_checked_fixture(tcase, set_up_second, NULL);
    tcase_add_test(tcase, two_streams_on_one_socket_keep_their_own_step);
    tcase_add_test(tcase, streams_that_share_a_slow_socket_take_turns);
    tcase_add_test(tcase, a_stream_in_step_gives_way_only_to_one_that_starves);
    tcase_add_test(tcase, a_stream_that_needs_a_keyframe_gets_one_in_the_end);
    tcase_add_test(tcase, a_stream_that_went_silent_holds_nobody_up);
    tcase_add_test(tcase, a_pause_ends_with_a_keyframe);
    tcase_add_test(tcase, metadata_goes_before_the_frame_to_who_asked);
    tcase_add_test(tcase, who_is_held_back_or_paused_does_not_watch);
    tcase_add_test(tcase, subscriptions_are_bounded_and_once_each);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
