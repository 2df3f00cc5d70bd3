/* SPDX-License-Identifier: Apache-2.0 */
/* The prediction of arrivals, on made-up stamps. */
#include <stdlib.h>

#include <check.h>

#include "base/clock.h"
#include "shm/rhythm.h"
#include "tests/support.h"

#define PERIOD_NS (8333 * NS_PER_US)

static int64_t feed(struct rhythm *rhythm, uint64_t frames, int64_t jitter_ns, uint64_t *random)
{
    int64_t due_ns = NS_PER_S + (int64_t)(rhythm->seq * PERIOD_NS);

    for (uint64_t i = 0; i < frames; i++) {
        int64_t off_ns =
            jitter_ns ? (int64_t)(support_random(random) % (2 * jitter_ns)) - jitter_ns : 0;
        due_ns += PERIOD_NS;
        rhythm_observe(rhythm, rhythm->seq + 1, due_ns + off_ns);
    }
    return due_ns + PERIOD_NS;
}

START_TEST(a_regular_source_is_predicted_within_its_jitter)
{
    uint64_t random = support_seed("rhythm");
    struct rhythm rhythm = {0};
    struct rhythm_plan plan = {0};

    ck_assert(!rhythm_plan(&rhythm, &plan));
    for (unsigned i = 0; i < 50; i++) {
        int64_t due_ns = feed(&rhythm, 20, 20 * NS_PER_US, &random);
        ck_assert(rhythm_plan(&rhythm, &plan));
        ck_assert_int_lt(plan.wake_ns, due_ns);
        ck_assert_int_gt(plan.wake_ns, due_ns - PERIOD_NS / 20);
        ck_assert_int_gt(plan.wake_ns + plan.spin_ns_max, due_ns);
        ck_assert_int_le(plan.spin_ns_max, PERIOD_NS / 15);
    }
}
END_TEST

START_TEST(a_source_without_rhythm_is_not_predicted)
{
    uint64_t random = support_seed("rhythm");
    struct rhythm rhythm = {0};
    struct rhythm_plan plan;
    int64_t stamp_ns = NS_PER_S;
    unsigned predicted = 0;

    for (uint64_t seq = 1; seq < 2000; seq++) {
        stamp_ns += NS_PER_MS + (int64_t)(support_random(&random) % (20 * NS_PER_MS));
        rhythm_observe(&rhythm, seq, stamp_ns);
        predicted += rhythm_plan(&rhythm, &plan);
    }
    ck_assert_uint_lt(predicted, 20);
}
END_TEST

START_TEST(lost_frames_do_not_break_the_rhythm_a_restart_does)
{
    uint64_t random = 1;
    struct rhythm rhythm = {0};
    struct rhythm_plan plan;

    feed(&rhythm, 20, 0, &random);
    rhythm_observe(&rhythm, rhythm.seq + 5, rhythm.phase_ns + 5 * PERIOD_NS);
    ck_assert(rhythm_plan(&rhythm, &plan));
    ck_assert_int_eq(rhythm.period_ns, PERIOD_NS);
    rhythm_observe(&rhythm, 1, rhythm.phase_ns + PERIOD_NS);
    ck_assert(!rhythm_plan(&rhythm, &plan));
}
END_TEST

START_TEST(one_late_frame_hardly_moves_the_prediction)
{
    uint64_t random = 1;
    struct rhythm rhythm = {0};
    struct rhythm_plan plan;

    feed(&rhythm, 50, 0, &random);
    int64_t due_ns = rhythm.phase_ns + 2 * PERIOD_NS;
    rhythm_observe(&rhythm, rhythm.seq + 1, rhythm.phase_ns + PERIOD_NS + 3 * NS_PER_MS);
    ck_assert(rhythm_plan(&rhythm, &plan));
    ck_assert_int_eq(plan.wake_ns + rhythm.guard_ns, due_ns);
}
END_TEST

/* A machine on which waking takes `lateness`: the mean spin must settle at its share. */
static int64_t settled_spin_ns(int64_t lateness_ns)
{
    uint64_t random = 1;
    struct rhythm rhythm = {0};
    int64_t spun_ns = 0;

    feed(&rhythm, 30, 0, &random);
    for (unsigned i = 0; i < 1000; i++) {
        spun_ns = rhythm.guard_ns > lateness_ns ? rhythm.guard_ns - lateness_ns : 0;
        rhythm_learn(&rhythm, spun_ns, true);
    }
    return spun_ns;
}

START_TEST(the_guard_follows_what_waking_costs)
{
    int64_t mean_ns = PERIOD_NS / RHYTHM_SPIN_PERIODS_MEAN;

    ck_assert_int_le(llabs(settled_spin_ns(10 * NS_PER_US) - mean_ns), 10);
    ck_assert_int_le(llabs(settled_spin_ns(300 * NS_PER_US) - mean_ns), 10);
    ck_assert_int_eq(settled_spin_ns(PERIOD_NS), 0); /* hopeless, and bounded */
}
END_TEST

START_TEST(spinning_in_vain_ends_the_spinning)
{
    uint64_t random = 1;
    struct rhythm rhythm = {0};
    struct rhythm_plan plan;
    unsigned in_vain = 0;

    feed(&rhythm, 200, 0, &random);
    for (; rhythm_plan(&rhythm, &plan) && in_vain < 100; in_vain++)
        rhythm_learn(&rhythm, 1000, false);
    ck_assert_uint_lt(in_vain, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rhythm");
    TCase *cases = tcase_create("rhythm");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, a_regular_source_is_predicted_within_its_jitter);
    tcase_add_test(cases, a_source_without_rhythm_is_not_predicted);
    tcase_add_test(cases, lost_frames_do_not_break_the_rhythm_a_restart_does);
    tcase_add_test(cases, one_late_frame_hardly_moves_the_prediction);
    tcase_add_test(cases, the_guard_follows_what_waking_costs);
    tcase_add_test(cases, spinning_in_vain_ends_the_spinning);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
