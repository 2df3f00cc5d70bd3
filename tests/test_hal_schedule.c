/* SPDX-License-Identifier: Apache-2.0 */
/* When periods begin: at a fixed rate, nothing caught up, and where the robot's states come. */
#include <stdlib.h>

#include <check.h>

#include "base/clock.h"
#include "hal/schedule.h"
#include "tests/support.h"

#define PERIOD_NS NS_PER_MS

static struct schedule schedule;
static uint64_t random_state = 7; /* a fixed course */

static void set_up(void)
{
    schedule_init(&schedule, PERIOD_NS, 5 * NS_PER_S);
}

START_TEST(periods_follow_each_other)
{
    for (int64_t i = 1; i <= 100; i++) {
        ck_assert_int_eq(schedule.due_ns, 5 * NS_PER_S + i * PERIOD_NS);
        ck_assert_uint_eq(schedule_next(&schedule, schedule.due_ns + PERIOD_NS / 2), 0);
    }
}
END_TEST

START_TEST(periods_that_are_over_are_skipped_and_counted)
{
    int64_t first_ns = schedule.due_ns;

    ck_assert_uint_eq(schedule_next(&schedule, first_ns + 7 * PERIOD_NS / 2), 3);
    ck_assert_int_eq(schedule.due_ns, first_ns + 4 * PERIOD_NS);
    ck_assert_uint_eq(schedule_next(&schedule, schedule.due_ns), 0);
}
END_TEST

/*
 * States at every multiple of the interval and `offset` after the first period; each period
 * sees the newest that came a little after it was due. How long after it is due one comes, at
 * the end.
 */
static int64_t settle(int64_t offset_ns, int64_t interval_ns, int64_t jitter_ns)
{
    int64_t first_ns = schedule.due_ns + offset_ns;
    int64_t shift_ns_max = 0;

    for (unsigned i = 0; i < 600; i++) {
        int64_t before_ns = schedule.due_ns;
        int64_t noise_ns =
            jitter_ns ? (int64_t)(support_random(&random_state) % (uint64_t)jitter_ns) : 0;
        int64_t seen_ns = before_ns + PERIOD_NS / 10 - first_ns;
        seen_ns -= (seen_ns % interval_ns + interval_ns) % interval_ns;
        schedule_follow(&schedule, first_ns + seen_ns + noise_ns, interval_ns);
        shift_ns_max = llabs(schedule.due_ns - before_ns) > shift_ns_max
                           ? llabs(schedule.due_ns - before_ns)
                           : shift_ns_max;
        schedule_next(&schedule, schedule.due_ns);
    }
    ck_assert_int_le(shift_ns_max, PERIOD_NS / SCHEDULE_SHIFT_PARTS);
    return ((first_ns - schedule.due_ns) % interval_ns + interval_ns) % interval_ns;
}

START_TEST(a_period_comes_to_begin_just_before_a_state)
{
    static const int64_t offsets_ns[] = {0, 400000, -400000, 600000, -999000, 60000};
    static const int64_t intervals_ns[] = {PERIOD_NS, PERIOD_NS / 5, PERIOD_NS * 4};

    for (unsigned i = 0; i < 3; i++) {
        set_up();
        int64_t after_ns = settle(offsets_ns[_i], intervals_ns[i], 0) % PERIOD_NS;
        ck_assert_int_ge(after_ns, SCHEDULE_BEFORE_NS - 1000);
        ck_assert_int_le(after_ns, SCHEDULE_BEFORE_NS + 1000);
    }
}
END_TEST

START_TEST(once_settled_it_keeps_its_rate)
{
    (void)settle(300000, PERIOD_NS / 5, 0);
    int64_t settled_ns = schedule.due_ns;
    int64_t state_ns = settled_ns + SCHEDULE_BEFORE_NS;
    for (unsigned i = 0; i < 1000; i++, state_ns += PERIOD_NS) {
        schedule_follow(&schedule, state_ns - PERIOD_NS / 5, PERIOD_NS / 5);
        schedule_next(&schedule, schedule.due_ns);
    }
    ck_assert_int_le(llabs(schedule.due_ns - settled_ns - 1000 * PERIOD_NS), 2000);
}
END_TEST

START_TEST(jitter_of_the_states_is_smoothed)
{
    int64_t after_ns = settle(0, PERIOD_NS, 100000);
    if (after_ns > PERIOD_NS / 2)
        after_ns -= PERIOD_NS;
    /* Half of the noise is its mean. */
    ck_assert_int_ge(after_ns, SCHEDULE_BEFORE_NS - 50000 - 25000);
    ck_assert_int_le(after_ns, SCHEDULE_BEFORE_NS - 50000 + 25000);
}
END_TEST

START_TEST(a_stamp_from_nowhere_moves_it_hardly)
{
    static const int64_t stamps_ns[] = {0, 1, INT64_C(1) << 62, -1};
    int64_t due_ns = schedule.due_ns;

    schedule_follow(&schedule, stamps_ns[_i], PERIOD_NS);
    schedule_follow(&schedule, 0, 0);
    schedule_follow(&schedule, 0, -1);
    ck_assert_int_le(llabs(schedule.due_ns - due_ns), PERIOD_NS / SCHEDULE_SHIFT_PARTS);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("schedule");
    Suite *suite = suite_create("hal_schedule");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, periods_follow_each_other);
    tcase_add_test(cases, periods_that_are_over_are_skipped_and_counted);
    tcase_add_loop_test(cases, a_period_comes_to_begin_just_before_a_state, 0, 6);
    tcase_add_test(cases, once_settled_it_keeps_its_rate);
    tcase_add_test(cases, jitter_of_the_states_is_smoothed);
    tcase_add_loop_test(cases, a_stamp_from_nowhere_moves_it_hardly, 0, 4);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
