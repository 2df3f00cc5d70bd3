/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames are encoded, and which of them are keyframes; simulated time only. */
#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "base/clock.h"
#include "encoder/keyframes.h"
#include "encoder/pace.h"

#define BEGIN_NS (1000 * NS_PER_S)

struct source {
    double fps;
    double jitter; /* in periods, either way */
    double seconds;
};

/* Frames taken of a source under a limit. */
static unsigned taken(struct pace *pace, struct source source, unsigned limit_fps)
{
    unsigned seed = 7;
    unsigned count = 0;
    unsigned frames = (unsigned)(source.fps * source.seconds);

    pace_init(pace);
    pace_limit(pace, limit_fps);
    for (unsigned i = 0; i < frames; i++) {
        double jitter = (2.0 * rand_r(&seed) / RAND_MAX - 1) * source.jitter;
        count += pace_take(pace, BEGIN_NS + (int64_t)((i + jitter) / source.fps * 1e9));
    }
    return count;
}

START_TEST(without_a_limit_every_frame_is_taken)
{
    struct pace pace;

    ck_assert_uint_eq(taken(&pace, (struct source){120, 0.4, 10}, 0), 1200);
    ck_assert_uint_eq(pace_rate_fps(&pace), 120);
}
END_TEST

START_TEST(a_source_at_the_limit_loses_nothing_to_jitter)
{
    struct pace pace;

    ck_assert_uint_eq(taken(&pace, (struct source){30, 0, 100}, 30), 3000);
    ck_assert_uint_eq(taken(&pace, (struct source){30, 0.24, 100}, 30), 3000);
    ck_assert_uint_eq(taken(&pace, (struct source){31, 0.2, 100}, 30), 3100);
    ck_assert_uint_eq(taken(&pace, (struct source){12, 0.2, 100}, 30), 1200);
}
END_TEST

START_TEST(a_faster_source_is_held_to_the_limit)
{
    struct pace pace;

    for (unsigned fps = 40; fps <= 240; fps += 20) {
        unsigned count = taken(&pace, (struct source){fps, 0.2, 100}, 30);
        ck_assert_msg(count >= 2950 && count <= 3200, "%u of %u fps", count, fps);
    }
    ck_assert_uint_le(abs((int)pace_rate_fps(&pace) - 30), 4);
}
END_TEST

START_TEST(a_pause_is_not_followed_by_a_burst)
{
    struct pace pace;
    unsigned count = 0;

    taken(&pace, (struct source){30, 0, 1}, 30);
    for (unsigned i = 0; i < 100; i++) /* 100 frames within a tenth of a second */
        count += pace_take(&pace, BEGIN_NS + 60 * NS_PER_S + i * NS_PER_MS);
    ck_assert_uint_le(count, 5);
}
END_TEST

START_TEST(the_rate_follows_the_source_but_not_its_jitter)
{
    struct pace pace;

    taken(&pace, (struct source){32, 0.2, 10}, 0);
    ck_assert_uint_eq(pace_rate_fps(&pace), 30); /* within an eighth of what it was */
    for (unsigned i = 0; i < 60; i++)
        pace_take(&pace, BEGIN_NS + 11 * NS_PER_S + i * NS_PER_S / 60);
    ck_assert_uint_eq(pace_rate_fps(&pace), 60);
    pace_take(&pace, BEGIN_NS + 100 * NS_PER_S); /* a pause says nothing about the rate */
    ck_assert_uint_eq(pace_rate_fps(&pace), 60);
    taken(&pace, (struct source){0.5, 0, 60}, 0);
    ck_assert_uint_ge(pace_rate_fps(&pace), 1);
}
END_TEST

START_TEST(time_that_runs_backwards_does_no_harm)
{
    struct pace pace;

    pace_init(&pace);
    pace_limit(&pace, 30);
    ck_assert(pace_take(&pace, BEGIN_NS));
    pace_take(&pace, 1);
    pace_take(&pace, INT64_MAX / 4);
    ck_assert(pace_take(&pace, INT64_MAX / 4 + NS_PER_S));
    ck_assert_uint_ge(pace_rate_fps(&pace), 1);
}
END_TEST

/* Pictures at 30 fps; returns how many were keyframes, and when the last was. */
static unsigned keyframes_in(struct keyframes *keyframes, int64_t from_ns, int64_t to_ns)
{
    unsigned count = 0;

    for (int64_t now_ns = from_ns; now_ns < to_ns; now_ns += NS_PER_S / 30) {
        if (!keyframes_due(keyframes, now_ns))
            continue;
        keyframes_coded(keyframes, now_ns);
        count++;
    }
    return count;
}

START_TEST(a_keyframe_comes_first_and_then_every_two_seconds)
{
    struct keyframes keyframes;

    keyframes_init(&keyframes);
    ck_assert(keyframes_due(&keyframes, 1));
    ck_assert_uint_eq(keyframes_in(&keyframes, BEGIN_NS, BEGIN_NS + NS_PER_S), 1);
    ck_assert_int_eq(keyframes.last_ns, BEGIN_NS);
    ck_assert_uint_eq(keyframes_in(&keyframes, BEGIN_NS + NS_PER_S, BEGIN_NS + 2 * NS_PER_S), 1);
    ck_assert_int_le(keyframes.last_ns, BEGIN_NS + 2 * NS_PER_S);
}
END_TEST

START_TEST(pictures_that_renew_themselves_have_keyframes_only_when_asked)
{
    struct keyframes keyframes;

    keyframes_init(&keyframes);
    keyframes.endless = true;
    ck_assert_uint_eq(keyframes_in(&keyframes, BEGIN_NS, BEGIN_NS + 100 * NS_PER_S), 1);
    keyframes_ask(&keyframes);
    ck_assert_uint_eq(
        keyframes_in(&keyframes, BEGIN_NS + 100 * NS_PER_S, BEGIN_NS + 200 * NS_PER_S), 1);
}
END_TEST

START_TEST(many_who_ask_share_one_keyframe_per_half_second)
{
    struct keyframes keyframes;
    unsigned count = 0;

    keyframes_init(&keyframes);
    keyframes_coded(&keyframes, BEGIN_NS);
    for (unsigned i = 1; i <= 300; i++) { /* asked before each of 300 pictures in 10 s */
        keyframes_ask(&keyframes);
        int64_t now_ns = BEGIN_NS + i * NS_PER_S / 30;
        count += keyframes_in(&keyframes, now_ns, now_ns + 1);
    }
    ck_assert_uint_ge(count, 18);
    ck_assert_uint_le(count, 20);
}
END_TEST

START_TEST(who_asks_too_early_is_served_later_not_forgotten)
{
    struct keyframes keyframes;

    keyframes_init(&keyframes);
    keyframes_coded(&keyframes, BEGIN_NS);
    keyframes_ask(&keyframes);
    ck_assert(!keyframes_due(&keyframes, BEGIN_NS + 499 * NS_PER_MS));
    ck_assert(keyframes_due(&keyframes, BEGIN_NS + 500 * NS_PER_MS));
    keyframes_coded(&keyframes, BEGIN_NS + 500 * NS_PER_MS);
    ck_assert(!keyframes_due(&keyframes, BEGIN_NS + 1500 * NS_PER_MS));
}
END_TEST

START_TEST(a_loss_needs_a_keyframe_at_once)
{
    struct keyframes keyframes;

    keyframes_init(&keyframes);
    keyframes_coded(&keyframes, BEGIN_NS);
    keyframes_need(&keyframes);
    ck_assert(keyframes_due(&keyframes, BEGIN_NS + 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *cases = tcase_create("pace");

    tcase_add_test(cases, without_a_limit_every_frame_is_taken);
    tcase_add_test(cases, a_source_at_the_limit_loses_nothing_to_jitter);
    tcase_add_test(cases, a_faster_source_is_held_to_the_limit);
    tcase_add_test(cases, a_pause_is_not_followed_by_a_burst);
    tcase_add_test(cases, the_rate_follows_the_source_but_not_its_jitter);
    tcase_add_test(cases, time_that_runs_backwards_does_no_harm);
    tcase_add_test(cases, a_keyframe_comes_first_and_then_every_two_seconds);
    tcase_add_test(cases, pictures_that_renew_themselves_have_keyframes_only_when_asked);
    tcase_add_test(cases, many_who_ask_share_one_keyframe_per_half_second);
    tcase_add_test(cases, who_asks_too_early_is_served_later_not_forgotten);
    tcase_add_test(cases, a_loss_needs_a_keyframe_at_once);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    printf("seed 7\n");
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
