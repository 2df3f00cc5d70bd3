/* SPDX-License-Identifier: Apache-2.0 */
/* Renditions as people write them: what is read, and what is said of what cannot be. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "encoder/rendition_spec.h"

static struct rendition_spec spec;
static char reason[RENDITION_REASON_BYTES];

START_TEST(every_option_is_read)
{
    ck_assert_int_eq(rendition_spec_parse("pre-view=jpeg,640x360,quality=60,fps=15", &spec, reason),
                     0);
    ck_assert_str_eq(spec.name, "pre-view");
    ck_assert_uint_eq(spec.settings.codec, VIDEO_CODEC_JPEG);
    ck_assert_uint_eq(spec.settings.width, 640);
    ck_assert_uint_eq(spec.settings.height, 360);
    ck_assert_uint_eq(spec.settings.jpeg_quality, 60);
    ck_assert_uint_eq(spec.settings.fps, 15);
    ck_assert_int_eq(rendition_spec_parse("b=h264,bitrate=1.5,preset=veryfast", &spec, reason), 0);
    ck_assert_uint_eq(spec.settings.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(spec.settings.bitrate_bps, 1500000);
    ck_assert_str_eq(spec.settings.preset, "veryfast");
    ck_assert_uint_eq(spec.settings.width, 0); /* nothing is left of the one before */
    ck_assert_int_eq(rendition_spec_parse("best=hevc,bitrate=8", &spec, reason), 0);
    ck_assert_uint_eq(spec.settings.codec, VIDEO_CODEC_HEVC);
    ck_assert_uint_eq(spec.settings.bitrate_bps, 8000000);
    ck_assert_int_eq(rendition_spec_parse("jpeg=none", &spec, reason), 0);
    ck_assert_uint_eq(spec.settings.codec, 0);
}
END_TEST

static const struct {
    const char *text;
    const char *named; /* what the reason must name */
} wrong[] = {
    {"", "name"},
    {"=jpeg", "name"},
    {"front+x=jpeg", "name"},
    {"a-name-that-is-too-long=jpeg", "name"},
    {"x", "name"},
    {"x=", "h264"},
    {"x=vp9", "h264, hevc, jpeg, none"},
    {"x=jpeg,", "WIDTHxHEIGHT"},
    {"x=jpeg,641x360", "WIDTHxHEIGHT"},
    {"x=jpeg,640x8", "WIDTHxHEIGHT"},
    {"x=jpeg,640", "WIDTHxHEIGHT"},
    {"x=jpeg,9999999999x2", "WIDTHxHEIGHT"},
    {"x=jpeg,quality=0", "1 to 100"},
    {"x=jpeg,fps=0", "1 to 240"},
    {"x=jpeg,fps=nan", "1 to 240"},
    {"x=h264,bitrate=", "Mbit/s"},
    {"x=h264,preset=", "preset"},
    {"x=h264,preset=0123456789abcdef", "preset"},
    {"x=h264,nosuch=1", "nosuch"},
};

START_TEST(what_cannot_be_read_is_named_with_what_is_allowed)
{
    struct rendition_spec untouched = {.name = "before"};

    ck_assert_int_eq(rendition_spec_parse(wrong[_i].text, &untouched, reason), -EINVAL);
    ck_assert_msg(strstr(reason, wrong[_i].named), "%s: \"%s\"", wrong[_i].text, reason);
    ck_assert_str_eq(untouched.name, "before");
}
END_TEST

START_TEST(a_text_of_any_length_is_refused_and_not_cut)
{
    char text[600];

    memset(text, '1', sizeof(text));
    memcpy(text, "x=jpeg,fps=", 11);
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(rendition_spec_parse(text, &spec, reason), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rendition spec");
    TCase *cases = tcase_create("rendition spec");

    tcase_add_test(cases, every_option_is_read);
    tcase_add_loop_test(cases, what_cannot_be_read_is_named_with_what_is_allowed, 0,
                        sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(cases, a_text_of_any_length_is_refused_and_not_cut);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
