/* SPDX-License-Identifier: Apache-2.0 */
/* simcast-encoder's flags and variables: defaults, order of strength, and refusals that teach. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "encoder/options.h"

static struct options options;
static char reason[OPTIONS_REASON_BYTES];

/* Reads "simcast-encoder" with up to three arguments; NULL ends them. */
static int read_flags(const char *first, const char *second, const char *third)
{
    char program[] = "simcast-encoder";
    char *argv[] = {program, (char *)first, (char *)second, (char *)third, NULL};
    int argc = 1;

    while (argv[argc])
        argc++;
    memset(&options, 0xff, sizeof(options));
    reason[0] = '\0';
    return options_read(argc, argv, &options, reason);
}

START_TEST(without_flags_the_defaults_hold)
{
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), 0);
    ck_assert_str_eq(options.stage.stream, "front");
    ck_assert_str_eq(options.stage.dir, "/dev/shm/sdr_os_ipc");
    ck_assert_uint_eq(options.stage.settings.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(options.stage.settings.jpeg_quality, 80);
    ck_assert_uint_eq(options.stage.settings.bitrate_bps, 4000000);
    ck_assert_uint_eq(options.stage.settings.fps, 0);
    ck_assert_str_eq(options.stage.settings.preset, "ultrafast");
    ck_assert_int_eq(options.stage.choice, CODER_AUTO);
    ck_assert(options.stage.crc && !options.stage.jpeg_instead);
    ck_assert_uint_eq(options.stage.packet_bytes_max, 2 * 1024 * 1024);
    ck_assert_int_eq(options.request, OPTIONS_RUN);
}
END_TEST

START_TEST(a_flag_beats_the_environment_which_beats_the_default)
{
    setenv("SIMCAST_BITRATE", "2.5", 1);
    setenv("SIMCAST_STREAM", "rear", 1);
    setenv("SIMCAST_NO_CRC", "true", 1);
    ck_assert_int_eq(read_flags("--stream", "left", NULL), 0);
    ck_assert_str_eq(options.stage.stream, "left");
    ck_assert_uint_eq(options.stage.settings.bitrate_bps, 2500000);
    ck_assert(!options.stage.crc);
    setenv("SIMCAST_NO_CRC", "0", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), 0);
    ck_assert(options.stage.crc);
    ck_assert_int_eq(read_flags("--no-crc", NULL, NULL), 0);
    ck_assert(!options.stage.crc);
}
END_TEST

START_TEST(auto_falls_back_to_jpeg_and_h264_does_not)
{
    ck_assert_int_eq(read_flags("--codec=auto", NULL, NULL), 0);
    ck_assert_uint_eq(options.stage.settings.codec, VIDEO_CODEC_H264);
    ck_assert(options.stage.jpeg_instead);
    ck_assert_int_eq(read_flags("--codec=auto", "--codec=h264", NULL), 0);
    ck_assert(!options.stage.jpeg_instead);
    ck_assert_int_eq(read_flags("--codec", "jpeg", "--codec-backend=x264"), 0);
    ck_assert_uint_eq(options.stage.settings.codec, VIDEO_CODEC_JPEG);
    ck_assert_int_eq(options.stage.choice, CODER_X264);
    ck_assert_uint_eq(options.stage.jpeg_threads, 0);
    ck_assert_int_eq(read_flags("--jpeg-threads=4", NULL, NULL), 0);
    ck_assert_uint_eq(options.stage.jpeg_threads, 4);
}
END_TEST

static const struct {
    const char *argument;
    const char *named; /* what the reason must name */
} wrong[] = {
    {"--codec=hevc", "jpeg or auto"},
    {"--codec-backend=vaapi", "--codec-backend"},
    {"--jpeg-quality=0", "1 to 100"},
    {"--jpeg-quality=80.5", "1 to 100"},
    {"--jpeg-threads=9", "0 to 8"},
    {"--jpeg-threads=-1", "0 to 8"},
    {"--bitrate=nan", "Mbit/s"},
    {"--bitrate=", "Mbit/s"},
    {"--fps=-1", "0 to 240"},
    {"--preset=fastest", "ultrafast"},
    {"--stream=../x", "letters"},
    {"--stream=", "letters"},
    {"--ipc-dir=", "directory"},
    {"--packet-bytes-max=4095", "4096"},
    {"--packet-bytes-max=1e99", "4096"},
    {"--log-level=loud", "debug"},
    {"--fps", "needs a value"},
    {"--no-crc=yes", "--no-crc"},
    {"--nosuch", "--nosuch"},
    {"stray", "stray"},
};

START_TEST(a_wrong_flag_is_refused_by_name_with_what_is_allowed)
{
    ck_assert_int_eq(read_flags(wrong[_i].argument, NULL, NULL), -EINVAL);
    ck_assert_msg(strstr(reason, wrong[_i].named), "%s: \"%s\"", wrong[_i].argument, reason);
    ck_assert_int_eq((int)options.log_level, -1); /* outputs are untouched on failure */
}
END_TEST

START_TEST(a_wrong_variable_is_refused_by_name)
{
    setenv("SIMCAST_JPEG_QUALITY", "best", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(reason, "SIMCAST_JPEG_QUALITY"));
    ck_assert_ptr_nonnull(strstr(reason, "1 to 100"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoder options");
    TCase *cases = tcase_create("options");

    tcase_add_test(cases, without_flags_the_defaults_hold);
    tcase_add_test(cases, a_flag_beats_the_environment_which_beats_the_default);
    tcase_add_test(cases, auto_falls_back_to_jpeg_and_h264_does_not);
    tcase_add_loop_test(cases, a_wrong_flag_is_refused_by_name_with_what_is_allowed, 0,
                        sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(cases, a_wrong_variable_is_refused_by_name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
