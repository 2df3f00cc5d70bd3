/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: what is read, what is refused, and that stop always passes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "proto/command.h"
#include "proto/video.h"
#include "tests/support.h"

static struct command command;
static const char *reason;

static int parse(const char *json)
{
    memset(&command, 0xee, sizeof(command));
    reason = NULL;
    return command_parse(json, strlen(json), &command, &reason);
}

START_TEST(a_velocity_command_is_read_from_data_or_from_the_top)
{
    const char *const forms[] = {
        "{\"action\":\"set_cmd_vel\",\"cmd_seq\":7,\"ttl_ms\":200,"
        "\"data\":{\"linear_x\":0.5,\"linear_y\":-1,\"angular_z\":2,\"gait_enabled\":true}}",
        "{\"action\":\"set_cmd_vel\",\"cmd_seq\":7,\"ttl_ms\":200,"
        "\"linear_x\":0.5,\"linear_y\":-1,\"angular_z\":2}",
    };

    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(parse(forms[i]), 0);
        ck_assert_int_eq(command.action, COMMAND_SET_CMD_VEL);
        ck_assert_int_eq(command.origin, COMMAND_FROM_CLIENT);
        ck_assert(command.has_cmd_seq);
        ck_assert_uint_eq(command.cmd_seq, 7);
        ck_assert_uint_eq(command.ttl_ms, 200);
        ck_assert_double_eq(command.data.velocity.linear_x_mps, 0.5);
        ck_assert_double_eq(command.data.velocity.linear_y_mps, -1);
        ck_assert_double_eq(command.data.velocity.angular_z_radps, 2);
    }
}
END_TEST

START_TEST(epoch_time_and_deadman_are_read_where_they_are_told)
{
    ck_assert_int_eq(parse("{\"action\":\"set_alpha\",\"alpha\":1,\"epoch\":1795317455068681,"
                           "\"sent_ns\":123456789012345,\"deadman\":true}"),
                     0);
    ck_assert_uint_eq(command.epoch, 1795317455068681);
    ck_assert_int_eq(command.sent_ns, 123456789012345);
    ck_assert_int_eq(command.deadman, COMMAND_DEADMAN_HELD);
    ck_assert_int_eq(parse("{\"action\":\"set_alpha\",\"alpha\":1,\"deadman\":false}"), 0);
    ck_assert_int_eq(command.deadman, COMMAND_DEADMAN_RELEASED);
    ck_assert_uint_eq(command.epoch, 0);
    ck_assert_int_eq(command.sent_ns, 0);
    ck_assert_int_eq(parse("{\"action\":\"set_alpha\",\"alpha\":1,\"deadman\":null}"), 0);
    ck_assert_int_eq(command.deadman, COMMAND_DEADMAN_ABSENT);
}
END_TEST

START_TEST(a_velocity_is_replaced_and_all_else_kept)
{
    const double slow[3] = {0.25, 0, -0.5};
    const char *const forms[][2] = {
        {"{\"action\":\"set_cmd_vel\",\"cmd_seq\":7,\"data\":{\"linear_x\":9,\"gait_enabled\":true}}",
         "{\"action\":\"set_cmd_vel\",\"cmd_seq\":7,\"data\":{\"linear_x\":0.25,\"gait_enabled\":true,"
         "\"linear_y\":0.0,\"angular_z\":-0.5}}"},
        {"{\"action\":\"set_cmd_vel\",\"linear_x\":9,\"angular_z\":1}",
         "{\"action\":\"set_cmd_vel\",\"linear_x\":0.25,\"angular_z\":-0.5,\"linear_y\":0.0}"},
        {"{\"action\":\"set_cmd_vel\",\"linear_x\":9,\"data\":{\"linear_x\":9}}",
         "{\"action\":\"set_cmd_vel\",\"linear_x\":0.25,\"data\":{\"linear_x\":0.25,"
         "\"linear_y\":0.0,\"angular_z\":-0.5}}"},
    };
    char text[COMMAND_BYTES_MAX];

    for (unsigned i = 0; i < 3; i++) {
        const char *json = forms[i][0];
        ck_assert_int_eq(command_set_velocity(json, strlen(json), slow, text, sizeof(text)), 0);
        ck_assert_str_eq(text, forms[i][1]);
        ck_assert_int_eq(command_set_velocity(json, strlen(json), slow, text, strlen(text)),
                         -EMSGSIZE);
    }
    ck_assert_int_eq(command_set_velocity("[]", 2, slow, text, sizeof(text)), -EPROTO);
}
END_TEST

/* A reader of the top level and a reader of "data" must find the same velocity. */
START_TEST(a_velocity_in_two_places_must_be_the_same)
{
    static const char *const same[] = {
        "{\"action\":\"set_cmd_vel\",\"linear_x\":1,\"data\":{\"linear_x\":1.0}}",
        "{\"action\":\"set_cmd_vel\",\"linear_x\":1,\"data\":{\"linear_x\":1,\"linear_y\":2}}",
        "{\"action\":\"set_cmd_vel\",\"linear_x\":0.0,\"linear_y\":0.0,\"angular_z\":0.0,"
        "\"data\":{\"linear_x\":0.0,\"linear_y\":0.0,\"angular_z\":0.0},\"_safety\":\"hold\"}",
    };
    static const char *const different[] = {
        "{\"action\":\"set_cmd_vel\",\"linear_x\":9,\"data\":{\"linear_x\":0.1}}",
        "{\"action\":\"set_cmd_vel\",\"linear_x\":9,\"data\":{}}",
        "{\"action\":\"set_cmd_vel\",\"linear_y\":9,\"data\":{\"linear_x\":0.1}}",
        "{\"action\":\"set_cmd_vel\",\"angular_z\":\"9\",\"data\":{\"angular_z\":9}}",
        "{\"action\":\"set_cmd_vel\",\"angular_y\":9,\"data\":{\"angular_y\":-9}}",
    };

    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        ck_assert_msg(parse(same[i]) == 0, "%s", same[i]);
    for (unsigned i = 0; i < sizeof(different) / sizeof(different[0]); i++) {
        ck_assert_msg(parse(different[i]) == -EPROTO, "%s", different[i]);
        ck_assert_str_eq(reason, "a velocity beside data must be the same in data");
        ck_assert_int_eq(command_parse_as(COMMAND_SET_CMD_VEL, different[i], strlen(different[i]),
                                          &command, NULL),
                         -EPROTO);
    }
}
END_TEST

START_TEST(settings_are_read_as_clients_write_them)
{
    ck_assert_int_eq(
        parse("{\"action\":\"settings\",\"data\":{\"codec\":\"h264\",\"jpeg_quality\":80,"
              "\"stream_fps\":30,\"camera_res\":\"640x480\",\"h264_bitrate\":2.5,"
              "\"h264_preset\":\"ultrafast\"}}"),
        0);
    ck_assert_uint_eq(command.data.settings.codec, VIDEO_CODEC_H264);
    ck_assert_uint_eq(command.data.settings.jpeg_quality, 80);
    ck_assert_uint_eq(command.data.settings.fps, 30);
    ck_assert_uint_eq(command.data.settings.width, 640);
    ck_assert_uint_eq(command.data.settings.height, 480);
    ck_assert_uint_eq(command.data.settings.bitrate_bps, 2500000);
    ck_assert_str_eq(command.data.settings.preset, "ultrafast");
    ck_assert_int_eq(
        parse("{\"action\":\"settings\",\"data\":{\"codec\":3,\"camera_res\":[320,240]}}"), 0);
    ck_assert_uint_eq(command.data.settings.codec, VIDEO_CODEC_JPEG);
    ck_assert_uint_eq(command.data.settings.width, 320);
}
END_TEST

START_TEST(what_is_wrong_is_refused_with_a_reason)
{
    static const struct {
        const char *json;
        int error;
    } cases[] = {
        {"", -EPROTO},
        {"[]", -EPROTO},
        {"{", -EPROTO},
        {"{} trailing", -EPROTO},
        {"{}", -EPROTO},
        {"{\"action\":7}", -EPROTO},
        {"{\"action\":\"fly\"}", -ENOTSUP},
        {"{\"action\":\"set_cmd_vel.>\"}", -ENOTSUP},
        {"{\"action\":\"estop \"}", -ENOTSUP},
        {"{\"action\":\"set_cmd_vel\",\"cmd_seq\":-1}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"cmd_seq\":\"1\"}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"data\":[]}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"epoch\":-1}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"epoch\":1.5}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"sent_ns\":\"1\"}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"deadman\":1}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"data\":{\"linear_x\":\"1\"}}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"data\":{\"linear_x\":1e999}}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"data\":{\"angular_y\":\"1\"}}", -EPROTO},
        {"{\"action\":\"set_cmd_vel\",\"data\":{\"angular_y\":1e999}}", -EPROTO},
        {"{\"action\":\"set_alpha\",\"data\":{\"alpha\":1.5}}", -EPROTO},
        {"{\"action\":\"set_alpha\",\"data\":{}}", -EPROTO},
        {"{\"action\":\"pause\",\"data\":{\"paused\":1}}", -EPROTO},
        {"{\"action\":\"camera\",\"data\":{\"position\":[1,2],\"lookat\":[0,0,0]}}", -EPROTO},
        {"{\"action\":\"settings\",\"data\":{\"codec\":\"av1\"}}", -EPROTO},
        {"{\"action\":\"settings\",\"data\":{\"jpeg_quality\":101}}", -ERANGE},
        {"{\"action\":\"settings\",\"data\":{\"camera_res\":\"640x\"}}", -EPROTO},
        {"{\"action\":\"settings\",\"data\":{\"camera_res\":\"641x480\"}}", -ERANGE},
        {"{\"action\":\"settings\",\"data\":{\"h264_preset\":\"../../x\"}}", -ERANGE},
        {"{\"action\":\"estop\",\"action\":\"reset\"}", -EPROTO},
    };
    struct command untouched;
    static char huge[COMMAND_BYTES_MAX + 2];

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(parse(cases[i].json) == cases[i].error, "%s", cases[i].json);
        ck_assert_ptr_nonnull(reason);
        memset(&untouched, 0xee, sizeof(untouched));
        ck_assert_mem_eq(&command, &untouched, sizeof(command));
    }
    memset(huge, ' ', sizeof(huge) - 1);
    ck_assert_int_eq(parse(huge), -EMSGSIZE);
}
END_TEST

START_TEST(a_stop_is_never_refused_for_its_form)
{
    const char *const stops[] = {
        "{\"action\":\"estop\"}",
        "{\"action\":\"estop\",\"data\":{\"reason\":5}}",
        "{\"action\":\"estop\",\"data\":7,\"cmd_seq\":\"x\"}",
        "{\"action\":\"estop\",\"data\":{\"reason\":\"a reason that is far longer than sixty-three "
        "bytes, which is all we keep\"}}",
    };

    for (unsigned i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        ck_assert_msg(parse(stops[i]) == 0, "%s", stops[i]);
        ck_assert_int_eq(command.action, COMMAND_ESTOP);
    }
    ck_assert_int_eq(command_parse_as(COMMAND_ESTOP, "garbage", 7, &command, NULL), 0);
    ck_assert_int_eq(command.action, COMMAND_ESTOP);
    ck_assert_int_eq(command_parse_as(COMMAND_ESTOP, "", 0, &command, NULL), 0);
}
END_TEST

START_TEST(the_gates_own_messages_are_recognised)
{
    const char *hold = "{\"action\":\"set_cmd_vel\",\"linear_x\":0.0,\"_safety\":\"hold\"}";
    const char *estop = "{\"reason\":\"video_timeout\",\"_safety\":\"estop\"}";

    ck_assert_int_eq(command_parse_as(COMMAND_SET_CMD_VEL, hold, strlen(hold), &command, NULL), 0);
    ck_assert_int_eq(command.origin, COMMAND_FROM_GATE_HOLD);
    ck_assert(!command.has_cmd_seq);
    ck_assert_int_eq(command_parse_as(COMMAND_ESTOP, estop, strlen(estop), &command, NULL), 0);
    ck_assert_int_eq(command.origin, COMMAND_FROM_GATE_ESTOP);
    ck_assert_str_eq(command.data.name, "video_timeout");
}
END_TEST

START_TEST(every_action_has_its_subject_and_back)
{
    enum command_action action;
    unsigned motions = 0;

    for (unsigned i = 0; i < COMMAND_ACTION_COUNT; i++) {
        const char *subject = command_subject((enum command_action)i);
        ck_assert_int_eq(strncmp(subject, "command.genesis.", 16), 0);
        ck_assert_int_eq(command_action_of_subject(subject, &action), 0);
        ck_assert_uint_eq(action, i);
        motions += command_is_motion(action);
    }
    ck_assert_uint_eq(motions, 3);
    ck_assert_int_eq(command_action_of_subject("command.genesis.", &action), -ENOTSUP);
    ck_assert_int_eq(command_action_of_subject("telemetry.estop", &action), -ENOTSUP);
}
END_TEST

START_TEST(random_bytes_never_crash_the_parser)
{
    uint64_t random = support_seed("command");
    const char *seed_text = "{\"action\":\"settings\",\"cmd_seq\":1,\"data\":{\"codec\":\"jpeg\"}}";
    size_t length = strlen(seed_text);
    char text[128];
    unsigned accepted = 0;

    for (unsigned i = 0; i < 100000; i++) {
        memcpy(text, seed_text, length);
        for (uint64_t k = support_random(&random) % 4; k > 0; k--)
            text[support_random(&random) % length] = (char)support_random(&random);
        accepted += command_parse(text, length - support_random(&random) % 3, &command, NULL) == 0;
    }
    ck_assert_uint_gt(accepted, 1000);
    ck_assert_uint_lt(accepted, 99000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *cases = tcase_create("command");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, a_velocity_command_is_read_from_data_or_from_the_top);
    tcase_add_test(cases, epoch_time_and_deadman_are_read_where_they_are_told);
    tcase_add_test(cases, a_velocity_is_replaced_and_all_else_kept);
    tcase_add_test(cases, a_velocity_in_two_places_must_be_the_same);
    tcase_add_test(cases, settings_are_read_as_clients_write_them);
    tcase_add_test(cases, what_is_wrong_is_refused_with_a_reason);
    tcase_add_test(cases, a_stop_is_never_refused_for_its_form);
    tcase_add_test(cases, the_gates_own_messages_are_recognised);
    tcase_add_test(cases, every_action_has_its_subject_and_back);
    tcase_add_test(cases, random_bytes_never_crash_the_parser);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
