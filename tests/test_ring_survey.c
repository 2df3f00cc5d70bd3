/* SPDX-License-Identifier: Apache-2.0 */
/* What two looks at a ring tell, and which names are names of rings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "cli/ring_survey.h"

static struct survey_stream stream;

/* A look at `ms`, when the newest frame was `newest`, published at `published_ms` (0: not seen). */
static struct survey_look look_at(int64_t ms, uint64_t newest, int64_t published_ms)
{
    struct survey_look look = {.time_ns = ms * NS_PER_MS, .info.newest = newest};

    look.has_frame = published_ms > 0;
    look.frame.seq = newest;
    look.frame.stamp_ns[RING_STAGE_PUBLISHED] = published_ms * NS_PER_MS;
    return look;
}

static double rate_between(struct survey_look before, struct survey_look now)
{
    stream = (struct survey_stream){.before = before, .now = now};
    return survey_rate(&stream);
}

START_TEST(the_rate_is_that_of_the_publish_stamps)
{
    /* 14 periods of 1/30 s fit the window, which alone would say 28. */
    ck_assert_double_eq_tol(rate_between(look_at(1000, 100, 980), look_at(1500, 114, 1447)), 30,
                            0.1);
}
END_TEST

START_TEST(without_stamps_the_window_counts)
{
    ck_assert_double_eq_tol(rate_between(look_at(1000, 100, 0), look_at(1500, 114, 0)), 28, 0.01);
    ck_assert_double_eq(rate_between(look_at(1000, 100, 980), look_at(1500, 100, 980)), 0);
    /* It stood still for long before: that time must not dilute the rate. */
    ck_assert_double_eq_tol(rate_between(look_at(100000, 100, 20), look_at(100500, 114, 100490)),
                            28, 0.01);
}
END_TEST

START_TEST(a_restart_or_a_dead_ring_has_no_rate)
{
    struct survey_look now = look_at(1500, 3, 0);

    now.info.epoch = 1;
    ck_assert_double_eq(rate_between(look_at(1000, 100, 0), now), 0);
    now = look_at(1500, 200, 0);
    now.error = -ECONNREFUSED;
    ck_assert_double_eq(rate_between(look_at(1000, 100, 0), now), 0);
    ck_assert_double_eq(rate_between((struct survey_look){0}, look_at(1500, 3, 0)), 0);
}
END_TEST

START_TEST(spinning_is_told_per_consumer_of_a_process)
{
    struct survey_look before = look_at(1000, 1, 0);
    struct survey_look now = look_at(2000, 1, 0);

    before.info.consumer_count = 3;
    now.info.consumer_count = 4;
    before.info.consumers[0] = (struct ring_consumer_info){.pid = 10, .spin_ns = 5};
    before.info.consumers[1] = (struct ring_consumer_info){.pid = 20, .spin_ns = NS_PER_S};
    before.info.consumers[2] = (struct ring_consumer_info){.pid = 20, .spin_ns = 0};
    now.info.consumers[0] = (struct ring_consumer_info){.pid = 20, .spin_ns = NS_PER_S};
    now.info.consumers[1] = (struct ring_consumer_info){.pid = 20, .spin_ns = NS_PER_S / 4};
    now.info.consumers[2] = (struct ring_consumer_info){.pid = 30, .spin_ns = NS_PER_S};
    now.info.consumers[3] = (struct ring_consumer_info){.pid = 10, .spin_ns = 1};
    stream = (struct survey_stream){.before = before, .now = now};
    ck_assert_double_eq(survey_spin_percent(&stream, 0), 0);
    ck_assert_double_eq_tol(survey_spin_percent(&stream, 1), 25, 0.01);
    ck_assert_double_eq(survey_spin_percent(&stream, 2), 0); /* new: nothing to compare with */
    ck_assert_double_eq(survey_spin_percent(&stream, 3), 0); /* it ran backwards: attached anew */
}
END_TEST

START_TEST(names_of_streams_are_told_from_others)
{
    static const char *const wrong[] = {"",
                                        ".frames",
                                        "front.",
                                        "front.bogus",
                                        "a/b",
                                        "front..",
                                        "front.frames.x",
                                        "../front",
                                        "a-name-that-is-longer-than-any-stream-may-be"};
    char name[RING_STREAM_BYTES];
    enum ring_kind kind;

    ck_assert_int_eq(survey_parse("front", name, &kind), 0);
    ck_assert_int_eq(kind, RING_KIND_COUNT);
    for (unsigned i = 0; i < RING_KIND_COUNT; i++) {
        char whole[SURVEY_NAME_BYTES];
        snprintf(whole, sizeof(whole), "left_2.%s", survey_kind_name((enum ring_kind)i));
        ck_assert_int_eq(survey_parse(whole, name, &kind), 0);
        ck_assert_str_eq(name, "left_2");
        ck_assert_uint_eq(kind, i);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(survey_parse(wrong[i], name, &kind) == -EINVAL, "'%s' is taken", wrong[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_survey");
    TCase *cases = tcase_create("ring_survey");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, the_rate_is_that_of_the_publish_stamps);
    tcase_add_test(cases, without_stamps_the_window_counts);
    tcase_add_test(cases, a_restart_or_a_dead_ring_has_no_rate);
    tcase_add_test(cases, spinning_is_told_per_consumer_of_a_process);
    tcase_add_test(cases, names_of_streams_are_told_from_others);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
