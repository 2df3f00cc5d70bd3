/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may command the gate, and how long a command means what its sender meant: epochs, the
 * operator's lease, the deadman and the state of the bus. Time is the tests' own.
 */
#include <stdlib.h>

#include <check.h>

#include "safety/gate.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define T0 (100 * S)
#define FIRST_EPOCH 1000
#define ADA 7
#define BOB 8

static struct gate gate;
static struct gate_config config;

static struct gate_actions apply(struct gate_event event, int64_t at_ns)
{
    return gate_step(&gate, &config, &event, T0 + at_ns);
}

static struct gate_actions step(enum gate_event_kind kind, int64_t at_ns)
{
    return apply((struct gate_event){.kind = kind}, at_ns);
}

static struct gate_actions motion(struct gate_event event, int64_t at_ns)
{
    event.kind = GATE_EVENT_MOTION;
    event.is_velocity = true;
    return apply(event, at_ns);
}

static struct gate_actions motion_of_epoch(uint64_t epoch, int64_t at_ns)
{
    return motion((struct gate_event){.epoch = epoch}, at_ns);
}

static struct gate_actions clear_of_epoch(uint64_t epoch, int64_t at_ns)
{
    return apply((struct gate_event){.kind = GATE_EVENT_ESTOP_CLEAR, .epoch = epoch}, at_ns);
}

static struct gate_actions lease(uint64_t holder, int64_t at_ns)
{
    return apply((struct gate_event){.kind = GATE_EVENT_LEASE, .sender = holder}, at_ns);
}

static void expect(enum gate_mode mode, enum gate_reason reason)
{
    ck_assert_str_eq(gate_mode_name(gate.mode), gate_mode_name(mode));
    ck_assert_str_eq(gate_reason_name(gate.reason), gate_reason_name(reason));
}

static void expect_refused(struct gate_actions actions, enum gate_reason reason)
{
    ck_assert(!actions.pass);
    ck_assert_str_eq(gate_reason_name(actions.refused), gate_reason_name(reason));
}

/* Layer 2, open, in FIRST_EPOCH. */
static void start_transport(void)
{
    config = gate_config_transport;
    gate_init(&gate, T0);
    apply((struct gate_event){.kind = GATE_EVENT_EPOCH, .epoch = FIRST_EPOCH}, 0);
    step(GATE_EVENT_WANTED, 0);
    step(GATE_EVENT_FRAME, 0);
    expect(GATE_ARMED, GATE_REASON_NONE);
    ck_assert_uint_eq(gate.epoch, FIRST_EPOCH);
}

static void start_simulator(void)
{
    config = gate_config_simulator;
    gate_init(&gate, T0);
}

/* Each thing that ends an epoch, as loop index. */
static const struct gate_event enders[][2] = {
    {{.kind = GATE_EVENT_BUS_DOWN}, {.kind = GATE_EVENT_BUS_UP}},
    {{.kind = GATE_EVENT_TICK}, {.kind = GATE_EVENT_FRAME, .codec_changed = true}},
    {{.kind = GATE_EVENT_TICK}, {.kind = GATE_EVENT_LEASE, .sender = ADA}},
    {{.kind = GATE_EVENT_TICK}, {.kind = GATE_EVENT_GONE}},
    {{.kind = GATE_EVENT_ESTOP}, {.kind = GATE_EVENT_ESTOP_CLEAR}},
};
#define ENDERS ((int)(sizeof(enders) / sizeof(enders[0])))

START_TEST(motion_of_an_epoch_that_ended_is_refused)
{
    start_transport();
    ck_assert(motion_of_epoch(FIRST_EPOCH, 1).pass);
    bool ended = apply(enders[_i][0], 2).epoch_ended;
    ck_assert_int_ne(ended, apply(enders[_i][1], 3).epoch_ended); /* once */
    ck_assert_uint_eq(gate.epoch, FIRST_EPOCH + 1);
    expect(GATE_ARMED, GATE_REASON_NONE);
    expect_refused(motion_of_epoch(FIRST_EPOCH, 4), GATE_REASON_STALE_EPOCH);
    ck_assert(motion_of_epoch(FIRST_EPOCH + 1, 4).pass);
    ck_assert(motion_of_epoch(0, 4).pass); /* who knows of no epochs means this one */
}
END_TEST

START_TEST(an_epoch_that_never_was_is_refused)
{
    start_transport();
    expect_refused(motion_of_epoch(FIRST_EPOCH + 1, 1), GATE_REASON_STALE_EPOCH);
    ck_assert_uint_eq(gate.epoch, FIRST_EPOCH);
}
END_TEST

START_TEST(what_changes_nothing_ends_no_epoch)
{
    start_transport();
    lease(ADA, 1);
    ck_assert(!lease(ADA, 2).epoch_ended);
    ck_assert(!step(GATE_EVENT_BUS_UP, 3).epoch_ended);
    ck_assert(!step(GATE_EVENT_FRAME, 4).epoch_ended);
    ck_assert(!apply((struct gate_event){.kind = GATE_EVENT_EPOCH, .epoch = 5}, 5).epoch_ended);
    ck_assert_uint_eq(gate.epoch, FIRST_EPOCH + 1);
}
END_TEST

START_TEST(a_clear_from_before_a_stop_does_not_undo_it)
{
    start_transport();
    step(GATE_EVENT_ESTOP, 1);
    uint64_t seen = gate.epoch; /* by somebody who is about to clear */
    step(GATE_EVENT_ESTOP, 2);
    expect_refused(clear_of_epoch(seen, 3), GATE_REASON_STALE_EPOCH);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    ck_assert(clear_of_epoch(gate.epoch, 4).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
}
END_TEST

START_TEST(the_gates_own_stop_ends_the_epoch_too)
{
    start_transport();
    ck_assert(step(GATE_EVENT_TICK, 5 * S + 1).epoch_ended);
    step(GATE_EVENT_FRAME, 6 * S);
    expect_refused(clear_of_epoch(FIRST_EPOCH, 6 * S), GATE_REASON_STALE_EPOCH);
    ck_assert(clear_of_epoch(FIRST_EPOCH + 1, 6 * S).pass);
}
END_TEST

START_TEST(the_simulator_follows_the_transports_epochs)
{
    start_simulator();
    ck_assert(motion_of_epoch(0, 0).pass); /* a transport without epochs */
    ck_assert(motion_of_epoch(10, 1).epoch_ended);
    ck_assert(motion_of_epoch(10, 2).pass);
    ck_assert(motion_of_epoch(12, 3).pass);
    expect_refused(motion_of_epoch(11, 4), GATE_REASON_STALE_EPOCH);
    apply((struct gate_event){.kind = GATE_EVENT_PEER_HOLD, .epoch = 13}, 5);
    expect_refused(motion_of_epoch(12, 6), GATE_REASON_STALE_EPOCH);
    step(GATE_EVENT_GONE, 7);
    step(GATE_EVENT_BUS_DOWN, 7);
    step(GATE_EVENT_BUS_UP, 7);
    ck_assert_uint_eq(gate.epoch, 13); /* it never counts by itself */
}
END_TEST

/* The stop takes a lane of its own and comes first; the clear that was sent before it, later. */
START_TEST(at_the_robot_a_stop_outlives_the_clears_that_it_overtook)
{
    start_simulator();
    ck_assert(motion_of_epoch(20, 0).pass);
    apply((struct gate_event){.kind = GATE_EVENT_ESTOP, .epoch = 21}, 1);
    expect_refused(clear_of_epoch(20, 2), GATE_REASON_STALE_EPOCH);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    ck_assert(clear_of_epoch(21, 3).pass);
}
END_TEST

START_TEST(a_command_that_was_under_way_for_too_long_is_refused)
{
    start_simulator();
    ck_assert(motion((struct gate_event){.age_ns = 200 * MS}, 0).pass);
    expect_refused(motion((struct gate_event){.age_ns = 200 * MS + 1}, 0), GATE_REASON_EXPIRED);
    start_transport();
    ck_assert(motion((struct gate_event){.age_ns = 3600 * S}, 0).pass); /* its ttl is 0: no limit */
}
END_TEST

START_TEST(while_the_bus_is_away_nothing_passes_but_a_stop)
{
    start_transport();
    ck_assert(step(GATE_EVENT_BUS_DOWN, 1).publish_hold);
    expect(GATE_HOLD, GATE_REASON_NO_BUS);
    expect_refused(motion_of_epoch(0, 2), GATE_REASON_NO_BUS);
    ck_assert(step(GATE_EVENT_ESTOP, 3).pass);
    expect_refused(clear_of_epoch(0, 4), GATE_REASON_NO_BUS);
    expect(GATE_ESTOP, GATE_REASON_OPERATOR);
    step(GATE_EVENT_BUS_UP, 5);
    ck_assert(clear_of_epoch(0, 6).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);
}
END_TEST

static struct gate_event from(enum gate_role role, uint64_t sender)
{
    return (struct gate_event){.role = role, .sender = sender};
}

START_TEST(only_the_operator_who_holds_the_lease_commands)
{
    start_transport();
    config.lease = true;
    expect_refused(motion(from(GATE_ROLE_OPERATOR, 0), 1), GATE_REASON_NOT_OPERATOR);
    expect_refused(motion(from(GATE_ROLE_OPERATOR, ADA), 1), GATE_REASON_NOT_OPERATOR);
    lease(ADA, 2);
    ck_assert(motion(from(GATE_ROLE_OPERATOR, ADA), 3).pass);
    expect_refused(motion(from(GATE_ROLE_OPERATOR, BOB), 3), GATE_REASON_NOT_OPERATOR);
    expect_refused(motion(from(GATE_ROLE_VIEWER, ADA), 3), GATE_REASON_NOT_OPERATOR);
    expect_refused(motion(from(GATE_ROLE_NONE, ADA), 3), GATE_REASON_NOT_OPERATOR);
    ck_assert(motion(from(GATE_ROLE_BUS, 0), 3).pass); /* the bus has permissions of its own */

    ck_assert(step(GATE_EVENT_ESTOP, 4).pass); /* everybody's */
    struct gate_event clear = from(GATE_ROLE_OPERATOR, BOB);
    clear.kind = GATE_EVENT_ESTOP_CLEAR;
    expect_refused(apply(clear, 5), GATE_REASON_NOT_OPERATOR);
    lease(BOB, 6);
    ck_assert(apply(clear, 7).pass);
}
END_TEST

static struct gate_actions with_deadman(enum gate_deadman deadman, int64_t at_ns)
{
    return motion((struct gate_event){.deadman = deadman}, at_ns);
}

START_TEST(the_deadman_has_to_be_held)
{
    start_transport();
    config.deadman_ns = 300 * MS;
    step(GATE_EVENT_TICK, 1);
    expect(GATE_HOLD, GATE_REASON_DEADMAN);
    expect_refused(with_deadman(GATE_DEADMAN_ABSENT, 2), GATE_REASON_DEADMAN);
    expect_refused(with_deadman(GATE_DEADMAN_RELEASED, 3), GATE_REASON_DEADMAN);
    ck_assert(with_deadman(GATE_DEADMAN_HELD, 4).pass);
    expect(GATE_ARMED, GATE_REASON_NONE);

    ck_assert(!step(GATE_EVENT_TICK, 4 + 300 * MS).changed);
    ck_assert(step(GATE_EVENT_TICK, 5 + 300 * MS).publish_hold);
    expect(GATE_HOLD, GATE_REASON_DEADMAN);
}
END_TEST

START_TEST(letting_go_of_the_deadman_holds_at_once)
{
    start_simulator();
    config.deadman_ns = 300 * MS;
    ck_assert(with_deadman(GATE_DEADMAN_HELD, 0).pass);
    /* Without a deadman in it a command is refused, but whoever holds his goes on. */
    expect_refused(with_deadman(GATE_DEADMAN_ABSENT, 1), GATE_REASON_DEADMAN);
    expect(GATE_ARMED, GATE_REASON_NONE);
    /* A release counts even in a command that does not. */
    struct gate_event late = {.deadman = GATE_DEADMAN_RELEASED, .age_ns = 1 * S};
    expect_refused(motion(late, 2), GATE_REASON_EXPIRED);
    expect(GATE_HOLD, GATE_REASON_DEADMAN);
    ck_assert(with_deadman(GATE_DEADMAN_HELD, 3).pass);
}
END_TEST

START_TEST(without_a_deadman_in_the_settings_nobody_needs_one)
{
    start_transport();
    ck_assert(with_deadman(GATE_DEADMAN_ABSENT, 1).pass);
    ck_assert(with_deadman(GATE_DEADMAN_RELEASED, 2).pass);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate epochs");
    TCase *epochs = tcase_create("epochs");
    TCase *who = tcase_create("who");

    tcase_add_loop_test(epochs, motion_of_an_epoch_that_ended_is_refused, 0, ENDERS);
    tcase_add_test(epochs, an_epoch_that_never_was_is_refused);
    tcase_add_test(epochs, what_changes_nothing_ends_no_epoch);
    tcase_add_test(epochs, a_clear_from_before_a_stop_does_not_undo_it);
    tcase_add_test(epochs, the_gates_own_stop_ends_the_epoch_too);
    tcase_add_test(epochs, the_simulator_follows_the_transports_epochs);
    tcase_add_test(epochs, at_the_robot_a_stop_outlives_the_clears_that_it_overtook);
    tcase_add_test(epochs, a_command_that_was_under_way_for_too_long_is_refused);
    tcase_add_test(who, while_the_bus_is_away_nothing_passes_but_a_stop);
    tcase_add_test(who, only_the_operator_who_holds_the_lease_commands);
    tcase_add_test(who, the_deadman_has_to_be_held);
    tcase_add_test(who, letting_go_of_the_deadman_holds_at_once);
    tcase_add_test(who, without_a_deadman_in_the_settings_nobody_needs_one);
    suite_add_tcase(suite, epochs);
    suite_add_tcase(suite, who);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
