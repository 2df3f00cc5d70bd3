/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's side of the robot's rings: every state is published, an action is obeyed while
 * it is fresh and whole, and never against the safety layer.
 */
#include <math.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "proto/robot_action.h"
#include "shm/ring.h"
#include "sim/robot_link.h"
#include "sim/world.h"
#include "tests/support.h"

static char dir[SUPPORT_PATH_BYTES];
static struct robot_link *robot_link;
static struct ring_producer *actions;

static void set_up(void)
{
    support_dir_make(dir);
    ck_assert_int_eq(robot_link_open(dir, "front", &robot_link), 0);
    struct ring_producer_config config = {.dir = dir,
                                          .stream = "front",
                                          .kind = RING_KIND_ACTIONS,
                                          .payload_bytes_max = 2 * sizeof(struct robot_action)};
    ck_assert_int_eq(ring_producer_open(&config, &actions), 0);
}

static void tear_down(void)
{
    ring_producer_close(actions);
    robot_link_close(robot_link);
    ck_assert_uint_eq(support_count_entries(dir), 0);
    rmdir(dir);
}

static struct robot_action good_action(void)
{
    struct robot_action action = {.magic = ROBOT_ACTION_MAGIC,
                                  .mode = GATE_ARMED,
                                  .made_ns = clock_now_ns(),
                                  .stiffness_nm_per_rad = 90,
                                  .damping_nms_per_rad = 1};

    action.joint_position_rad[3] = 0.25f;
    return action;
}

static void send(const struct robot_action *action, size_t bytes)
{
    struct ring_loan loan;

    ck_assert_int_eq(ring_loan(actions, &loan), 0);
    memset(loan.payload, 0, loan.payload_bytes_max);
    memcpy(loan.payload, action, sizeof(*action));
    ck_assert_int_gt(
        ring_publish(actions, &loan,
                     &(struct ring_frame){.payload_bytes = bytes, .flags = RING_FRAME_KEYFRAME}),
        0);
}

/* The ring attaches by itself; afterwards what was sent is seen at once. */
static void attach(void)
{
    struct robot_action action = good_action();

    action.made_ns += 3 * NS_PER_S; /* fresh for as long as this takes */
    send(&action, sizeof(action));
    struct robot_drive drive;
    int64_t end_ns = clock_now_ns() + 5 * NS_PER_S;
    while (!robot_link_drive(robot_link, GATE_ARMED, action.made_ns, &drive))
        ck_assert_int_lt(clock_now_ns(), end_ns);
}

static bool obeys(const struct robot_action *action, enum gate_mode mode)
{
    struct robot_drive drive;

    send(action, sizeof(*action));
    return robot_link_drive(robot_link, mode, clock_now_ns(), &drive);
}

START_TEST(an_action_is_obeyed_while_it_is_fresh)
{
    struct robot_action action = good_action();
    struct robot_drive drive;

    attach();
    action = good_action();
    send(&action, sizeof(action));
    ck_assert(robot_link_drive(robot_link, GATE_ARMED, action.made_ns, &drive));
    ck_assert(drive.joint_position_rad[3] == 0.25 && drive.stiffness_nm_per_rad == 90);
    int64_t last_ns = action.made_ns + ROBOT_ACTION_NS_MAX;
    ck_assert(robot_link_drive(robot_link, GATE_ARMED, last_ns, &drive));
    ck_assert(!robot_link_drive(robot_link, GATE_ARMED, last_ns + 1, &drive));
    action = good_action();
    action.made_ns += NS_PER_S;
    ck_assert_msg(!obeys(&action, GATE_ARMED), "an action from the future was obeyed");
}
END_TEST

START_TEST(no_action_is_obeyed_in_estop)
{
    attach();
    for (unsigned mode = GATE_ARMED; mode <= GATE_ESTOP; mode++) {
        struct robot_action action = good_action();
        action.mode = mode;
        ck_assert(!obeys(&action, GATE_ESTOP));
    }
}
END_TEST

START_TEST(in_hold_only_who_knows_of_it_is_obeyed)
{
    struct robot_drive drive;
    struct robot_action action;

    attach();
    int64_t now_ns;
    action = good_action();
    send(&action, sizeof(action));
    ck_assert(robot_link_drive(robot_link, GATE_HOLD, now_ns = clock_now_ns(), &drive));
    ck_assert_msg(!robot_link_drive(robot_link, GATE_HOLD, now_ns + ROBOT_LINK_GRACE_NS, &drive),
                  "an action made for ARMED outlived the grace");
    action.mode = GATE_HOLD;
    action.made_ns = now_ns + ROBOT_LINK_GRACE_NS;
    send(&action, sizeof(action));
    ck_assert(robot_link_drive(robot_link, GATE_HOLD, now_ns + ROBOT_LINK_GRACE_NS, &drive));
}
END_TEST

START_TEST(a_bad_action_is_as_none)
{
    attach();
    for (unsigned kind = 0; kind < 6; kind++) {
        struct robot_drive drive;
        struct robot_action action = good_action();
        size_t bytes = sizeof(action);
        switch (kind) {
        case 0:
            action.magic++;
            break;
        case 1:
            action.mode = GATE_ESTOP + 1;
            break;
        case 2:
            action.joint_position_rad[ROBOT_JOINTS - 1] = NAN;
            break;
        case 3:
            action.stiffness_nm_per_rad = INFINITY;
            break;
        case 4:
            action.damping_nms_per_rad = NAN;
            break;
        default:
            bytes++;
            break;
        }
        send(&action, bytes);
        ck_assert_msg(!robot_link_drive(robot_link, GATE_ARMED, clock_now_ns(), &drive), "kind %u",
                      kind);
    }
}
END_TEST

START_TEST(the_world_publishes_each_step_and_its_mode)
{
    struct ring_consumer_config config = {.dir = dir, .stream = "front", .kind = RING_KIND_STATE};
    struct world_orders orders = {.mode = GATE_ESTOP, .input.alpha = 0.5};
    struct ring_consumer *states;
    struct robot_state state = {0};
    struct world *world;
    struct ring_view view;
    uint64_t seen = 0;

    ck_assert_int_eq(world_create(false, &world), 0);
    world_order(world, &orders);
    world_link(world, robot_link);
    ck_assert_int_eq(ring_consumer_open(&config, &states), 0);
    int64_t end_ns = clock_now_ns() + 5 * NS_PER_S;
    while ((seen < 20 || state.mode != GATE_ESTOP) && clock_now_ns() < end_ns) {
        if (ring_consumer_wait(states, 100) < 0)
            continue;
        while (ring_acquire(states, RING_LATEST, &view) == 0) {
            uint64_t before = state.step;
            ck_assert_uint_eq(view.frame.payload_bytes, sizeof(state));
            memcpy(&state, view.payload, sizeof(state));
            ck_assert_uint_gt(state.step, before);
            seen++;
            ring_release(states, &view);
        }
    }
    ring_consumer_close(states);
    world_destroy(world);
    ck_assert_uint_ge(seen, 20);
    ck_assert_uint_eq(state.mode, GATE_ESTOP);
    ck_assert_uint_eq(state.magic, ROBOT_STATE_MAGIC);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("robot_link");
    Suite *suite = suite_create("robot_link");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, an_action_is_obeyed_while_it_is_fresh);
    tcase_add_test(cases, no_action_is_obeyed_in_estop);
    tcase_add_test(cases, in_hold_only_who_knows_of_it_is_obeyed);
    tcase_add_test(cases, a_bad_action_is_as_none);
    tcase_add_test(cases, the_world_publishes_each_step_and_its_mode);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
