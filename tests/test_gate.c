/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate at its limits, and against a second, simpler model of itself under random events
 * (prove/gate_walk.h; ./run prove gate walks farther).
 * SIMCAST_SEED repeats a random run, SIMCAST_TEST_EVENTS makes it longer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "safety/gate.h"
#include "tests/prove/gate_walk.h"
#include "tests/support.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define T0 (100 * S)

static struct gate gate;
static const struct gate_config *config;

static struct gate_actions step(enum gate_event_kind kind, int64_t at_ns)
{
    return gate_step(&gate, config, &(struct gate_event){.kind = kind}, T0 + at_ns);
}

static struct gate_actions velocity(int64_t at_ns)
{
    return gate_step(&gate, config,
                     &(struct gate_event){.kind = GATE_EVENT_MOTION, .is_velocity = true},
                     T0 + at_ns);
}

static struct gate_actions velocity_seq(uint64_t cmd_seq, int64_t at_ns)
{
    return gate_step(&gate, config,
                     &(struct gate_event){.kind = GATE_EVENT_MOTION,
                                          .is_velocity = true,
                                          .has_cmd_seq = true,
                                          .cmd_seq = cmd_seq},
                     T0 + at_ns);
}

static void expect(enum gate_mode mode, enum gate_reason reason)
{
    ck_assert_str_eq(gate_mode_name(gate.mode), gate_mode_name(mode));
    ck_assert_str_eq(gate_reason_name(gate.reason), gate_reason_name(reason));
}

static void start_transport(void)
{
    config = &gate_config_transport;
    gate_init(&gate, T0);
}

static void start_simulator(void)
{
    config = &gate_config_simulator;
    gate_init(&gate, T0);
}

static void arm_transport(void)
{
    start_transport();
    step(GATE_EVENT_WANTED, 0);
    step(GATE_EVENT_FRAME, 0);
    expect(GATE_ARMED, GATE_REASON_NONE);
}

START_TEST(starts_closed_and_never_escalates_before_the_first_frame)
{
    start_transport();
    expect(GATE_HOLD, GATE_REASON_STARTING);
    ck_assert_int_eq(gate_video_age_ns(&gate, T0), -1);
    step(GATE_EVENT_WANTED, 0);
    struct gate_actions actions = step(GATE_EVENT_TICK, 3600 * S);
    expect(GATE_HOLD, GATE_REASON_STARTING);
    ck_assert(!actions.publish_hold && !actions.publish_estop);
    actions = velocity(3600 * S);
    ck_assert(!actions.pass);
    ck_assert_int_eq(actions.refused, GATE_REASON_STARTING);
}
END_TEST

START_TEST(arms_on_the_first_wanted_frame_only)
{
    start_transport();
    step(GATE_EVENT_FRAME, 0);
    expect(GATE_HOLD, GATE_REASON_STARTING);
    step(GATE_EVENT_WANTED, 1);
    expect(GATE_HOLD, GATE_REASON_STARTING);
    ck_assert(step(GATE_EVENT_FRAME, 2).changed);
    expect(GATE_ARMED, GATE_REASON_NONE);
    ck_assert_int_eq(gate.since_ns, T0 + 2);
    ck_assert(velocity(3).pass);
    ck_assert_int_eq(gate_video_age_ns(&gate, T0 + 5), 3);
}
END_TEST

START_TEST(holds_once_after_one_second_and_recovers_on_a_frame)
{
    arm_transport();
    ck_assert(!step(GATE_EVENT_TICK, 1 * S).changed);
    ck_assert(gate_video_fresh(&gate, config, T0 + 1 * S));
    ck_assert(!gate_video_fresh(&gate, config, T0 + 1 * S + 1));
    ck_assert(step(GATE_EVENT_TICK, 1 * S + 1).publish_hold);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    ck_assert(!step(GATE_EVENT_TICK, 2 * S).publish_hold);
    ck_assert_int_eq(velocity(2 * S).refused, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_FRAME, 3 * S);
    expect(GATE_ARMED, GATE_REASON_NONE);
    ck_assert(velocity(3 * S).pass);
}
END_TEST

START_TEST(refuses_motion_that_comes_before_the_late_tick)
{
    arm_transport();
    struct gate_actions actions = velocity(1 * S + 1);
    ck_assert(!actions.pass);
    ck_assert(actions.publish_hold);
}
END_TEST

START_TEST(stops_after_five_seconds_and_stays_latched_when_video_is_back)
{
    arm_transport();
    ck_assert(!step(GATE_EVENT_TICK, 5 * S).publish_estop);
    ck_assert(step(GATE_EVENT_TICK, 5 * S + 1).publish_estop);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
    ck_assert(!step(GATE_EVENT_TICK, 6 * S).publish_estop);
    step(GATE_EVENT_FRAME, 7 * S);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
    ck_assert(gate_video_fresh(&gate, config, T0 + 7 * S));
    ck_assert(!velocity(7 * S).pass);
    ck_assert(step(GATE_EVENT_ESTOP_CLEAR, 7 * S).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
}
END_TEST

START_TEST(passes_a_clear_on_but_stays_latched_while_video_is_stale)
{
    arm_transport();
    step(GATE_EVENT_TICK, 6 * S);
    struct gate_actions actions = step(GATE_EVENT_ESTOP_CLEAR, 6 * S);
    ck_assert(actions.pass);
    ck_assert(!actions.changed);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(gives_grace_right_after_a_codec_change)
{
    arm_transport();
    gate_step(&gate, config, &(struct gate_event){.kind = GATE_EVENT_FRAME, .codec_changed = true},
              T0);
    step(GATE_EVENT_FRAME, 2 * S); /* still within the grace */
    step(GATE_EVENT_TICK, 2 * S + 7 * S);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_TICK, 2 * S + 7 * S + 1);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);

    arm_transport();
    gate_step(&gate, config, &(struct gate_event){.kind = GATE_EVENT_FRAME, .codec_changed = true},
              T0);
    step(GATE_EVENT_FRAME, 1 * S);
    step(GATE_EVENT_FRAME, 2 * S + 1); /* the change is history */
    step(GATE_EVENT_TICK, 2 * S + 1 + 5 * S + 1);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(holds_without_escalation_while_nobody_watches)
{
    arm_transport();
    ck_assert(step(GATE_EVENT_UNWANTED, 1 * S).publish_hold);
    expect(GATE_HOLD, GATE_REASON_NO_VIEWER);
    step(GATE_EVENT_FRAME, 1 * S + 1); /* a straggler arms nothing */
    expect(GATE_HOLD, GATE_REASON_NO_VIEWER);
    step(GATE_EVENT_TICK, 1000 * S);
    expect(GATE_HOLD, GATE_REASON_NO_VIEWER);
    step(GATE_EVENT_WANTED, 1000 * S);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_WANTED, 1004 * S); /* a repeat does not restart the clock */
    step(GATE_EVENT_TICK, 1005 * S);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_TICK, 1005 * S + 1);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(keeps_an_estop_while_nobody_watches)
{
    arm_transport();
    ck_assert(step(GATE_EVENT_ESTOP, 1).pass);
    step(GATE_EVENT_UNWANTED, 2);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    ck_assert(step(GATE_EVENT_ESTOP_CLEAR, 3).pass);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
}
END_TEST

START_TEST(passes_every_estop_and_does_not_repeat_it)
{
    arm_transport();
    struct gate_actions actions = step(GATE_EVENT_ESTOP, 1);
    ck_assert(actions.pass);
    ck_assert(!actions.publish_estop);
    ck_assert(step(GATE_EVENT_ESTOP, 2).pass);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
}
END_TEST

START_TEST(keeps_the_first_cause_of_a_stop)
{
    arm_transport();
    step(GATE_EVENT_ESTOP, 1);
    step(GATE_EVENT_TICK, 6 * S); /* the video stopped, too */
    step((enum gate_event_kind)77, 6 * S);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    ck_assert_int_eq(gate.since_ns, T0 + 1);
}
END_TEST

START_TEST(answers_motion_during_a_stop_with_its_cause)
{
    const struct gate_event late = {
        .kind = GATE_EVENT_MOTION, .is_velocity = true, .age_ns = 2, .ttl_ns = 1};

    arm_transport();
    step(GATE_EVENT_ESTOP, 1);
    ck_assert_int_eq(velocity(2).refused, GATE_REASON_OPERATOR);
    ck_assert_int_eq(gate_step(&gate, config, &late, T0 + 2).refused, GATE_REASON_OPERATOR);
}
END_TEST

START_TEST(treats_an_unknown_event_as_a_stop)
{
    arm_transport();
    struct gate_actions actions = step((enum gate_event_kind)77, 1);
    ck_assert(actions.publish_estop);
    ck_assert(!actions.pass);
    expect(GATE_ESTOP, GATE_REASON_UNKNOWN_EVENT);
}
END_TEST

START_TEST(lets_no_time_pass_when_the_clock_runs_backwards)
{
    arm_transport();
    step(GATE_EVENT_TICK, 900 * MS);
    step(GATE_EVENT_FRAME, 100 * MS); /* counts as 900 ms */
    step(GATE_EVENT_TICK, 1900 * MS);
    expect(GATE_ARMED, GATE_REASON_NONE);
    step(GATE_EVENT_TICK, 1900 * MS + 1);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_TICK, 0);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(closes_when_the_clock_jumps_to_the_end_of_time)
{
    config = &gate_config_transport;
    gate_init(&gate, INT64_MIN);
    gate_step(&gate, config, &(struct gate_event){.kind = GATE_EVENT_WANTED}, INT64_MIN);
    gate_step(&gate, config, &(struct gate_event){.kind = GATE_EVENT_FRAME}, INT64_MIN);
    gate_step(&gate, config, &(struct gate_event){.kind = GATE_EVENT_TICK}, INT64_MAX);
    expect(GATE_ESTOP, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(refuses_who_sees_a_frozen_picture_and_nobody_else)
{
    struct gate_event blind = {.kind = GATE_EVENT_MOTION,
                               .is_velocity = true,
                               .tells_display = true,
                               .picture_age_ns = 1 * S + 1};
    struct gate_event sees = blind;

    sees.picture_age_ns = 1 * S;
    arm_transport();
    struct gate_actions actions = gate_step(&gate, config, &blind, T0);
    ck_assert_int_eq(actions.refused, GATE_REASON_PICTURE_FROZEN);
    ck_assert_str_eq(gate_reason_name(actions.refused), "picture_frozen");
    ck_assert(!actions.changed && !actions.publish_hold);
    expect(GATE_ARMED, GATE_REASON_NONE);
    ck_assert(gate_step(&gate, config, &sees, T0).pass);
    ck_assert(velocity(0).pass); /* from one who does not tell */
    ck_assert_int_eq(gate_step(&gate, config, &blind, T0 + 2 * S).refused, GATE_REASON_NO_VIDEO);
}
END_TEST

START_TEST(refuses_expired_motion_on_both_layers)
{
    const struct gate_event late = {
        .kind = GATE_EVENT_MOTION, .is_velocity = true, .age_ns = 101 * MS, .ttl_ns = 100 * MS};
    struct gate_event in_time = late;

    in_time.age_ns = 100 * MS;
    arm_transport();
    ck_assert_int_eq(gate_step(&gate, config, &late, T0).refused, GATE_REASON_EXPIRED);
    ck_assert(gate_step(&gate, config, &in_time, T0).pass);
    start_simulator();
    ck_assert_int_eq(gate_step(&gate, config, &late, T0).refused, GATE_REASON_EXPIRED);
    expect(GATE_HOLD, GATE_REASON_STARTING);
    ck_assert(gate_step(&gate, config, &in_time, T0).pass);
}
END_TEST

START_TEST(runs_no_command_timer_before_the_first_velocity)
{
    start_simulator();
    step(GATE_EVENT_TICK, 3600 * S);
    expect(GATE_HOLD, GATE_REASON_STARTING);
    struct gate_actions actions = step(GATE_EVENT_MOTION, 3600 * S); /* set_alpha */
    ck_assert_int_eq(actions.refused, GATE_REASON_STARTING);
    ck_assert(velocity(3600 * S).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
    ck_assert(step(GATE_EVENT_MOTION, 3600 * S).pass);
}
END_TEST

START_TEST(holds_after_200_ms_and_stops_after_2_s_without_velocity)
{
    start_simulator();
    velocity(0);
    step(GATE_EVENT_MOTION, 150 * MS); /* set_alpha is no velocity */
    ck_assert(!step(GATE_EVENT_TICK, 200 * MS).changed);
    ck_assert(step(GATE_EVENT_TICK, 200 * MS + 1).publish_hold);
    expect(GATE_HOLD, GATE_REASON_CMD_TIMEOUT);
    ck_assert_int_eq(step(GATE_EVENT_MOTION, 300 * MS).refused, GATE_REASON_CMD_TIMEOUT);
    struct gate_actions actions = velocity(1 * S);
    ck_assert(actions.pass);
    ck_assert(!actions.publish_hold);
    expect(GATE_ARMED, GATE_REASON_NONE);
    step(GATE_EVENT_TICK, 3 * S);
    expect(GATE_HOLD, GATE_REASON_CMD_TIMEOUT);
    ck_assert(step(GATE_EVENT_TICK, 3 * S + 1).publish_estop);
    expect(GATE_ESTOP, GATE_REASON_CMD_TIMEOUT);
    ck_assert(!velocity(3 * S + 2).pass);
}
END_TEST

START_TEST(rests_the_command_timers_after_a_clear)
{
    start_simulator();
    velocity(0);
    step(GATE_EVENT_TICK, 3 * S);
    expect(GATE_ESTOP, GATE_REASON_CMD_TIMEOUT);
    ck_assert(step(GATE_EVENT_ESTOP_CLEAR, 4 * S).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
    step(GATE_EVENT_TICK, 3600 * S);
    expect(GATE_ARMED, GATE_REASON_NONE);
    velocity(3600 * S);
    step(GATE_EVENT_TICK, 3601 * S);
    expect(GATE_HOLD, GATE_REASON_CMD_TIMEOUT);
}
END_TEST

START_TEST(refuses_a_cmd_seq_that_is_not_newer_except_in_a_new_session)
{
    start_simulator();
    ck_assert(velocity_seq(1000, 0).pass);
    ck_assert_int_eq(velocity_seq(1000, 1).refused, GATE_REASON_STALE_SEQ);
    ck_assert_int_eq(velocity_seq(900, 1).refused, GATE_REASON_STALE_SEQ);
    ck_assert(velocity_seq(1001, 1).pass);
    ck_assert(velocity(1).pass);
    ck_assert(velocity_seq(900, 2).pass); /* 101 back */
    ck_assert(velocity_seq(UINT64_MAX, 3).pass);
    ck_assert(velocity_seq(0, 4).pass);
}
END_TEST

START_TEST(a_stale_velocity_does_not_feed_the_timer)
{
    start_simulator();
    velocity_seq(10, 0);
    velocity_seq(10, 200 * MS);
    step(GATE_EVENT_TICK, 200 * MS + 1);
    expect(GATE_HOLD, GATE_REASON_CMD_TIMEOUT);
}
END_TEST

START_TEST(a_refused_cmd_seq_is_not_used_up)
{
    start_simulator();
    velocity_seq(1, 0);
    step(GATE_EVENT_PEER_GATED, 1);
    ck_assert_int_eq(velocity_seq(2, 2).refused, GATE_REASON_NO_VIDEO);
    step(GATE_EVENT_PEER_UNGATED, 3);
    ck_assert(velocity_seq(2, 4).pass);
}
END_TEST

START_TEST(obeys_the_transport_gate)
{
    start_simulator();
    velocity(0);
    ck_assert(step(GATE_EVENT_PEER_HOLD, 1).publish_hold);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO);
    ck_assert(velocity(2).pass);
    ck_assert(step(GATE_EVENT_PEER_GATED, 3).publish_hold);
    ck_assert(!velocity(4).pass);
    step(GATE_EVENT_PEER_UNGATED, 5);
    expect(GATE_HOLD, GATE_REASON_NO_VIDEO); /* until somebody steers again */
    ck_assert(velocity(6).pass);
}
END_TEST

START_TEST(refuses_to_clear_while_the_operator_cannot_see)
{
    start_simulator();
    velocity(0);
    step(GATE_EVENT_PEER_GATED, 1);
    step(GATE_EVENT_ESTOP, 2);
    struct gate_actions actions = step(GATE_EVENT_ESTOP_CLEAR, 3);
    ck_assert(!actions.pass);
    ck_assert_int_eq(actions.refused, GATE_REASON_NO_VIDEO);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    step(GATE_EVENT_PEER_UNGATED, 4);
    ck_assert(step(GATE_EVENT_ESTOP_CLEAR, 5).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
}
END_TEST

START_TEST(agrees_with_the_model_on_random_events)
{
    struct gate_kind kind = {.video = _i % 2 == 0, .strict = _i >= 2};
    const char *longer = getenv("SIMCAST_TEST_EVENTS");
    uint64_t events = longer ? strtoull(longer, NULL, 0) : 2000000;
    struct gate_walk_tally tally = {0};

    uint64_t seed = support_seed(kind.video ? "gate, layer 2" : "gate, layer 3");
    const char *fault = gate_walk(kind, seed, events, &tally);
    if (fault)
        ck_abort_msg("event %" PRIu64 ": %s", tally.events, fault);
    printf("  %" PRIu64 " events: motion passed %" PRIu64 ", refused %" PRIu64 "; holds %" PRIu64
           ", estops %" PRIu64 ", cleared %" PRIu64 ", epochs %" PRIu64 "\n",
           events, tally.passed, tally.refused, tally.holds, tally.estops, tally.cleared,
           tally.epochs);
    /* A run that never opens or never closes the gate proves nothing. */
    ck_assert_uint_gt(tally.passed, events / 100);
    ck_assert_uint_gt(tally.refused, events / 100);
    ck_assert_uint_gt(tally.holds, events / 1000);
    ck_assert_uint_gt(tally.estops, events / 1000);
    ck_assert_uint_gt(tally.cleared, events / 1000);
    ck_assert_uint_gt(tally.epochs, events / 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *transport = tcase_create("transport");
    TCase *simulator = tcase_create("simulator");
    TCase *random_case = tcase_create("random");

    tcase_add_test(transport, starts_closed_and_never_escalates_before_the_first_frame);
    tcase_add_test(transport, arms_on_the_first_wanted_frame_only);
    tcase_add_test(transport, holds_once_after_one_second_and_recovers_on_a_frame);
    tcase_add_test(transport, refuses_motion_that_comes_before_the_late_tick);
    tcase_add_test(transport, stops_after_five_seconds_and_stays_latched_when_video_is_back);
    tcase_add_test(transport, passes_a_clear_on_but_stays_latched_while_video_is_stale);
    tcase_add_test(transport, gives_grace_right_after_a_codec_change);
    tcase_add_test(transport, holds_without_escalation_while_nobody_watches);
    tcase_add_test(transport, keeps_an_estop_while_nobody_watches);
    tcase_add_test(transport, passes_every_estop_and_does_not_repeat_it);
    tcase_add_test(transport, keeps_the_first_cause_of_a_stop);
    tcase_add_test(transport, answers_motion_during_a_stop_with_its_cause);
    tcase_add_test(transport, treats_an_unknown_event_as_a_stop);
    tcase_add_test(transport, lets_no_time_pass_when_the_clock_runs_backwards);
    tcase_add_test(transport, closes_when_the_clock_jumps_to_the_end_of_time);
    tcase_add_test(transport, refuses_who_sees_a_frozen_picture_and_nobody_else);
    tcase_add_test(simulator, refuses_expired_motion_on_both_layers);
    tcase_add_test(simulator, runs_no_command_timer_before_the_first_velocity);
    tcase_add_test(simulator, holds_after_200_ms_and_stops_after_2_s_without_velocity);
    tcase_add_test(simulator, rests_the_command_timers_after_a_clear);
    tcase_add_test(simulator, refuses_a_cmd_seq_that_is_not_newer_except_in_a_new_session);
    tcase_add_test(simulator, a_stale_velocity_does_not_feed_the_timer);
    tcase_add_test(simulator, a_refused_cmd_seq_is_not_used_up);
    tcase_add_test(simulator, obeys_the_transport_gate);
    tcase_add_test(simulator, refuses_to_clear_while_the_operator_cannot_see);
    tcase_add_loop_test(random_case, agrees_with_the_model_on_random_events, 0, 4);
    tcase_set_timeout(random_case, 600);
    suite_add_tcase(suite, transport);
    suite_add_tcase(suite, simulator);
    suite_add_tcase(suite, random_case);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
