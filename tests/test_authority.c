/* SPDX-License-Identifier: Apache-2.0 */
/* Safety layer 3: what the simulated robot may do, on a clock that the test owns. */
#include <math.h>

#include <check.h>

#include "base/clock.h"
#include "sim/authority.h"

static struct authority authority;
static int64_t now_ns;
static uint64_t seq;

static void set_up(void)
{
    now_ns = 1000 * NS_PER_S;
    seq = 10;
    authority_init(&authority, now_ns);
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
    return authority_command(&authority, &command, now_ns);
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
    authority_peer(&authority, true, now_ns);
    send_action(COMMAND_ESTOP);
    struct authority_news news = send_action(COMMAND_ESTOP_CLEAR);
    ck_assert(!news.accepted);
    ck_assert_int_eq(news.refused, GATE_REASON_NO_VIDEO);
    ck_assert_int_eq(authority.gate.mode, GATE_ESTOP);
    authority_peer(&authority, false, now_ns);
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
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
