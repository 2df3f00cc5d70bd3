/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/config.h: what beats what, and what a wrong setting is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "daemon/config.h"

static const char *environment[8][2];
static char file_path[] = "/tmp/simcast-test-config-XXXXXX";
static char error[CONFIG_ERROR_BYTES];
static struct config config;

static const char *fake_getenv(const char *name)
{
    for (size_t i = 0; i < 8; i++) {
        if (environment[i][0] && strcmp(environment[i][0], name) == 0)
            return environment[i][1];
    }
    return NULL;
}

static void set_up(void)
{
    strcpy(file_path + strlen(file_path) - 6, "XXXXXX");
    int fd = mkstemp(file_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    memset(environment, 0, sizeof(environment));
    error[0] = '\0';
}

static void tear_down(void)
{
    unlink(file_path);
}

static void write_file(const char *text)
{
    FILE *file = fopen(file_path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* Loads with the file above and up to three more arguments. */
static enum config_outcome load(const char *one, const char *two, const char *three)
{
    char *argv[] = {(char *)"simcastd", (char *)"--config", file_path, (char *)one,
                    (char *)two,        (char *)three,      NULL};
    int argc = 3 + (one != NULL) + (two != NULL) + (three != NULL);

    return config_load(argc, argv, fake_getenv, &config, error);
}

START_TEST(defaults_are_those_of_the_example_file)
{
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.listen, "127.0.0.1:8080");
    ck_assert_str_eq(config.ipc_dir, "/dev/shm/sdr_os_ipc");
    ck_assert_str_eq(config.stream, "front");
    ck_assert_str_eq(config.bus_url, "");
    ck_assert_int_eq(config.video_source, VIDEO_SOURCE_AUTO);
    ck_assert_str_eq(config.legacy_path, "/dev/shm/sdr_os_ipc/frames");
    ck_assert_uint_eq(config.legacy_bytes, 4194304);
    ck_assert(config.legacy_crc);
    ck_assert(!config.insecure);
    ck_assert_uint_eq(config.keyframe_coalesce_ms, 500);
    ck_assert_uint_eq(config.keyframe_timeout_ms, 5000);
    ck_assert_str_eq(config.telemetry_subjects, "telemetry.>");
    ck_assert_uint_eq(config.telemetry_bytes_max, 65536);
    ck_assert_uint_eq(config.telemetry_queue, 64);
    ck_assert_uint_eq(config.gate_hold_ms, 1000);
    ck_assert_uint_eq(config.gate_estop_ms, 5000);
    ck_assert_uint_eq(config.gate_codec_grace_ms, 2000);
}
END_TEST

START_TEST(flags_beat_environment_beats_file)
{
    write_file("stream: file\nipc_dir: /file\nvideo:\n  source: ring\n");
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.stream, "file");
    ck_assert_int_eq(config.video_source, VIDEO_SOURCE_RING);

    environment[0][0] = "SIMCAST_STREAM";
    environment[0][1] = "environment";
    environment[1][0] = "SIMCAST_VIDEO_SOURCE";
    environment[1][1] = "legacy";
    ck_assert_int_eq(load("--stream", "flag", NULL), CONFIG_RUN);
    ck_assert_str_eq(config.stream, "flag");
    ck_assert_int_eq(config.video_source, VIDEO_SOURCE_LEGACY);
    ck_assert_str_eq(config.ipc_dir, "/file");
}
END_TEST

START_TEST(own_variables_beat_the_replaced_services)
{
    environment[0][0] = "SDR_NATS_URL";
    environment[0][1] = "nats://nats:4222";
    environment[1][0] = "SDR_VIDEO_GATE_HOLD_MS";
    environment[1][1] = "700";
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.bus_url, "nats://nats:4222");
    ck_assert_uint_eq(config.gate_hold_ms, 700);

    environment[2][0] = "SIMCAST_BUS_URL";
    environment[2][1] = "nats://own:4222";
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.bus_url, "nats://own:4222");
}
END_TEST

START_TEST(sections_may_be_empty_and_the_file_too)
{
    write_file("video:\ngate:\n  hold_ms: 900\ntelemetry:\n");
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_uint_eq(config.gate_hold_ms, 900);
    write_file("# nothing but a remark\n");
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
}
END_TEST

static const struct {
    const char *file;
    const char *flag;
    const char *words[3]; /* all stand in the message */
} faults[] = {
    {"lisen: x\n", NULL, {"lisen", "line: 1"}},
    {"video:\n  sauce: ring\n", NULL, {"sauce", "line: 2", "video"}},
    {"listen: [a\n", NULL, {"config"}},
    {"video: 3\n", NULL, {"video", "line: 1"}},
    {"video:\n  source: tape\n", NULL, {"video.source", "auto, ring, legacy", "tape"}},
    {"gate:\n  hold_ms: soon\n", NULL, {"gate.hold_ms", "100 to 60000", "soon"}},
    {"gate:\n  hold_ms: 99999999999999999999\n", NULL, {"gate.hold_ms", "100 to 60000"}},
    {"insecure: perhaps\n", NULL, {"insecure", "true or false", "perhaps"}},
    {"", "--keyframe-timeout-ms=-1", {"--keyframe-timeout-ms", "whole number", "-1"}},
    {"", "--listen=0.0.0.0:8080", {"0.0.0.0:8080", "--insecure"}},
    {"", "--listen=[::]:8080", {"[::]:8080", "--insecure"}},
    {"", "--listen=8080", {"ADDRESS:PORT", "8080"}},
    {"", "--listen=127.0.0.1:65536", {"ADDRESS:PORT"}},
    {"", "--listen=example.com:80", {"ADDRESS:PORT"}},
    {"", "--bus=http://x", {"bus_url", "nats://", "http://x"}},
    {"", "--stream=a/b", {"stream", "a/b"}},
    {"", "--gate-estop-ms=1000", {"estop_ms (1000)", "hold_ms (1000)"}},
    {"", "--nonsense", {"--nonsense", "--help"}},
    {"", "--stream", {"--stream", "missing"}},
    {"", "left over", {"left over", "--help"}},
};

START_TEST(a_fault_is_named_with_what_was_expected)
{
    write_file(faults[_i].file);
    ck_assert_int_eq(load(faults[_i].flag, NULL, NULL), CONFIG_INVALID);
    for (size_t i = 0; i < 3 && faults[_i].words[i]; i++)
        ck_assert_msg(strstr(error, faults[_i].words[i]), "'%s' is not in '%s'",
                      faults[_i].words[i], error);
}
END_TEST

START_TEST(a_text_too_long_is_refused)
{
    char flag[CONFIG_TEXT_BYTES + 32] = "--web-dir=";

    memset(flag + strlen(flag), 'x', CONFIG_TEXT_BYTES - 1);
    ck_assert_int_eq(load(flag, NULL, NULL), CONFIG_RUN);
    strcat(flag, "x");
    ck_assert_int_eq(load(flag, NULL, NULL), CONFIG_INVALID);
}
END_TEST

START_TEST(a_file_that_was_asked_for_must_exist)
{
    unlink(file_path);
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_INVALID);
    ck_assert_ptr_nonnull(strstr(error, file_path));
}
END_TEST

START_TEST(loopback_addresses_need_no_leave)
{
    static const char *const flags[] = {"--listen=127.1.2.3:1", "--listen=[::1]:0",
                                        "--listen=localhost:80"};

    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(load(flags[i], NULL, NULL), CONFIG_RUN);
    ck_assert_int_eq(load("--listen=0.0.0.0:80", "--insecure", NULL), CONFIG_RUN);
    ck_assert_int_eq(load("--listen=0.0.0.0:80", "--insecure=false", NULL), CONFIG_INVALID);
}
END_TEST

START_TEST(check_config_checks_and_runs_nothing)
{
    ck_assert_int_eq(load("--check-config", NULL, NULL), CONFIG_EXIT_OK);
    ck_assert_int_eq(load("--check-config", "--stream=a/b", NULL), CONFIG_INVALID);
    ck_assert_int_eq(load("--help", NULL, NULL), CONFIG_EXIT_OK);
    ck_assert_int_eq(load("--version", NULL, NULL), CONFIG_EXIT_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, defaults_are_those_of_the_example_file);
    tcase_add_test(tcase, flags_beat_environment_beats_file);
    tcase_add_test(tcase, own_variables_beat_the_replaced_services);
    tcase_add_test(tcase, sections_may_be_empty_and_the_file_too);
    tcase_add_loop_test(tcase, a_fault_is_named_with_what_was_expected, 0,
                        (int)(sizeof(faults) / sizeof(faults[0])));
    tcase_add_test(tcase, a_text_too_long_is_refused);
    tcase_add_test(tcase, a_file_that_was_asked_for_must_exist);
    tcase_add_test(tcase, loopback_addresses_need_no_leave);
    tcase_add_test(tcase, check_config_checks_and_runs_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
