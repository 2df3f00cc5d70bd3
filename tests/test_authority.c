/* SPDX-License-Identifier: Apache-2.0 */
/* Safety layer 3: what the simulated robot may do, on a clock that the test owns. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "base/clock.h"
#include "safety/authority.h"
#include "safety/authority_report.h"

static struct authority authority;
static int64_t now_ns;
static uint64_t seq;
static struct command taken;

static void set_up(void)
{
    now_ns = 1000 * NS_PER_S;
    seq = 10;
    authority_init(&authority, NULL, now_ns);
}

static struct command velocity(double forward, double left, double turn)
{
    return (struct command){
        .action = COMMAND_SET_CMD_VEL,
        .has_cmd_seq = true,
        .cmd_seq = ++seq,
        .data.velocity = {forward, left, turn},
    };
}

static struct authority_news send(struct command command)
{
    return authority_command(&authority, &command, NULL, now_ns);
}

static struct authority_news send_action(enum command_action action)
{
    return send((struct command){.action = action, .has_cmd_seq = true, .cmd_seq = ++seq});
}

static double speed(void)
{
    return fabs(authority.velocity[0]) + fabs(authority.velocity[1]) + fabs(authority.velocity[2]);
}

/* Lets time pass tick by tick; returns whether a tick told of a timeout. */
static bool pass_ms(int64_t milliseconds)
{
    bool timed_out = false;

    for (int64_t end_ns = now_ns + milliseconds * NS_PER_MS; now_ns < end_ns;) {
        now_ns += AUTHORITY_TICK_NS;
        timed_out |= authority_tick(&authority, now_ns).timed_out;
    }
    return timed_out;
}

START_TEST(a_fresh_command_moves_the_robot)
{
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert(send(velocity(0.4, -0.1, 0.2)).accepted);
    ck_assert_int_eq(authority.gate.mode, GATE_ARMED);
    ck_assert_double_eq(authority.velocity[0], 0.4);
    ck_assert_double_eq(authority.velocity[1], -0.1);
    ck_assert_double_eq(authority.velocity[2], 0.2);
    ck_assert_uint_eq(authority.cmd_seq, seq);
}
END_TEST

START_TEST(neither_hold_nor_estop_before_the_first_command)
{
    ck_assert(!pass_ms(60000));
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert_int_eq(authority.gate.reason, GATE_REASON_STARTING);
}
END_TEST

START_TEST(silence_for_200_ms_halves_the_velocity_per_tick_to_zero)
{
    double last = 0.8;

    send(velocity(0.8, 0, 0));
    ck_assert(!pass_ms(200));
    ck_assert_double_eq(authority.velocity[0], 0.8);
    ck_assert(pass_ms(20));
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert_int_eq(authority.gate.reason, GATE_REASON_CMD_TIMEOUT);
    ck_assert(authority.decaying);
    for (unsigned ticks = 1; authority.decaying; ticks++) {
        ck_assert_double_eq(authority.velocity[0], last / 2);
        last = authority.velocity[0];
        ck_assert_double_ge(last, AUTHORITY_STILL);
        ck_assert_uint_lt(ticks, 8);
        pass_ms(20);
    }
    ck_assert_double_eq(speed(), 0);
}
END_TEST

START_TEST(a_command_during_hold_moves_again)
{
    send(velocity(0.4, 0, 0));
    pass_ms(240);
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert(send(velocity(0.3, 0, 0)).accepted);
    ck_assert_int_eq(authority.gate.mode, GATE_ARMED);
    ck_assert_double_eq(authority.velocity[0], 0.3);
    pass_ms(100);
    ck_assert_double_eq(authority.velocity[0], 0.3);
}
END_TEST

START_TEST(silence_for_two_seconds_is_a_stop_that_stays)
{
    send(velocity(0.4, 0, 0));
    pass_ms(2000);
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert(pass_ms(40));
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    ck_assert(!send(velocity(0.4, 0, 0)).accepted);
    ck_assert_double_eq(speed(), 0);
    ck_assert(send_action(COMMAND_ESTOP_CLEAR).accepted);
    ck_assert(send(velocity(0.4, 0, 0)).accepted);
    ck_assert_double_eq(authority.velocity[0], 0.4);
}
END_TEST

START_TEST(a_stop_takes_the_whole_velocity_at_once)
{
    send(velocity(0.8, 0.2, 1.0));
    ck_assert(send_action(COMMAND_ESTOP).accepted);
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    ck_assert_double_eq(speed(), 0);
    ck_assert(!authority.decaying);
}
END_TEST

START_TEST(an_old_cmd_seq_changes_nothing_and_a_far_jump_back_is_a_new_client)
{
    seq = 500;
    send(velocity(0.4, 0, 0));
    struct command old = velocity(-0.4, 0, 0);
    old.cmd_seq = 450;
    struct authority_news news = send(old);
    ck_assert(!news.accepted);
    ck_assert_int_eq(news.refused, GATE_REASON_STALE_SEQ);
    ck_assert_double_eq(authority.velocity[0], 0.4);
    old.cmd_seq = 1;
    ck_assert(send(old).accepted);
    ck_assert_double_eq(authority.velocity[0], -0.4);
}
END_TEST

START_TEST(the_gates_own_hold_and_stop_are_obeyed)
{
    send(velocity(0.4, 0, 0));
    struct authority_news news =
        send((struct command){.action = COMMAND_SET_CMD_VEL, .origin = COMMAND_FROM_GATE_HOLD});
    ck_assert(news.accepted && news.changed);
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    pass_ms(160);
    ck_assert_double_eq(speed(), 0);
    send((struct command){.action = COMMAND_ESTOP, .origin = COMMAND_FROM_GATE_ESTOP});
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
}
END_TEST

START_TEST(no_clear_while_operators_cannot_see)
{
    authority_peer(&authority, true, 0, now_ns);
    send_action(COMMAND_ESTOP);
    struct authority_news news = send_action(COMMAND_ESTOP_CLEAR);
    ck_assert(!news.accepted);
    ck_assert_int_eq(news.refused, GATE_REASON_NO_VIDEO);
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    authority_peer(&authority, false, 0, now_ns);
    ck_assert(send_action(COMMAND_ESTOP_CLEAR).accepted);
    ck_assert_int_ne(authority.gate.mode, GATE_ESTOP);
}
END_TEST

START_TEST(pause_and_reset_pass_in_any_mode)
{
    send_action(COMMAND_ESTOP);
    ck_assert(send_action(COMMAND_PAUSE).accepted);
    ck_assert(send_action(COMMAND_RESET).accepted);
    ck_assert(!send_action(COMMAND_SET_ALPHA).accepted);
    ck_assert(!send_action(COMMAND_SET_SKILL).accepted);
}
END_TEST

/* The message as the bus would bring it; returns what authority_take does. */
static int take(const char *subject, const char *payload, uint64_t epoch, int64_t sent_ns,
                struct authority_news *ret_news)
{
    struct authority_message message = {subject, payload, strlen(payload), epoch, sent_ns};

    return authority_take(&authority, &message, now_ns, &taken, ret_news);
}

START_TEST(messages_are_judged_as_they_come_from_the_bus)
{
    struct authority_news news;

    ck_assert_int_eq(
        take("command.genesis.set_cmd_vel", "{\"linear_x\":0.4,\"cmd_seq\":3}", 0, 0, &news), 0);
    ck_assert(news.accepted && news.changed && !news.detail);
    ck_assert_double_eq(authority.velocity[0], 0.4);
    ck_assert_int_eq(take("telemetry.safety.video_gate", "{\"gated\":true}", 0, 0, &news), -EAGAIN);
    ck_assert(news.changed);
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    ck_assert_int_eq(take("telemetry.other", "{}", 0, 0, &news), -ENOTSUP);
    ck_assert_int_eq(take("command.genesis.fly", "{}", 0, 0, &news), -ENOTSUP);
    ck_assert_int_eq(take("command.genesis.set_alpha", "{\"alpha\":7,\"cmd_seq\":4}", 0, 0, &news),
                     -EPROTO);
    ck_assert(!news.accepted);
    ck_assert_str_eq(news.detail, "alpha must be a number from 0 to 1");
    ck_assert_int_eq(taken.action, COMMAND_SET_ALPHA);
    ck_assert_uint_eq(taken.cmd_seq, 4);
    take("telemetry.safety.video_gate", "{\"gated\":false}", 0, 0, &news);
    take("command.genesis.set_cmd_vel", "{\"linear_x\":0.4}", 0, 0, &news);
    take("command.genesis.set_alpha", "{\"alpha\":0.7}", 0, 0, &news);
    ck_assert(news.accepted);
    ck_assert_double_eq(authority.velocity[0], 0.4); /* motion, but no velocity */
    ck_assert_int_eq(take("command.genesis.estop", "not even JSON", 0, 0, &news), 0);
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    ck_assert_uint_eq(authority.refused, 1);
}
END_TEST

START_TEST(what_was_under_way_for_too_long_or_is_of_an_older_epoch_does_not_move_it)
{
    static const char subject[] = "command.genesis.set_cmd_vel";
    static const char forward[] = "{\"linear_x\":0.4}";
    struct authority_news news;

    take(subject, forward, 7, now_ns - 201 * NS_PER_MS, &news);
    ck_assert_str_eq(news.detail, "expired");
    take(subject, "{\"linear_x\":0.4,\"ttl_ms\":50}", 7, now_ns - 51 * NS_PER_MS, &news);
    ck_assert_str_eq(news.detail, "expired");
    take(subject, forward, 7, now_ns - 200 * NS_PER_MS, &news);
    ck_assert(news.accepted);
    take(subject, forward, 6, now_ns, &news);
    ck_assert_str_eq(news.detail, "stale_epoch");
    take("telemetry.safety.video_gate", "{\"gated\":false}", 8, now_ns, &news);
    take(subject, forward, 7, now_ns, &news); /* of a connection that hung */
    ck_assert_str_eq(news.detail, "stale_epoch");
    take(subject, forward, 0, 0, &news); /* of a program that knows no epochs */
    ck_assert(news.accepted);
    ck_assert_uint_eq(authority.gate.epoch, 8);
}
END_TEST

/* The stop came by its own lane and overtook the clear, which was pressed before it. */
START_TEST(a_clear_that_a_stop_overtook_does_not_undo_it)
{
    struct authority_news news;

    take("command.genesis.set_cmd_vel", "{\"linear_x\":0.4}", 7, 0, &news);
    take("command.genesis.estop", "{}", 9, 0, &news);
    take("command.genesis.estop_clear", "{\"cmd_seq\":1}", 8, 0, &news);
    ck_assert_str_eq(news.detail, "stale_epoch");
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    take("command.genesis.estop_clear", "{\"cmd_seq\":2}", 9, 0, &news);
    ck_assert(news.accepted);
}
END_TEST

START_TEST(the_bus_that_is_gone_holds_the_robot_at_once)
{
    struct authority_config config = authority_config_default;

    config.limits.accel_max[0] = _i * 100.0; /* once with a way to the velocity, once without */
    authority_init(&authority, &config, now_ns);
    send(velocity(0.8, 0, 0));
    pass_ms(20);
    ck_assert_double_eq(speed(), 0.8);
    ck_assert(authority_bus(&authority, false, now_ns).changed);
    ck_assert_str_eq(gate_reason_name(authority.gate.reason), "no_bus");
    pass_ms(160);
    ck_assert_double_eq(speed(), 0);
    ck_assert(authority_bus(&authority, true, now_ns).changed);
    ck_assert_int_eq(authority.gate.mode, GATE_ARMED);
    pass_ms(20);
    ck_assert_double_eq(speed(), 0); /* until somebody steers again */
    ck_assert(send(velocity(0.8, 0, 0)).accepted);
}
END_TEST

START_TEST(what_the_gate_says_itself_counts_whatever_it_looks_like)
{
    struct authority_news news;

    send(velocity(0.8, 0, 0));
    take("command.genesis.set_cmd_vel", "{\"linear_x\":1,\"_safety\":\"hold\"}", 0, 0, &news);
    ck_assert(news.accepted && news.changed && !news.detail);
    ck_assert_int_eq(authority.gate.mode, GATE_HOLD);
    take("command.genesis.set_cmd_vel", "{\"linear_x\":1,\"_safety\":\"estop\"}", 0, 0, &news);
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    ck_assert_double_eq(speed(), 0);
}
END_TEST

START_TEST(limits_shape_the_way_to_a_velocity_but_not_to_a_stop)
{
    struct authority_config config = authority_config_default;

    config.limits = (struct limits){.speed_max = {0.5, 0, 0}, .accel_max = {1, 0, 0}};
    authority_init(&authority, &config, now_ns);
    ck_assert(send(velocity(2, 0.25, 0)).limited);
    ck_assert_double_eq(speed(), 0); /* it moves with the ticks */
    pass_ms(100);
    ck_assert_double_eq_tol(authority.velocity[0], 0.1, 1e-9);
    ck_assert_double_eq(authority.velocity[1], 0.25);
    for (int i = 0; i < 10; i++) {
        ck_assert(!send(velocity(0.4, 0, 0)).limited);
        pass_ms(100);
    }
    ck_assert_double_eq_tol(authority.velocity[0], 0.4, 1e-9);
    send_action(COMMAND_ESTOP);
    ck_assert_double_eq(speed(), 0);
    send_action(COMMAND_ESTOP_CLEAR);
    pass_ms(100);
    ck_assert_double_eq(speed(), 0); /* what was wanted before the stop is forgotten */
}
END_TEST

START_TEST(letting_go_of_the_deadman_takes_the_velocity_away)
{
    struct authority_config config = authority_config_default;
    struct authority_news news;

    config.gate.deadman_ns = 300 * NS_PER_MS;
    authority_init(&authority, &config, now_ns);
    take("command.genesis.set_cmd_vel", "{\"linear_x\":0.8}", 0, 0, &news);
    ck_assert_str_eq(news.detail, "deadman");
    take("command.genesis.set_cmd_vel", "{\"linear_x\":0.8,\"deadman\":true}", 0, 0, &news);
    ck_assert_double_eq(speed(), 0.8);
    take("command.genesis.set_cmd_vel", "{\"linear_x\":0.8,\"deadman\":false}", 0, 0, &news);
    ck_assert(authority.decaying);
    pass_ms(160);
    ck_assert_double_eq(speed(), 0);
}
END_TEST

static struct authority_report report;

/* The report as JSON; it must be complete and have the subject. */
static json_t *read_back(const char *subject)
{
    ck_assert_str_eq(report.subject, subject);
    ck_assert_uint_gt(report.bytes, 0);
    ck_assert_uint_eq(report.bytes, strlen(report.payload));
    json_t *object = json_loadb(report.payload, report.bytes, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_is_object(object));
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

START_TEST(safety_state_has_the_string_mode_that_clients_crash_without)
{
    authority_report_state(&authority, 42, now_ns + 1500 * NS_PER_MS, &report);
    json_t *object = read_back("telemetry.safety.state");

    ck_assert_str_eq(text_of(object, "mode"), "HOLD");
    ck_assert_str_eq(text_of(object, "reason"), "starting");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "state_id")), 42);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "since_ms")), 1500);
    json_decref(object);
    authority_report_velocity(&authority, &report);
    json_decref(read_back("telemetry.velocity.command"));
    authority_report_timeout(&authority, &report);
    json_decref(read_back("telemetry.safety.cmd_timeout"));
}
END_TEST

START_TEST(an_ack_names_its_command_and_gives_a_reason_only_for_errors)
{
    struct command command = {.action = COMMAND_RESET, .has_cmd_seq = true, .cmd_seq = 9};

    authority_report_ack(&command, NULL, &report);
    json_t *object = read_back("telemetry.command.ack");
    ck_assert_str_eq(text_of(object, "action"), "reset");
    ck_assert_str_eq(text_of(object, "status"), "ok");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "cmd_seq")), 9);
    ck_assert_ptr_null(json_object_get(object, "detail"));
    json_decref(object);

    command.has_cmd_seq = false;
    authority_report_ack(&command, "no", &report);
    object = read_back("telemetry.command.ack");
    ck_assert_str_eq(text_of(object, "status"), "error");
    ck_assert_str_eq(text_of(object, "detail"), "no");
    ck_assert(json_is_null(json_object_get(object, "cmd_seq")));
    json_decref(object);
}
END_TEST

START_TEST(only_a_clear_no_means_that_operators_can_see)
{
    static const char *const gated[] = {
        "{\"gated\":true}", "{}", "", "nonsense", "{\"gated\":0}", "{\"gated\":null}", "[false]"};

    for (size_t i = 0; i < sizeof(gated) / sizeof(gated[0]); i++)
        ck_assert_msg(authority_read_gated(gated[i], strlen(gated[i])), "%s", gated[i]);
    ck_assert(!authority_read_gated("{\"gated\":false,\"mode\":\"HOLD\"}", 29));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authority");
    TCase *tcase = tcase_create("authority");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_fresh_command_moves_the_robot);
    tcase_add_test(tcase, neither_hold_nor_estop_before_the_first_command);
    tcase_add_test(tcase, silence_for_200_ms_halves_the_velocity_per_tick_to_zero);
    tcase_add_test(tcase, a_command_during_hold_moves_again);
    tcase_add_test(tcase, silence_for_two_seconds_is_a_stop_that_stays);
    tcase_add_test(tcase, a_stop_takes_the_whole_velocity_at_once);
    tcase_add_test(tcase, an_old_cmd_seq_changes_nothing_and_a_far_jump_back_is_a_new_client);
    tcase_add_test(tcase, the_gates_own_hold_and_stop_are_obeyed);
    tcase_add_test(tcase, no_clear_while_operators_cannot_see);
    tcase_add_test(tcase, pause_and_reset_pass_in_any_mode);
    tcase_add_test(tcase, messages_are_judged_as_they_come_from_the_bus);
    tcase_add_test(tcase, what_was_under_way_for_too_long_or_is_of_an_older_epoch_does_not_move_it);
    tcase_add_test(tcase, a_clear_that_a_stop_overtook_does_not_undo_it);
    tcase_add_loop_test(tcase, the_bus_that_is_gone_holds_the_robot_at_once, 0, 2);
    tcase_add_test(tcase, what_the_gate_says_itself_counts_whatever_it_looks_like);
    tcase_add_test(tcase, limits_shape_the_way_to_a_velocity_but_not_to_a_stop);
    tcase_add_test(tcase, letting_go_of_the_deadman_takes_the_velocity_away);
    tcase_add_test(tcase, safety_state_has_the_string_mode_that_clients_crash_without);
    tcase_add_test(tcase, an_ack_names_its_command_and_gives_a_reason_only_for_errors);
    tcase_add_test(tcase, only_a_clear_no_means_that_operators_can_see);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
