/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/relay.h with guard.h and demand.h: what reaches the bus, the encoder and the clients, by
 * the state of the video.
 */
#include "tests/relay_kit.h"

START_TEST(a_client_makes_video_wanted_and_asks_for_a_keyframe)
{
    pass_ms(100, false);
    ck_assert(!source.wanted);
    connect_client();
    ck_assert(source.wanted);
    ck_assert_uint_eq(source.keyframes, 1);
    ck_assert_str_eq(published("command.genesis.force_idr")->payload, "{\"cmd_seq\":0}");
    disconnect_client();
    ck_assert(!source.wanted);
}
END_TEST

START_TEST(keyframe_requests_are_coalesced_and_the_last_is_not_lost)
{
    connect_client();
    relay_client_ready(relay, now_ns + 10 * MS);
    relay_client_ready(relay, now_ns + 20 * MS);
    ck_assert_uint_eq(source.keyframes, 1);
    pass_ms(450, false);
    ck_assert_uint_eq(source.keyframes, 1);
    pass_ms(50, false);
    ck_assert_uint_eq(source.keyframes, 2);
    pass_ms(1000, false);
    ck_assert_uint_eq(source.keyframes, 2);
    ck_assert_uint_eq(count_published("command.genesis.force_idr"), 2);
}
END_TEST

START_TEST(a_keyframe_that_came_need_not_be_asked_for)
{
    connect_client();
    relay_client_ready(relay, now_ns + 10 * MS);
    frame(VIDEO_CODEC_H264, false);
    pass_ms(1000, false);
    ck_assert_uint_eq(source.keyframes, 1);
}
END_TEST

START_TEST(a_keyframe_that_does_not_come_is_asked_for_again)
{
    connect_client();
    pass_ms(4900, false);
    ck_assert_uint_eq(source.keyframes, 1);
    pass_ms(200, false);
    ck_assert_uint_eq(source.keyframes, 2);
}
END_TEST

START_TEST(motion_passes_as_it_came_while_video_is_fresh)
{
    connect_client();
    assert_refused(MOTION, "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"error\","
                           "\"detail\":\"starting\"}");
    pass_ms(50, true);
    forget();
    command(MOTION);
    ck_assert_str_eq(published("command.genesis.set_cmd_vel")->payload, MOTION);
    ck_assert_uint_eq(heard_count, 0);
    ck_assert_uint_eq(counters.commands_passed, 1);
    ck_assert_uint_eq(counters.commands_refused, 1);
}
END_TEST

START_TEST(stale_video_holds_once_then_stops_once)
{
    connect_client();
    pass_ms(100, true);
    forget();
    pass_ms(1000, false);
    ck_assert_uint_eq(bus.published_count, 0);
    pass_ms(50, false);
    const struct text *hold = published("command.genesis.set_cmd_vel");
    ck_assert_ptr_nonnull(strstr(hold->payload, "\"_safety\":\"hold\""));
    ck_assert_int_eq(hold->lane, BUS_LANE_NORMAL);
    ck_assert_str_eq(published("telemetry.safety.video_gate")->payload,
                     "{\"gated\":true,\"mode\":\"HOLD\",\"stale_ms\":1050}");
    ck_assert_str_eq(find(heard, heard_count, "telemetry.safety.video_gate")->payload,
                     "{\"gated\":true,\"mode\":\"HOLD\",\"stale_ms\":1050}");
    forget();
    pass_ms(3950, false);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 0);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 0);
    pass_ms(50, false);
    const struct text *stop = published("command.genesis.estop");
    ck_assert_ptr_nonnull(strstr(stop->payload, "video_timeout"));
    ck_assert_int_eq(stop->lane, BUS_LANE_STOP);
    forget();
    pass_ms(5000, false);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 0);
    forget();
    pass_ms(50, true);
    ck_assert_str_eq(published("telemetry.safety.video_gate")->payload, "{\"gated\":false}");
    assert_refused(MOTION, "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"error\","
                           "\"detail\":\"no_video\"}");
    command("{\"action\":\"estop_clear\",\"cmd_seq\":2}");
    published("command.genesis.estop_clear");
    forget();
    command(MOTION);
    published("command.genesis.set_cmd_vel");
}
END_TEST

START_TEST(a_change_of_codec_gives_grace)
{
    connect_client();
    frame(VIDEO_CODEC_JPEG, false);
    now_ns += 10 * MS;
    frame(VIDEO_CODEC_H264, false);
    forget();
    pass_ms(7000, false);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 0);
    pass_ms(100, false);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 1);
}
END_TEST

START_TEST(hold_and_stop_wait_for_the_bus_but_not_beyond_their_cause)
{
    connect_client();
    pass_ms(100, true);
    forget();
    bus.state = BUS_CONNECTING;
    pass_ms(2000, false);
    bus.state = BUS_CONNECTED;
    pass_ms(50, false);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    ck_assert_uint_eq(count_published("telemetry.safety.video_gate"), 1);

    pass_ms(50, true);
    forget();
    bus.state = BUS_CONNECTING;
    pass_ms(2000, false); /* a hold becomes due ... */
    pass_ms(50, true);    /* ... and is over */
    bus.state = BUS_CONNECTED;
    pass_ms(50, true);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 0);
    ck_assert_str_eq(published("telemetry.safety.video_gate")->payload, "{\"gated\":false}");

    forget();
    bus.state = BUS_CONNECTING;
    pass_ms(6000, false);
    bus.state = BUS_CONNECTED;
    pass_ms(50, false);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 1);
}
END_TEST

START_TEST(a_stop_that_may_be_lost_with_the_connection_is_repeated)
{
    connect_client();
    pass_ms(100, true);
    command("{\"action\":\"estop\",\"cmd_seq\":2}");
    forget();
    bus.stop_reconnects++; /* too short to be seen in bus_state */
    pass_ms(50, true);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 1);
    ck_assert_int_eq(published("command.genesis.estop")->lane, BUS_LANE_STOP);
    ck_assert_uint_eq(count_published("telemetry.safety.video_gate"), 1);
    pass_ms(10000, true);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 4);

    bus.stop_reconnects++;
    pass_ms(50, true);
    command("{\"action\":\"estop_clear\",\"cmd_seq\":3}");
    forget();
    pass_ms(10000, true);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 0);
}
END_TEST

START_TEST(a_pressed_stop_always_passes_on_its_own_lane)
{
    connect_client();
    command("{\"action\":\"estop\",\"data\":{\"reason\":[\"odd\"]}}");
    ck_assert_int_eq(published("command.genesis.estop")->lane, BUS_LANE_STOP);
    ck_assert_int_eq(relay_gate(relay)->mode, GATE_ESTOP);

    forget();
    bus.state = BUS_CONNECTING;
    command("{\"action\":\"estop\",\"cmd_seq\":7}");
    ck_assert_ptr_nonnull(strstr(find(heard, heard_count, "telemetry.command.ack")->payload,
                                 "as soon as it is back"));
    bus.state = BUS_CONNECTED;
    pass_ms(50, false);
    ck_assert_int_eq(published("command.genesis.estop")->lane, BUS_LANE_STOP);
}
END_TEST

START_TEST(what_is_not_motion_passes_the_closed_gate)
{
    static const char *const actions[] = {"pause", "reset", "load_policy", "camera", "estop_clear"};
    char json[128];
    char subject[64];

    connect_client();
    for (size_t i = 0; i < 5; i++) {
        forget();
        snprintf(json, sizeof(json),
                 "{\"action\":\"%s\",\"data\":{\"position\":[0,0,0],\"lookat\":[0,0,0]}}",
                 actions[i]);
        command(json);
        snprintf(subject, sizeof(subject), "command.genesis.%s", actions[i]);
        ck_assert_str_eq(published(subject)->payload, json);
    }
}
END_TEST

START_TEST(refusals_name_what_could_be_read)
{
    connect_client();
    assert_refused("{\"action\":\"fly\",\"cmd_seq\":3}",
                   "{\"action\":\"unknown\",\"cmd_seq\":3,\"status\":\"error\","
                   "\"detail\":\"unknown action\"}");
    assert_refused("garbage", "{\"action\":\"unknown\",\"cmd_seq\":null,\"status\":\"error\","
                              "\"detail\":\"the command is not a JSON object\"}");
    assert_refused("{\"action\":\"set_alpha\",\"cmd_seq\":4,\"data\":{\"alpha\":2}}",
                   "{\"action\":\"set_alpha\",\"cmd_seq\":4,\"status\":\"error\","
                   "\"detail\":\"alpha must be a number from 0 to 1\"}");
    bus.state = BUS_CONNECTING;
    assert_refused("{\"action\":\"reset\",\"cmd_seq\":5}",
                   "{\"action\":\"reset\",\"cmd_seq\":5,\"status\":\"error\","
                   "\"detail\":\"the bus is away\"}");
    ck_assert_uint_eq(counters.commands_refused, 4);
}
END_TEST

START_TEST(settings_reach_encoder_and_bus_and_add_up)
{
    static const char quality[] = "{\"action\":\"settings\",\"data\":{\"jpeg_quality\":50}}";

    connect_client();
    command(quality);
    ck_assert_str_eq(published("command.genesis.settings")->payload, quality);
    ck_assert_uint_eq(source.settings.jpeg_quality, 50);
    from_bus("command.genesis.settings", "{\"codec\":\"h264\",\"h264_bitrate\":3}");
    ck_assert_uint_eq(source.settings.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(source.settings.bitrate_bps, 3000000);
    ck_assert_uint_eq(source.settings.jpeg_quality, 50);
}
END_TEST

START_TEST(a_clients_keyframe_request_is_coalesced_and_a_foreign_one_goes_to_the_encoder)
{
    connect_client();
    command("{\"action\":\"force_idr\",\"cmd_seq\":9}");
    ck_assert_uint_eq(source.keyframes, 1);
    ck_assert_uint_eq(count_published("command.genesis.force_idr"), 1);
    from_bus("command.genesis.force_idr", "{}");
    ck_assert_uint_eq(source.keyframes, 2);
    ck_assert_uint_eq(count_published("command.genesis.force_idr"), 1);
}
END_TEST

START_TEST(foreign_motion_wants_video_and_is_countered_until_there_is_some)
{
    pass_ms(100, false);
    from_bus("command.genesis.set_cmd_vel", "{\"linear_x\":1}");
    ck_assert(source.wanted);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    now_ns += 99 * MS;
    from_bus("command.genesis.set_cmd_vel", "garbage");
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    now_ns += 1 * MS;
    from_bus("command.genesis.set_skill", "{\"skill\":\"jump\"}");
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 2);
    ck_assert_uint_eq(counters.motion_countered, 2);

    pass_ms(100, true);
    forget();
    from_bus("command.genesis.set_cmd_vel", "{\"linear_x\":1}");
    ck_assert_uint_eq(bus.published_count, 0);
    pass_ms(9900, true);
    ck_assert(source.wanted);
    pass_ms(200, true);
    ck_assert(!source.wanted);
    ck_assert_int_eq(relay_gate(relay)->mode, GATE_HOLD);
}
END_TEST

START_TEST(another_gates_hold_is_not_motion)
{
    from_bus("command.genesis.set_cmd_vel", "{\"linear_x\":0,\"_safety\":\"hold\"}");
    ck_assert(!source.wanted);
    ck_assert_uint_eq(bus.published_count, 0);
}
END_TEST

START_TEST(a_hold_that_moves_is_motion)
{
    static const char *const lies[] = {
        "{\"linear_x\":1,\"_safety\":\"hold\"}",
        "{\"linear_y\":-0.001,\"_safety\":\"hold\"}",
        "{\"angular_z\":1,\"_safety\":\"hold\"}",
        "{\"angular_y\":1,\"_safety\":\"hold\"}",
        "{\"linear_x\":1,\"data\":{\"linear_x\":0},\"_safety\":\"hold\"}",
    };

    for (size_t i = 0; i < 5; i++) {
        pass_ms(100, false);
        forget();
        from_bus("command.genesis.set_cmd_vel", lies[i]);
        ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
        ck_assert_uint_eq(counters.motion_countered, i + 1);
    }
    pass_ms(100, false);
    from_bus("command.genesis.set_alpha", "{\"alpha\":1,\"_safety\":\"hold\"}");
    ck_assert_uint_eq(counters.motion_countered, 6);
}
END_TEST

static void limit_speed(double forward, double left, double turn)
{
    tear_down();
    limits = (struct limits){.speed_max = {forward, left, turn}};
    set_up();
    connect_client();
    pass_ms(100, true);
    forget();
}

START_TEST(no_velocity_is_faster_than_the_limit_wherever_it_stands)
{
    limit_speed(0.5, 0.5, 0.5);
    assert_refused("{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"linear_x\":9,"
                   "\"data\":{\"linear_x\":0.1}}",
                   "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"error\","
                   "\"detail\":\"a velocity beside data must be the same in data\"}");
    forget();
    command("{\"action\":\"set_cmd_vel\",\"cmd_seq\":2,\"linear_x\":9,\"data\":{\"linear_x\":9}}");
    ck_assert_str_eq(published("command.genesis.set_cmd_vel")->payload,
                     "{\"action\":\"set_cmd_vel\",\"cmd_seq\":2,\"linear_x\":0.5,"
                     "\"data\":{\"linear_x\":0.5,\"linear_y\":0.0,\"angular_z\":0.0}}");
    assert_refused("{\"action\":\"set_cmd_vel\",\"cmd_seq\":3,\"data\":{\"angular_y\":-0.6}}",
                   "{\"action\":\"set_cmd_vel\",\"cmd_seq\":3,\"status\":\"error\","
                   "\"detail\":\"angular_y is over the limit of turning\"}");
    forget();
    command("{\"action\":\"set_cmd_vel\",\"cmd_seq\":4,\"data\":{\"angular_y\":-0.5}}");
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
}
END_TEST

static size_t count_heard(const char *subject)
{
    size_t count = 0;

    for (size_t i = 0; i < heard_count; i++)
        count += strcmp(heard[i].subject, subject) == 0;
    return count;
}

START_TEST(each_sender_is_told_that_it_was_cut)
{
    static const char motion[] = "\x04" MOTION;

    limit_speed(0.5, 0, 0);
    struct client *other = fanout_join(fanout, NULL, CLIENT_V1, now_ns);
    ck_assert(fanout_heard(fanout, other, now_ns));
    for (unsigned i = 0; i < 3; i++) {
        command(MOTION);
        relay_client_message(relay, other, (const uint8_t *)motion, sizeof(motion) - 1, now_ns);
    }
    ck_assert_uint_eq(count_heard("telemetry.command.limited"), 2);
    ck_assert_uint_eq(counters.commands_limited, 6);
    fanout_leave(fanout, other);
}
END_TEST

START_TEST(a_foreign_stop_counts_however_it_is_written)
{
    from_bus("command.genesis.estop", "not json");
    ck_assert_int_eq(relay_gate(relay)->mode, GATE_ESTOP);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 0);
}
END_TEST

START_TEST(telemetry_goes_to_clients_up_to_the_limit)
{
    char payload[102];

    connect_client();
    memset(payload, 'x', 101);
    payload[101] = '\0';
    from_bus("telemetry.long", payload);
    ck_assert_uint_eq(heard_count, 0);
    ck_assert_uint_eq(counters.telemetry_too_long, 1);
    payload[100] = '\0';
    from_bus("telemetry.fits", payload);
    ck_assert_str_eq(find(heard, heard_count, "telemetry.fits")->payload, payload);
}
END_TEST

START_TEST(the_legacy_slot_is_always_wanted_and_arms_the_gate)
{
    source.runs_free = true;
    frame(VIDEO_CODEC_JPEG, true);
    ck_assert(source.wanted);
    ck_assert_int_eq(relay_gate(relay)->mode, GATE_ARMED);
    relay_second(relay);
    ck_assert_uint_eq(count_published("telemetry.frame.stats"), 0); /* the sim sends its own */
    pass_ms(5200, false);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    ck_assert_uint_eq(count_published("command.genesis.estop"), 1);
}
END_TEST

START_TEST(frame_stats_are_sent_for_the_ring_while_frames_come)
{
    struct packet packet = {.keyframe = true};

    connect_client();
    forget();
    packet.video.header =
        (struct video_header){.frame_id = 42, .size = 1000, .codec = VIDEO_CODEC_H264};
    packet.stamp_ns[RING_STAGE_ENCODE_BEGIN] = 1 * MS;
    packet.stamp_ns[RING_STAGE_ENCODE_END] = 4 * MS + 500000;
    relay_packet(relay, &packet, false, now_ns);
    relay_second(relay);
    static const char expected[] =
        "{\"frame_id\":42,\"encode_ms\":3.500,\"codec\":\"h264\",\"frame_bytes\":1000}";
    ck_assert_str_eq(published("telemetry.frame.stats")->payload, expected);
    ck_assert_str_eq(find(heard, heard_count, "telemetry.frame.stats")->payload, expected);
    forget();
    relay_second(relay);
    ck_assert_uint_eq(bus.published_count, 0);
}
END_TEST

static enum gate_mode gate_mode(void)
{
    return relay_gate(relay)->mode;
}

START_TEST(another_rendition_of_the_camera_arms_the_gate_while_nobody_watches_the_default)
{
    relay_renditions_watched(relay, true, now_ns);
    ck_assert(!source.wanted);
    ck_assert_int_eq(gate_mode(), GATE_HOLD);
    relay_rendition(relay, now_ns);
    ck_assert_int_eq(gate_mode(), GATE_ARMED);
    relay_renditions_watched(relay, false, now_ns);
    ck_assert_int_eq(relay_gate(relay)->reason, GATE_REASON_NO_VIEWER);
    relay_rendition(relay, now_ns); /* trickles in */
    ck_assert_int_eq(gate_mode(), GATE_HOLD);
}
END_TEST

START_TEST(another_rendition_does_not_hide_that_the_default_one_is_stuck)
{
    connect_client();
    frame(VIDEO_CODEC_H264, false);
    relay_renditions_watched(relay, true, now_ns);
    ck_assert_int_eq(gate_mode(), GATE_ARMED);
    for (unsigned i = 0; i < 30; i++) {
        pass_ms(50, false);
        relay_rendition(relay, now_ns);
    }
    ck_assert_int_eq(gate_mode(), GATE_HOLD);
    ck_assert_int_eq(relay_gate(relay)->reason, GATE_REASON_NO_VIDEO);
    disconnect_client();
    relay_rendition(relay, now_ns);
    ck_assert_int_eq(gate_mode(), GATE_ARMED);
}
END_TEST

START_TEST(who_tells_what_is_displayed_may_not_drive_by_a_frozen_picture)
{
    static const char frozen[] = "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,"
                                 "\"status\":\"error\",\"detail\":\"picture_frozen\"}";

    connect_client();
    pass_ms(100, true);
    displayed(frame_seq);
    uint64_t shown = frame_seq;
    pass_ms(1000, true);
    forget();
    command(MOTION);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    pass_ms(50, true); /* frames come, but no newer one is shown */
    assert_refused(MOTION, frozen);
    displayed(shown);
    displayed(shown - 1);
    displayed(frame_seq + 1); /* no such frame */
    assert_refused(MOTION, frozen);
    displayed(frame_seq);
    forget();
    command(MOTION);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    ck_assert_uint_eq(counters.messages_ignored, 0);
}
END_TEST

START_TEST(who_tells_of_unknown_frames_alone_may_not_drive)
{
    connect_client();
    pass_ms(100, true);
    displayed(frame_seq + 1);
    assert_refused(MOTION, "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,"
                           "\"status\":\"error\",\"detail\":\"picture_frozen\"}");
}
END_TEST

START_TEST(odd_messages_are_counted_and_ignored)
{
    static const char *const messages[] = {"", "\x01", "\x03{}", "\x06short", "\x7f", "\x07short"};

    connect_client();
    forget();
    for (size_t i = 0; i < 6; i++)
        relay_client_message(relay, client, (const uint8_t *)messages[i], strlen(messages[i]),
                             now_ns);
    ck_assert_uint_eq(counters.messages_ignored, 6);
    ck_assert_uint_eq(bus.published_count + heard_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay");
    TCase *tcase = tcase_create("relay");

    log_init("test_relay", LOG_LEVEL_ERROR);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_client_makes_video_wanted_and_asks_for_a_keyframe);
    tcase_add_test(tcase, keyframe_requests_are_coalesced_and_the_last_is_not_lost);
    tcase_add_test(tcase, a_keyframe_that_came_need_not_be_asked_for);
    tcase_add_test(tcase, a_keyframe_that_does_not_come_is_asked_for_again);
    tcase_add_test(tcase, motion_passes_as_it_came_while_video_is_fresh);
    tcase_add_test(tcase, stale_video_holds_once_then_stops_once);
    tcase_add_test(tcase, a_change_of_codec_gives_grace);
    tcase_add_test(tcase, hold_and_stop_wait_for_the_bus_but_not_beyond_their_cause);
    tcase_add_test(tcase, a_stop_that_may_be_lost_with_the_connection_is_repeated);
    tcase_add_test(tcase, a_pressed_stop_always_passes_on_its_own_lane);
    tcase_add_test(tcase, what_is_not_motion_passes_the_closed_gate);
    tcase_add_test(tcase, refusals_name_what_could_be_read);
    tcase_add_test(tcase, settings_reach_encoder_and_bus_and_add_up);
    tcase_add_test(tcase,
                   a_clients_keyframe_request_is_coalesced_and_a_foreign_one_goes_to_the_encoder);
    tcase_add_test(tcase, foreign_motion_wants_video_and_is_countered_until_there_is_some);
    tcase_add_test(tcase, another_gates_hold_is_not_motion);
    tcase_add_test(tcase, a_hold_that_moves_is_motion);
    tcase_add_test(tcase, no_velocity_is_faster_than_the_limit_wherever_it_stands);
    tcase_add_test(tcase, each_sender_is_told_that_it_was_cut);
    tcase_add_test(tcase, a_foreign_stop_counts_however_it_is_written);
    tcase_add_test(tcase, telemetry_goes_to_clients_up_to_the_limit);
    tcase_add_test(tcase, the_legacy_slot_is_always_wanted_and_arms_the_gate);
    tcase_add_test(tcase, frame_stats_are_sent_for_the_ring_while_frames_come);
    tcase_add_test(tcase,
                   another_rendition_of_the_camera_arms_the_gate_while_nobody_watches_the_default);
    tcase_add_test(tcase, another_rendition_does_not_hide_that_the_default_one_is_stuck);
    tcase_add_test(tcase, who_tells_what_is_displayed_may_not_drive_by_a_frozen_picture);
    tcase_add_test(tcase, who_tells_of_unknown_frames_alone_may_not_drive);
    tcase_add_test(tcase, odd_messages_are_counted_and_ignored);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
