/* SPDX-License-Identifier: Apache-2.0 */
/* simcast-encoder's flags and variables: defaults, order of strength, and refusals that teach. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "encoder/options.h"

static struct options options;
static const struct stage_config *const stage = &options.cameras.stage;

/* Reads "simcast-encoder" with up to three arguments; NULL ends them. */
static enum option_result read_flags(const char *first, const char *second, const char *third)
{
    char program[] = "simcast-encoder";
    char *argv[] = {program, (char *)first, (char *)second, (char *)third, NULL};
    int argc = 1;

    while (argv[argc])
        argc++;
    memset(&options, 0xff, sizeof(options));
    return options_read(argc, argv, &options);
}

static void check_streams(unsigned count, const char *first, const char *second)
{
    ck_assert_uint_eq(options.cameras.name_count, count);
    if (count > 0)
        ck_assert_str_eq(options.cameras.names[0], first);
    if (count > 1)
        ck_assert_str_eq(options.cameras.names[1], second);
}

START_TEST(without_flags_the_defaults_hold)
{
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), OPTION_GO);
    check_streams(1, "front", NULL);
    ck_assert(!options.cameras.all);
    ck_assert_uint_eq(stage->other_count, 2);
    ck_assert_str_eq(stage->dir, "/dev/shm/sdr_os_ipc");
    ck_assert_uint_eq(stage->settings.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(stage->settings.jpeg_quality, 80);
    ck_assert_uint_eq(stage->settings.bitrate_bps, 4000000);
    ck_assert_uint_eq(stage->settings.fps, 0);
    ck_assert_str_eq(stage->settings.preset, "ultrafast");
    ck_assert_int_eq(stage->choice, CODER_AUTO);
    ck_assert(stage->crc && !stage->jpeg_instead);
    ck_assert_uint_eq(stage->packet_bytes_max, 2 * 1024 * 1024);
}
END_TEST

START_TEST(a_flag_beats_the_environment_which_beats_the_default)
{
    setenv("SIMCAST_BITRATE", "2.5", 1);
    setenv("SIMCAST_STREAM", "rear", 1);
    setenv("SIMCAST_NO_CRC", "true", 1);
    ck_assert_int_eq(read_flags("--stream", "left", NULL), OPTION_GO);
    check_streams(1, "left", NULL);
    ck_assert_uint_eq(stage->settings.bitrate_bps, 2500000);
    ck_assert(!stage->crc);
    setenv("SIMCAST_NO_CRC", "0", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), OPTION_GO);
    ck_assert(stage->crc);
    ck_assert_int_eq(read_flags("--no-crc", NULL, NULL), OPTION_GO);
    ck_assert(!stage->crc);
}
END_TEST

START_TEST(auto_falls_back_to_jpeg_and_h264_does_not)
{
    ck_assert_int_eq(read_flags("--codec=auto", NULL, NULL), OPTION_GO);
    ck_assert_uint_eq(stage->settings.codec, VIDEO_CODEC_H264);
    ck_assert(stage->jpeg_instead);
    ck_assert_int_eq(read_flags("--codec=auto", "--codec=h264", NULL), OPTION_GO);
    ck_assert(!stage->jpeg_instead);
    ck_assert_int_eq(read_flags("--codec=hevc", NULL, NULL), OPTION_GO);
    ck_assert_uint_eq(stage->settings.codec, VIDEO_CODEC_HEVC);
    ck_assert_int_eq(read_flags("--codec", "jpeg", "--codec-backend=x264"), OPTION_GO);
    ck_assert_uint_eq(stage->settings.codec, VIDEO_CODEC_JPEG);
    ck_assert_int_eq(stage->choice, CODER_X264);
    ck_assert_uint_eq(stage->jpeg_threads, 0);
    ck_assert_int_eq(read_flags("--jpeg-threads=4", NULL, NULL), OPTION_GO);
    ck_assert_uint_eq(stage->jpeg_threads, 4);
}
END_TEST

START_TEST(streams_add_up_and_flags_replace_the_variable)
{
    setenv("SIMCAST_STREAM", "one two", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), OPTION_GO);
    check_streams(2, "one", "two");
    ck_assert_int_eq(read_flags("--stream=left,right", "--stream=left", NULL), OPTION_GO);
    check_streams(2, "left", "right");
    ck_assert_int_eq(read_flags("--all-streams", "--stream=left", NULL), OPTION_GO);
    check_streams(1, "left", NULL);
    ck_assert(options.cameras.all);
    unsetenv("SIMCAST_STREAM");
    ck_assert_int_eq(read_flags("--all-streams", NULL, NULL), OPTION_GO);
    check_streams(0, NULL, NULL);
}
END_TEST

START_TEST(renditions_are_added_replaced_and_removed_by_name)
{
    ck_assert_int_eq(read_flags("--rendition=preview=jpeg,640x360,quality=60,fps=15", NULL, NULL),
                     OPTION_GO);
    ck_assert_uint_eq(stage->other_count, 3);
    ck_assert_str_eq(stage->others[2].name, "preview");
    ck_assert_uint_eq(stage->others[2].settings.width, 640);
    ck_assert_int_eq(read_flags("--rendition=jpeg=none", "--rendition=h264=jpeg", NULL), OPTION_GO);
    ck_assert_uint_eq(stage->other_count, 1);
    ck_assert_str_eq(stage->others[0].name, "h264");
    ck_assert_uint_eq(stage->others[0].settings.codec, VIDEO_CODEC_JPEG);
    ck_assert_int_eq(read_flags("--rendition=small=hevc,640x360", NULL, NULL), OPTION_GO);
    ck_assert_str_eq(stage->others[2].name, "small");
    ck_assert_uint_eq(stage->others[2].settings.codec, VIDEO_CODEC_HEVC);
    setenv("SIMCAST_RENDITIONS", "a=jpeg  b=h264,preset=p2 ", 1);
    ck_assert_int_eq(read_flags("--rendition=a=none", NULL, NULL), OPTION_GO);
    ck_assert_uint_eq(stage->other_count, 3);
    ck_assert_str_eq(stage->others[2].name, "b");
    setenv("SIMCAST_RENDITIONS", "a=jpeg b=jpeg c=jpeg d=jpeg e=jpeg", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), OPTION_GO);
    ck_assert_int_eq(read_flags("--rendition=f=jpeg", NULL, NULL), OPTION_WRONG);
}
END_TEST

START_TEST(a_packet_slot_may_have_64_mib)
{
    ck_assert_int_eq(read_flags("--packet-bytes-max=67108864", NULL, NULL), OPTION_GO);
    ck_assert_uint_eq(stage->packet_bytes_max, 64 * 1024 * 1024);
}
END_TEST

static const char *const wrong[] = {
    "--codec=vp9",
    "--codec-backend=vaapi",
    "--jpeg-quality=0",
    "--jpeg-quality=80.5",
    "--jpeg-threads=9",
    "--jpeg-threads=-1",
    "--bitrate=nan",
    "--bitrate=",
    "--fps=-1",
    "--preset=fastest",
    "--stream=../x",
    "--stream=",
    "--stream=a+b",
    "--ipc-dir=",
    "--fps",
    "--packet-bytes-max=4095",
    "--packet-bytes-max=67108865",
    "--rendition=x",
    "--packet-bytes-max=1e99",
    "--log-level=loud",
    "--rendition=x=h264,preset=no",
    "--intra-refresh=what",
    "--no-crc=yes",
    "--nosuch",
    "stray",
};

/* base/options.h says them by name, which its own test reads. */
START_TEST(a_wrong_flag_is_refused)
{
    ck_assert_int_eq(read_flags(wrong[_i], NULL, NULL), OPTION_WRONG);
    ck_assert_int_eq((int)options.log_level, -1); /* outputs are untouched on failure */
}
END_TEST

START_TEST(a_wrong_variable_is_refused)
{
    setenv("SIMCAST_JPEG_QUALITY", "best", 1);
    ck_assert_int_eq(read_flags(NULL, NULL, NULL), OPTION_WRONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encoder options");
    TCase *cases = tcase_create("options");

    tcase_add_test(cases, without_flags_the_defaults_hold);
    tcase_add_test(cases, a_flag_beats_the_environment_which_beats_the_default);
    tcase_add_test(cases, auto_falls_back_to_jpeg_and_h264_does_not);
    tcase_add_test(cases, streams_add_up_and_flags_replace_the_variable);
    tcase_add_test(cases, renditions_are_added_replaced_and_removed_by_name);
    tcase_add_test(cases, a_packet_slot_may_have_64_mib);
    tcase_add_loop_test(cases, a_wrong_flag_is_refused, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(cases, a_wrong_variable_is_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
