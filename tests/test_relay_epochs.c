/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/relay.h: what becomes of commands when their epoch ends, whose they are, and how fast
 * they may be. The gate's own rules are tested in test_gate_epochs.c; here is what is done by them.
 */
#include "tests/relay_kit.h"

#define STOP "{\"action\":\"estop\",\"cmd_seq\":2}"
#define CLEAR "{\"action\":\"estop_clear\",\"cmd_seq\":3}"

/* Again, with other settings. */
static void restart(void)
{
    tear_down();
    set_up();
}

static void drive(void)
{
    connect_client();
    pass_ms(100, true);
    forget();
}

static void command_of_epoch(uint64_t of)
{
    char json[160];

    snprintf(json, sizeof(json),
             "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"epoch\":%llu,\"data\":{\"linear_x\":1}}",
             (unsigned long long)of);
    forget();
    command(json);
}

static void assert_ack_says(const char *detail)
{
    const struct text *ack = find(heard, heard_count, "telemetry.command.ack");

    if (!strstr(ack->payload, detail))
        ck_abort_msg("expected %s in %s", detail, ack->payload);
}

START_TEST(motion_stop_and_clear_carry_the_epoch_and_nothing_else_does)
{
    drive();
    command(MOTION);
    ck_assert_uint_eq(published("command.genesis.set_cmd_vel")->epoch, epoch());
    command("{\"action\":\"reset\"}");
    ck_assert_uint_eq(published("command.genesis.reset")->epoch, 0);
    uint64_t before = epoch();
    command(STOP);
    ck_assert_uint_eq(epoch(), before + 1);
    ck_assert_uint_eq(published("command.genesis.estop")->epoch, before + 1);
    ck_assert_uint_eq(bus.epoch, before + 1); /* what waits there is dropped */
    command(CLEAR);
    ck_assert_uint_eq(published("command.genesis.estop_clear")->epoch, before + 1);
}
END_TEST

START_TEST(the_gates_own_stop_carries_its_epoch)
{
    drive();
    pass_ms(5100, false);
    ck_assert_uint_eq(published("command.genesis.estop")->epoch, epoch());
    /* The hold before it, and the word on the video, are of the epoch in which they were said. */
    ck_assert_uint_eq(published("command.genesis.set_cmd_vel")->epoch, epoch() - 1);
    ck_assert_uint_eq(published("telemetry.safety.video_gate")->epoch, epoch() - 1);
}
END_TEST

START_TEST(a_restart_begins_a_newer_epoch)
{
    drive();
    uint64_t before = epoch();
    restart();
    ck_assert_uint_gt(epoch(), before);
}
END_TEST

START_TEST(who_tells_an_epoch_is_refused_when_it_is_over)
{
    drive();
    uint64_t before = epoch();
    command_of_epoch(before);
    published("command.genesis.set_cmd_vel");
    bus.state = BUS_CONNECTING;
    pass_ms(50, true);
    bus.state = BUS_CONNECTED;
    pass_ms(50, true);
    ck_assert_uint_eq(epoch(), before + 1);
    command_of_epoch(before);
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 0);
    assert_ack_says("stale_epoch");
    command_of_epoch(epoch());
    published("command.genesis.set_cmd_vel");
}
END_TEST

START_TEST(a_reconnect_too_short_to_be_seen_ends_the_epoch_all_the_same)
{
    drive();
    uint64_t before = epoch();
    bus.stop_reconnects++;
    pass_ms(50, true);
    ck_assert_uint_eq(epoch(), before + 1);
    ck_assert_int_eq(relay_gate(relay)->mode, GATE_ARMED);
}
END_TEST

START_TEST(the_epoch_ends_when_the_driver_leaves_but_not_with_a_spectator)
{
    drive();
    uint64_t before = epoch();
    struct client *driver = client;
    command(MOTION);
    connect_client();
    disconnect_client();
    ck_assert_uint_eq(epoch(), before);
    client = driver;
    disconnect_client();
    ck_assert_uint_eq(epoch(), before + 1);
}
END_TEST

/* Another codec, an encoder that starts anew (as index 1), another source. */
START_TEST(the_epoch_ends_when_the_encoder_is_switched)
{
    drive();
    uint64_t before = epoch();
    frame_seq += _i == 1 ? 100000 : 5; /* a few lost frames are no switch */
    frame(_i == 0 ? VIDEO_CODEC_H264 : VIDEO_CODEC_JPEG, _i == 2);
    ck_assert_uint_eq(epoch(), before + (_i < 3));
}
END_TEST

START_TEST(clients_of_v2_are_told_the_epoch_and_others_are_not)
{
    char expected[64];

    drive();
    struct client *first = client;
    connect_kind(CLIENT_V2);
    snprintf(expected, sizeof(expected), "{\"epoch\":%llu}", (unsigned long long)epoch());
    ck_assert_str_eq(find(heard, heard_count, "telemetry.safety.epoch")->payload, expected);
    forget();
    command(STOP);
    snprintf(expected, sizeof(expected), "{\"epoch\":%llu}", (unsigned long long)epoch());
    ck_assert_str_eq(find(heard, heard_count, "telemetry.safety.epoch")->payload, expected);
    ck_assert_uint_eq(heard_count, 1);
    disconnect_client();
    client = first;
}
END_TEST

START_TEST(a_robot_at_a_later_epoch_is_caught_up_with)
{
    char json[64];
    uint64_t later = epoch() + 1000000;

    drive();
    from_bus("telemetry.safety.state", "{\"epoch\":9007199254740992}");
    from_bus("telemetry.safety.state", "{\"epoch\":1}");
    from_bus("telemetry.safety.state", "{\"epoch\":\"soon\"}");
    ck_assert_uint_lt(epoch(), later);
    snprintf(json, sizeof(json), "{\"mode\":\"HOLD\",\"epoch\":%llu}", (unsigned long long)later);
    from_bus("telemetry.safety.state", json);
    ck_assert_uint_eq(epoch(), later + 1);
}
END_TEST

START_TEST(while_the_bus_is_away_the_gate_is_closed)
{
    drive();
    bus.state = BUS_CONNECTING;
    pass_ms(50, true);
    ck_assert_str_eq(gate_reason_name(relay_gate(relay)->reason), "no_bus");
    assert_refused(MOTION, "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"error\","
                           "\"detail\":\"no_bus\"}");
    bus.stop_reconnects++; /* one lane is back, the other is not */
    pass_ms(50, true);
    ck_assert_str_eq(gate_reason_name(relay_gate(relay)->reason), "no_bus");
    bus.state = BUS_CONNECTED;
    pass_ms(50, true);
    command(MOTION);
    published("command.genesis.set_cmd_vel");
}
END_TEST

START_TEST(a_command_older_than_its_ttl_is_refused)
{
    char json[200];

    drive();
    for (int late_ms = 0; late_ms < 2; late_ms++) {
        forget();
        snprintf(json, sizeof(json),
                 "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"ttl_ms\":200,\"sent_ns\":%lld}",
                 (long long)(now_ns - (200 + late_ms) * MS));
        command(json);
        ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), late_ms == 0);
    }
    assert_ack_says("expired");
}
END_TEST

START_TEST(the_lease_decides_who_drives_and_its_change_ends_the_epoch)
{
    static char any; /* only whether there is an auth matters here */

    tokens.auth = (struct auth *)&any;
    tokens.commands_per_s = 1000;
    restart();
    drive();
    client->role = AUTH_OPERATOR;
    client->allowance = 1000;
    uint64_t before = epoch();
    command(MOTION); /* he gets the lease, being the first */
    published("command.genesis.set_cmd_vel");
    ck_assert_uint_eq(epoch(), before + 1);

    struct client *ada = client;
    connect_client();
    client->role = AUTH_OPERATOR;
    client->allowance = 1000;
    forget();
    command(MOTION);
    assert_ack_says("another operator holds the lease");
    ck_assert_uint_eq(counters.commands_forbidden, 1);
    tokens.holder = client; /* takes it over */
    pass_ms(50, true);
    ck_assert_uint_eq(epoch(), before + 2);
    command_of_epoch(before + 1); /* in the name of the one before */
    assert_ack_says("stale_epoch");
    forget();
    command(MOTION);
    published("command.genesis.set_cmd_vel");
    tokens.holder = NULL;
    disconnect_client();
    client = ada;
}
END_TEST

START_TEST(with_a_deadman_motion_passes_only_while_it_is_held)
{
    deadman_ns = 300 * MS;
    restart();
    drive();
    assert_refused(MOTION, "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"error\","
                           "\"detail\":\"deadman\"}");
    forget();
    command("{\"action\":\"set_cmd_vel\",\"deadman\":true}");
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    forget();
    command("{\"action\":\"set_cmd_vel\",\"deadman\":false}");
    const struct text *hold = published("command.genesis.set_cmd_vel");
    ck_assert_ptr_nonnull(strstr(hold->payload, "\"_safety\":\"hold\""));
    ck_assert_uint_eq(count_published("command.genesis.set_cmd_vel"), 1);
    assert_ack_says("deadman");
}
END_TEST

START_TEST(a_velocity_over_the_limit_is_cut_and_its_sender_told_once_a_second)
{
    limits = (struct limits){.speed_max = {0.5, 0, 0}};
    restart();
    drive();
    command(MOTION);
    ck_assert_ptr_nonnull(
        strstr(published("command.genesis.set_cmd_vel")->payload, "\"linear_x\":0.5"));
    const struct text *told = find(heard, heard_count, "telemetry.command.limited");
    ck_assert_ptr_nonnull(strstr(told->payload, "\"linear_x\":0.5"));
    forget();
    command(MOTION);
    ck_assert_uint_eq(heard_count, 0);
    ck_assert_uint_eq(counters.commands_limited, 2);
    pass_ms(1000, true);
    command(MOTION);
    find(heard, heard_count, "telemetry.command.limited");
}
END_TEST

START_TEST(the_time_to_the_robots_answer_is_measured)
{
    static const char ack[] = "{\"action\":\"set_cmd_vel\",\"cmd_seq\":1,\"status\":\"ok\"}";

    memset(&metrics, 0, sizeof(metrics));
    drive();
    command(MOTION);
    now_ns += 7 * MS;
    from_bus("telemetry.command.ack", "{\"action\":\"set_cmd_vel\",\"cmd_seq\":9}");
    from_bus("telemetry.command.ack", "{\"action\":\"set_alpha\",\"cmd_seq\":1}");
    from_bus("telemetry.command.ack", "garbage");
    ck_assert_uint_eq(metrics.acks.count, 0);
    from_bus("telemetry.command.ack", ack);
    from_bus("telemetry.command.ack", ack); /* a second answer to the same is none */
    ck_assert_uint_eq(metrics.acks.count, 1);
    ck_assert_int_eq(metrics.acks.sum_ns, 7 * MS);
    command(MOTION);
    now_ns += 1001 * MS; /* too late to be one */
    from_bus("telemetry.command.ack", ack);
    ck_assert_uint_eq(metrics.acks.count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay epochs");
    TCase *tcase = tcase_create("epochs");

    log_init("test_relay_epochs", LOG_LEVEL_ERROR);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, motion_stop_and_clear_carry_the_epoch_and_nothing_else_does);
    tcase_add_test(tcase, the_gates_own_stop_carries_its_epoch);
    tcase_add_test(tcase, a_restart_begins_a_newer_epoch);
    tcase_add_test(tcase, who_tells_an_epoch_is_refused_when_it_is_over);
    tcase_add_test(tcase, a_reconnect_too_short_to_be_seen_ends_the_epoch_all_the_same);
    tcase_add_test(tcase, the_epoch_ends_when_the_driver_leaves_but_not_with_a_spectator);
    tcase_add_loop_test(tcase, the_epoch_ends_when_the_encoder_is_switched, 0, 4);
    tcase_add_test(tcase, clients_of_v2_are_told_the_epoch_and_others_are_not);
    tcase_add_test(tcase, a_robot_at_a_later_epoch_is_caught_up_with);
    tcase_add_test(tcase, while_the_bus_is_away_the_gate_is_closed);
    tcase_add_test(tcase, a_command_older_than_its_ttl_is_refused);
    tcase_add_test(tcase, the_lease_decides_who_drives_and_its_change_ends_the_epoch);
    tcase_add_test(tcase, with_a_deadman_motion_passes_only_while_it_is_held);
    tcase_add_test(tcase, a_velocity_over_the_limit_is_cut_and_its_sender_told_once_a_second);
    tcase_add_test(tcase, the_time_to_the_robots_answer_is_measured);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
