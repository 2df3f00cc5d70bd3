/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole HAL against rings that the test plays: it answers what it sees, obeys the stricter
 * gate within a period, and stands when something is missing.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>

#include <check.h>

#include "hal/hal.h"
#include "hal/pose.h"
#include "proto/gate_state.h"
#include "proto/robot_action.h"
#include "safety/gate.h"
#include "shm/ring.h"
#include "tests/support.h"

#define RATE_HZ 200
#define PERIOD_NS (NS_PER_S / RATE_HZ)

static char dir[SUPPORT_PATH_BYTES];
static struct ring_producer *states;
static struct ring_producer *gates;
static struct ring_consumer *actions;
static struct hal *hal;
static uint64_t step;
static const char *teleop;
static float alpha = 1;

static struct ring_producer *open_ring(enum ring_kind kind, size_t bytes)
{
    struct ring_producer_config config = {
        .dir = dir, .stream = "front", .kind = kind, .payload_bytes_max = bytes};
    struct ring_producer *ring;

    ck_assert_int_eq(ring_producer_open(&config, &ring), 0);
    return ring;
}

static void start(const char *policy)
{
    struct hal_config config = {.dir = dir,
                                .stream = "front",
                                .policy = policy,
                                .teleop = teleop,
                                .rate_hz = RATE_HZ,
                                .action_ns_max = 50 * NS_PER_MS,
                                .patience = 10,
                                .hal_thread.cpu = -1,
                                .inference_thread.cpu = -1};

    ck_assert_int_eq(hal_create(&config, &hal), 0);
}

static void set_up(void)
{
    struct ring_consumer_config config = {
        .dir = support_dir_make(dir), .stream = "front", .kind = RING_KIND_ACTIONS};

    states = open_ring(RING_KIND_STATE, sizeof(struct robot_state));
    ck_assert_int_eq(ring_consumer_open(&config, &actions), 0);
}

static void tear_down(void)
{
    hal_destroy(hal);
    ring_consumer_close(actions);
    ring_producer_close(gates);
    ring_producer_close(states);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

static void publish(struct ring_producer *ring, const void *payload, size_t bytes)
{
    struct ring_loan loan;

    ck_assert_int_eq(ring_loan(ring, &loan), 0);
    memcpy(loan.payload, payload, bytes);
    ck_assert_int_gt(
        ring_publish(ring, &loan,
                     &(struct ring_frame){.payload_bytes = bytes, .flags = RING_FRAME_KEYFRAME}),
        0);
}

static struct robot_state good_state(enum gate_mode mode)
{
    struct robot_state state = {.magic = ROBOT_STATE_MAGIC,
                                .mode = mode,
                                .step = ++step,
                                .sim_time_ns = (int64_t)step * PERIOD_NS,
                                .orientation_xyzw = {0, 0, 0, 1},
                                .command = {0.5F, 0, 0},
                                .alpha = alpha};

    pose_stand(state.joint_position_rad);
    return state;
}

static void tell_state(enum gate_mode mode)
{
    struct robot_state state = good_state(mode);

    publish(states, &state, sizeof(state));
}

static void tell_gate(enum gate_mode mode)
{
    struct gate_state gate = {.magic = GATE_STATE_MAGIC, .mode = mode, .told_ns = clock_now_ns()};

    publish(gates, &gate, sizeof(gate));
}

static bool next_action(struct robot_action *ret_action)
{
    struct ring_view view;

    if (ring_acquire(actions, RING_NEXT, &view) < 0)
        return false;
    ck_assert_uint_eq(view.frame.payload_bytes, sizeof(*ret_action));
    memcpy(ret_action, view.payload, sizeof(*ret_action));
    ring_release(actions, &view);
    return true;
}

/* Publishes states (and a gate, if there is one) until an action is in `wanted`; else false. */
static bool becomes(enum gate_mode told, enum gate_mode gate, enum gate_mode wanted, double seconds)
{
    int64_t end_ns = clock_now_ns() + (int64_t)(seconds * 1e9);
    struct robot_action action = {.mode = 99};

    while (action.mode != wanted && clock_now_ns() < end_ns) {
        tell_state(told);
        if (gates)
            tell_gate(gate);
        poll(NULL, 0, 2);
        while (next_action(&action))
            ck_assert_uint_eq(action.magic, ROBOT_ACTION_MAGIC);
    }
    return action.mode == wanted;
}

/* How far the newest action's joints are from standing, after some time of being told. */
static float distance_from_standing(enum gate_mode told, double seconds)
{
    int64_t end_ns = clock_now_ns() + (int64_t)(seconds * 1e9);
    struct robot_action action = {0};
    float stand[ROBOT_JOINTS];
    float furthest = 0;

    pose_stand(stand);
    while (clock_now_ns() < end_ns) {
        tell_state(told);
        poll(NULL, 0, 2);
        while (next_action(&action))
            continue;
    }
    for (unsigned i = 0; i < ROBOT_JOINTS; i++)
        furthest = fmaxf(furthest, fabsf(action.joint_position_rad[i] - stand[i]));
    return furthest;
}

START_TEST(it_answers_each_state_with_an_action)
{
    struct stats_values stats;
    struct robot_action action = {0};
    unsigned answered = 0;

    start("stand");
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    for (unsigned i = 0; i < 50; i++) {
        tell_state(GATE_ARMED);
        uint64_t newest = step;
        WAIT_UNTIL(next_action(&action) && action.step == newest, 0.1);
        answered += action.step == newest;
    }
    ck_assert_uint_ge(answered, 40); /* on a busy machine a period may come late */
    ck_assert_int_ge(action.made_ns, action.state_ns);
    hal_stats(hal, &stats);
    ck_assert_uint_gt(stats.latency.count, 20);
    ck_assert_uint_ge(stats.observations, stats.latency.count);
}
END_TEST

/* Who tells of a stop, each by a ring of its own; there is no bus in this program. */
static const struct {
    bool by_gate; /* else by the robot's safety layer */
    enum gate_mode mode;
} stops[] = {{false, GATE_HOLD}, {false, GATE_ESTOP}, {true, GATE_HOLD}, {true, GATE_ESTOP}};

/* Actions that were made after a stop was told and are not in its mode, until one is. */
static unsigned count_disobeyed(bool by_gate, enum gate_mode mode)
{
    struct robot_action action;
    unsigned disobeyed = 0;

    while (next_action(&action))
        continue;
    tell_state(by_gate ? GATE_ARMED : mode);
    if (by_gate)
        tell_gate(mode);
    int64_t told_ns = clock_now_ns();
    do {
        ck_assert(WAIT_UNTIL(next_action(&action), 1));
        /* What was under way in that moment does not count. */
        disobeyed += action.mode != mode && action.made_ns > told_ns;
    } while (action.mode != mode);
    return disobeyed;
}

START_TEST(a_stop_is_obeyed_within_a_period)
{
    if (stops[_i].by_gate)
        gates = open_ring(RING_KIND_GATE, sizeof(struct gate_state));
    start("trot");
    /* The first one of a gate waits until the loop has found its ring. */
    ck_assert(becomes(GATE_ARMED, GATE_HOLD, gates ? GATE_HOLD : GATE_ARMED, 5));
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
        ck_assert_uint_le(count_disobeyed(stops[_i].by_gate, stops[_i].mode), 1);
    }
}
END_TEST

START_TEST(the_stricter_of_robot_and_gate_counts)
{
    gates = open_ring(RING_KIND_GATE, sizeof(struct gate_state));
    start("trot");
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    ck_assert(becomes(GATE_HOLD, GATE_ARMED, GATE_HOLD, 5));
    ck_assert(becomes(GATE_HOLD, GATE_ESTOP, GATE_ESTOP, 5));
    ck_assert(becomes(GATE_ARMED, GATE_HOLD, GATE_HOLD, 5));
    ck_assert(becomes(GATE_ESTOP, GATE_HOLD, GATE_ESTOP, 5));
}
END_TEST

START_TEST(a_gate_that_is_gone_or_silent_holds_until_it_is_back)
{
    gates = open_ring(RING_KIND_GATE, sizeof(struct gate_state));
    start("trot");
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    ring_producer_close(gates);
    gates = NULL;
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_HOLD, 5));
    ck_assert(!becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 0.3));
    gates = open_ring(RING_KIND_GATE, sizeof(struct gate_state));
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    struct ring_producer *silent = gates;
    gates = NULL; /* from now on nobody tells it anything */
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_HOLD, 5));
    gates = silent;
}
END_TEST

START_TEST(without_a_fresh_state_it_says_nothing)
{
    struct robot_action action;

    start("trot");
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    poll(NULL, 0, 150); /* longer than a state is fresh */
    while (next_action(&action))
        continue;
    ck_assert(!WAIT_UNTIL(next_action(&action), 0.1));
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
}
END_TEST

START_TEST(states_that_are_not_whole_are_none)
{
    struct robot_action action;
    struct robot_state state;

    start("trot");
    ck_assert(becomes(GATE_ARMED, GATE_ARMED, GATE_ARMED, 5));
    poll(NULL, 0, 150);
    while (next_action(&action))
        continue;
    for (unsigned i = 0; i < 100; i++) {
        state = good_state(GATE_ARMED);
        if (i % 4 == 0)
            state.magic++;
        else if (i % 4 == 1)
            state.mode = 7;
        else if (i % 4 == 2)
            state.joint_velocity_radps[3] = NAN;
        else
            state.orientation_xyzw[3] = 0;
        publish(states, &state, sizeof(state));
        poll(NULL, 0, 1);
        ck_assert(!next_action(&action));
    }
}
END_TEST

START_TEST(it_moves_when_armed_and_stands_when_stopped_or_fallen)
{
    start("trot");
    ck_assert_float_gt(distance_from_standing(GATE_ARMED, 1.5), 0.02F);
    ck_assert_float_lt(distance_from_standing(GATE_ESTOP, 0.5), 1e-4F);
    ck_assert_float_gt(distance_from_standing(GATE_ARMED, 1.5), 0.02F);
    /* HOLD: the gait goes on with no velocity, finishes its steps, and stands. */
    ck_assert_float_lt(distance_from_standing(GATE_HOLD, 2.5), 0.02F);
}
END_TEST

/* Publishes states while the condition is not met, for 5 s at most; returns whether it was. */
#define DRIVE_UNTIL(condition)                                                                     \
    WAIT_UNTIL((tell_state(GATE_ARMED), hal_stats(hal, &stats), (condition)), 5)

START_TEST(an_action_to_an_observation_that_is_too_old_is_not_applied)
{
    static struct stats_values stats;

    start(SAMPLE_DIR "/libsample.so:0.3:80"); /* thinks for 80 ms; 50 are allowed */
    ck_assert(DRIVE_UNTIL(stats.stale >= 5));
    ck_assert_uint_eq(stats.actions, 0);
    ck_assert_float_lt(distance_from_standing(GATE_ARMED, 0.3), 1e-4F);
}
END_TEST

START_TEST(a_slow_policy_gets_the_newest_observation_and_none_are_queued)
{
    static struct stats_values stats;

    start(SAMPLE_DIR "/libsample.so:0.3:20"); /* four periods for each step */
    ck_assert(DRIVE_UNTIL(stats.actions >= 20));
    ck_assert_uint_eq(stats.stale, 0); /* what it answers is not 50 ms old, so never queued */
    ck_assert_uint_gt(stats.missed + stats.dropped, 20);
    ck_assert_float_gt(distance_from_standing(GATE_ARMED, 0.5), 0.25F);
}
END_TEST

START_TEST(without_an_action_for_some_periods_it_stands)
{
    static struct stats_values stats;

    start(SAMPLE_DIR "/libsample.so:0.3:0:100"); /* fails after 100 steps */
    ck_assert(DRIVE_UNTIL(stats.actions >= 50));
    ck_assert_float_gt(distance_from_standing(GATE_ARMED, 0.1), 0.05F);
    ck_assert(DRIVE_UNTIL(stats.policy_errors >= 20));
    uint64_t stands = stats.stands;
    ck_assert(DRIVE_UNTIL(stats.stands > stands));
    ck_assert_float_lt(distance_from_standing(GATE_ARMED, 0.5), 1e-4F);
}
END_TEST

START_TEST(what_alpha_takes_from_the_policy_goes_to_the_operators_gait)
{
    teleop = "trot";
    alpha = 0;
    start("stand");
    ck_assert_float_gt(distance_from_standing(GATE_ARMED, 1), 0.02F);
    alpha = 1;
    ck_assert_float_lt(distance_from_standing(GATE_ARMED, 1.5), 1e-4F);
}
END_TEST

START_TEST(a_second_hal_for_the_same_robot_is_refused)
{
    struct hal_config config = {.dir = dir,
                                .stream = "front",
                                .policy = "stand",
                                .rate_hz = RATE_HZ,
                                .action_ns_max = NS_PER_S,
                                .patience = 10};
    struct hal *second;

    start("stand");
    ck_assert_int_eq(hal_create(&config, &second), -EADDRINUSE);
    config.policy = "./no-such-policy.so";
    ck_assert_int_eq(hal_create(&config, &second), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("loop");
    Suite *suite = suite_create("hal_loop");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, it_answers_each_state_with_an_action);
    tcase_add_loop_test(cases, a_stop_is_obeyed_within_a_period, 0,
                        sizeof(stops) / sizeof(stops[0]));
    tcase_add_test(cases, the_stricter_of_robot_and_gate_counts);
    tcase_add_test(cases, a_gate_that_is_gone_or_silent_holds_until_it_is_back);
    tcase_add_test(cases, without_a_fresh_state_it_says_nothing);
    tcase_add_test(cases, states_that_are_not_whole_are_none);
    tcase_add_test(cases, it_moves_when_armed_and_stands_when_stopped_or_fallen);
    tcase_add_test(cases, an_action_to_an_observation_that_is_too_old_is_not_applied);
    tcase_add_test(cases, a_slow_policy_gets_the_newest_observation_and_none_are_queued);
    tcase_add_test(cases, without_an_action_for_some_periods_it_stands);
    tcase_add_test(cases, what_alpha_takes_from_the_policy_goes_to_the_operators_gait);
    tcase_add_test(cases, a_second_hal_for_the_same_robot_is_refused);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
