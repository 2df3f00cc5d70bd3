/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/config.h: what beats what, and what a wrong setting is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "daemon/config.h"
#include "daemon/config_table.h"

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
    {"lisen: x\n", NULL, {"simcast-test-config", ":1: ", "lisen"}},
    {"video:\n  sauce: ring\n", NULL, {":2: 'sauce'", "expected a key of this section"}},
    {"listen: [a\n", NULL, {":2: ", "expected YAML"}},
    {"video: 3\n", NULL, {":1: 'video'", "indented"}},
    {"- a\n", NULL, {":1: ", "KEY: VALUE"}},
    {"stream:\n  - a\n", NULL, {":1: 'stream'", "one value"}},
    {"stream: a\n\nstream: b\n", NULL, {":3: 'stream'", "once"}},
    {"video:\n  source: tape\n", NULL, {":2: video.source", "auto, ring, legacy", "tape"}},
    {"gate:\n\n  hold_ms: soon\n", NULL, {":3: gate.hold_ms", "100 to 60000", "soon"}},
    {"gate:\n  hold_ms: 900\n  estop_ms: 800\n", NULL, {":3: gate.estop_ms", "(800)", "(900)"}},
    {"listen: 0.0.0.0:80\n", NULL, {":1: listen", "0.0.0.0:80", "--insecure"}},
    {"\ntls_key: k\n", NULL, {":2: tls_key", "without the other"}},
    {"bus_url: nat://u:secret@h\n", NULL, {":1: bus_url", "expected nats://HOST:PORT"}},
    {"gate:\n  hold_ms: 99999999999999999999\n", NULL, {"gate.hold_ms", "100 to 60000"}},
    {"insecure: perhaps\n", NULL, {"insecure", "true or false", "perhaps"}},
    {"", "--keyframe-timeout-ms=-1", {"--keyframe-timeout-ms", "whole number", "-1"}},
    {"", "--listen=0.0.0.0:8080", {"0.0.0.0:8080", "--insecure"}},
    {"", "--listen=[::]:8080", {"[::]:8080", "--insecure"}},
    {"", "--listen=8080", {"ADDRESS:PORT", "8080"}},
    {"", "--listen=127.0.0.1:65536", {"ADDRESS:PORT"}},
    {"", "--listen=example.com:80", {"ADDRESS:PORT"}},
    {"", "--listen=127.0.0.1:1, unix:there", {"--listen", "unix:/PATH"}},
    {"", "--listen=,", {"--listen", "ADDRESS:PORT"}},
    {"", "--listen=127.0.0.1:1,0.0.0.0:1", {"--listen", "other machines"}},
    {"", "--bus=http://x", {"--bus", "nats://", "http://x"}},
    {"", "--stream=a/b", {"stream", "a/b"}},
    {"gate:\n  speed_max: 1,2\n", NULL, {":2: gate.speed_max", "like 1.0,0.5,1.5", "'1,2'"}},
    {"", "--gate-speed-max=1,-2,3", {"--gate-speed-max", "from 0", "'1,-2,3'"}},
    {"", "--gate-estop-ms=1000", {"--gate-estop-ms", "estop_ms (1000)", "hold_ms (1000)"}},
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
    ck_assert_ptr_null(strstr(error, "secret"));
}
END_TEST

static char example_path[] = SIMCAST_SOURCE_DIR "/daemon/simcastd.yaml";

/* Every key stands in the example file, commented out, with its default. */
START_TEST(the_example_file_names_each_key_and_its_default)
{
    const struct config_key *key = &config_keys[_i];
    static char text[32768];
    char line[256];
    FILE *file = fopen(example_path, "re");

    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    fclose(file);
    snprintf(line, sizeof(line), "\n%s#%s: %s\n", key->file.section[0] != '\0' ? "  " : "",
             key->file.name, key->value[0] != '\0' ? key->value : "\"\"");
    ck_assert_msg(strstr(text, line), "there is no line%s", line);
}
END_TEST

START_TEST(the_example_file_changes_nothing)
{
    static struct config defaults;

    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    defaults = config;
    ck_assert_int_eq(load("--config", example_path, NULL), CONFIG_RUN);
    /* Both began as static memory, so what lies between the members is zero. */
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
    ck_assert_int_eq(memcmp(&defaults, &config, sizeof(config)), 0);
}
END_TEST

/* Each key as a flag, a variable and a line of the file: all three go through the same table. */
START_TEST(each_key_can_be_given_in_three_ways)
{
    const struct config_key *key = &config_keys[_i];
    char flag[256];
    char wrong[CONFIG_TEXT_BYTES + 8];
    char text[CONFIG_TEXT_BYTES + 64];

    memset(wrong, 'x', CONFIG_TEXT_BYTES);
    wrong[CONFIG_TEXT_BYTES] = '\0'; /* too long for a text, and no number */
    snprintf(flag, sizeof(flag), "--%s=%.200s", key->flag, key->type == CONFIG_TEXT ? "" : "x");
    if (key->type != CONFIG_TEXT) {
        ck_assert_int_eq(load(flag, NULL, NULL), CONFIG_INVALID);
        ck_assert_ptr_nonnull(strstr(error, key->flag));
    }
    environment[0][0] = key->environment;
    environment[0][1] = wrong;
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_INVALID);
    ck_assert_ptr_nonnull(strstr(error, key->environment));
    environment[0][0] = NULL;
    if (key->file.section[0] != '\0')
        snprintf(text, sizeof(text), "%s:\n  %s: %s\n", key->file.section, key->file.name, wrong);
    else
        snprintf(text, sizeof(text), "%s: %s\n", key->file.name, wrong);
    write_file(text);
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_INVALID);
    ck_assert_ptr_nonnull(strstr(error, key->file.name));
}
END_TEST

START_TEST(credentials_of_systemd_are_found)
{
    char directory[] = "/tmp/simcast-test-credentials-XXXXXX";
    char path[sizeof(directory) + 32];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    environment[0][0] = "CREDENTIALS_DIRECTORY";
    environment[0][1] = directory;
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.token_file, "");
    snprintf(path, sizeof(path), "%s/simcast.tokens", directory);
    fclose(fopen(path, "w"));
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.token_file, path);
    write_file("token_file: /other\n");
    ck_assert_int_eq(load(NULL, NULL, NULL), CONFIG_RUN);
    ck_assert_str_eq(config.token_file, "/other");
    unlink(path);
    rmdir(directory);
}
END_TEST

START_TEST(check_config_reads_the_files_that_are_named)
{
    write_file("stream: front\ntoken_file: /none/tokens\n");
    ck_assert_int_eq(load("--check-config", NULL, NULL), CONFIG_INVALID);
    ck_assert_ptr_nonnull(strstr(error, ":2: token_file"));
    ck_assert_ptr_nonnull(strstr(error, "/none/tokens"));
    write_file("tls_cert: /none/c\ntls_key: /none/k\n");
    ck_assert_int_eq(load("--check-config", NULL, NULL), CONFIG_INVALID);
    ck_assert_ptr_nonnull(strstr(error, ":1: tls_cert"));
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
                                        "--listen=localhost:80", "--listen=unix:/run/s",
                                        "--listen=127.0.0.1:1,unix:/run/s"};

    for (size_t i = 0; i < 5; i++)
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
    tcase_add_loop_test(tcase, the_example_file_names_each_key_and_its_default, 0,
                        CONFIG_KEY_COUNT);
    tcase_add_test(tcase, the_example_file_changes_nothing);
    tcase_add_loop_test(tcase, each_key_can_be_given_in_three_ways, 0, CONFIG_KEY_COUNT);
    tcase_add_test(tcase, credentials_of_systemd_are_found);
    tcase_add_test(tcase, check_config_reads_the_files_that_are_named);
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
