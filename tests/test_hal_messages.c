/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observations and joint commands as other programs exchange them: what is written is the
 * documented text, what is wrong is refused for the right reason and leaves the result alone.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "proto/observation.h"

#define WIDTH 3
#define HEIGHT 2

static char metadata[OBSERVATION_METADATA_BYTES_MAX];
static float joints[OBSERVATION_JOINTS];
static uint8_t rgb[HEIGHT * WIDTH * 3];
static float map[HEIGHT * WIDTH];
static struct observation_part parts[OBSERVATION_PARTS + 1];

static void set_metadata(unsigned part, const char *text)
{
    snprintf(metadata, sizeof(metadata), "%s", text);
    parts[part] = (struct observation_part){metadata, strlen(metadata)};
}

static void good_observation(void)
{
    struct observation observation = {
        .timestamp_ns = 1234567890123456789, .camera_width = WIDTH, .camera_height = HEIGHT};

    for (unsigned i = 0; i < OBSERVATION_JOINTS; i++)
        joints[i] = (float)i / 4;
    for (unsigned i = 0; i < HEIGHT * WIDTH; i++)
        map[i] = (float)i;
    int count = observation_write_metadata(&observation, metadata, sizeof(metadata));
    ck_assert_int_gt(count, 0);
    parts[0] = (struct observation_part){"observation", 11};
    parts[1] = (struct observation_part){"1.0", 3};
    parts[2] = (struct observation_part){metadata, (size_t)count};
    parts[3] = (struct observation_part){joints, sizeof(joints)};
    parts[4] = (struct observation_part){rgb, sizeof(rgb)};
    parts[5] = parts[4];
    parts[6] = (struct observation_part){map, sizeof(map)};
    parts[7] = parts[6];
}

static void good_command(void)
{
    struct joint_command command = {.timestamp_ns = 20, .observation_timestamp_ns = 10};

    memset(joints, 0, sizeof(joints));
    joints[17] = -1.5f;
    int count = joint_command_write_metadata(&command, metadata, sizeof(metadata));
    ck_assert_int_gt(count, 0);
    parts[0] = (struct observation_part){metadata, (size_t)count};
    parts[1] = (struct observation_part){joints, sizeof(joints)};
}

/* Reads all kinds of messages; the fault must be this one and the result untouched. */
static void expect_observation(enum observation_fault expected)
{
    struct observation untouched;
    struct observation result;

    memset(&untouched, 0x5a, sizeof(untouched));
    memcpy(&result, &untouched, sizeof(result));
    ck_assert_str_eq(observation_fault_name(observation_read(parts, OBSERVATION_PARTS, &result)),
                     observation_fault_name(expected));
    if (expected != OBSERVATION_FINE)
        ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

static void expect_command(enum observation_fault expected)
{
    struct joint_command untouched;
    struct joint_command result;

    memset(&untouched, 0x5a, sizeof(untouched));
    memcpy(&result, &untouched, sizeof(result));
    ck_assert_str_eq(
        observation_fault_name(joint_command_read(parts, JOINT_COMMAND_PARTS, &result)),
        observation_fault_name(expected));
    if (expected != OBSERVATION_FINE)
        ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

START_TEST(metadata_is_the_documented_text)
{
    good_observation();
    ck_assert_str_eq(metadata, "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}, "
                               "\"rgb_camera_1\": {\"shape\": [2, 3, 3], \"dtype\": \"uint8\"}, "
                               "\"rgb_camera_2\": {\"shape\": [2, 3, 3], \"dtype\": \"uint8\"}, "
                               "\"depth_map\": {\"shape\": [2, 3], \"dtype\": \"float32\"}, "
                               "\"confidence_map\": {\"shape\": [2, 3], \"dtype\": \"float32\"}, "
                               "\"camera_height\": 2, \"camera_width\": 3, "
                               "\"timestamp_ns\": 1234567890123456789}");
    good_command();
    ck_assert_str_eq(metadata, "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}, "
                               "\"timestamp_ns\": 20, \"observation_timestamp_ns\": 10}");
}
END_TEST

START_TEST(what_was_written_reads_back)
{
    struct observation observation;
    struct joint_command command;

    good_observation();
    ck_assert_int_eq(observation_read(parts, OBSERVATION_PARTS, &observation), OBSERVATION_FINE);
    ck_assert_int_eq(observation.timestamp_ns, 1234567890123456789);
    ck_assert_uint_eq(observation.camera_width, WIDTH);
    ck_assert_uint_eq(observation.camera_height, HEIGHT);
    ck_assert_mem_eq(observation.joint_position_rad, joints, sizeof(joints));
    ck_assert_ptr_eq(observation.array[OBSERVATION_PART_DEPTH].bytes, map);
    good_command();
    ck_assert_int_eq(joint_command_read(parts, JOINT_COMMAND_PARTS, &command), OBSERVATION_FINE);
    ck_assert_int_eq(command.timestamp_ns, 20);
    ck_assert_int_eq(command.observation_timestamp_ns, 10);
    ck_assert(command.joint_position_rad[17] == -1.5f);
}
END_TEST

START_TEST(writing_refuses_what_reading_would)
{
    struct observation wide = {.camera_width = OBSERVATION_SIDE_MAX + 1};
    struct observation early = {.timestamp_ns = -1};
    struct observation fine = {0};

    ck_assert_int_eq(observation_write_metadata(&wide, metadata, sizeof(metadata)), -EINVAL);
    ck_assert_int_eq(observation_write_metadata(&early, metadata, sizeof(metadata)), -EINVAL);
    ck_assert_int_eq(observation_write_metadata(&fine, metadata, 16), -EMSGSIZE);
    struct joint_command command = {.observation_timestamp_ns = -1};
    ck_assert_int_eq(joint_command_write_metadata(&command, metadata, sizeof(metadata)), -EINVAL);
}
END_TEST

START_TEST(any_other_number_of_parts_is_refused)
{
    struct observation observation;
    struct joint_command command;

    for (size_t count = 0; count <= OBSERVATION_PARTS + 1; count++) {
        good_observation();
        if (count != OBSERVATION_PARTS)
            ck_assert_int_eq(observation_read(parts, count, &observation),
                             OBSERVATION_FAULT_PART_COUNT);
        good_command();
        if (count != JOINT_COMMAND_PARTS)
            ck_assert_int_eq(joint_command_read(parts, count, &command),
                             OBSERVATION_FAULT_PART_COUNT);
    }
}
END_TEST

START_TEST(versions_other_than_1_x_are_refused)
{
    static const struct {
        const char *version;
        enum observation_fault expected;
    } cases[] = {
        {"1.0", OBSERVATION_FINE},           {"1.9", OBSERVATION_FINE},
        {"1.12", OBSERVATION_FINE},          {"2.0", OBSERVATION_FAULT_VERSION},
        {"1", OBSERVATION_FAULT_VERSION},    {"1.", OBSERVATION_FAULT_VERSION},
        {"", OBSERVATION_FAULT_VERSION},     {"10.0", OBSERVATION_FAULT_VERSION},
        {"1.0x", OBSERVATION_FAULT_VERSION}, {"1.00000", OBSERVATION_FAULT_VERSION},
        {"0.1", OBSERVATION_FAULT_VERSION},  {"1.-1", OBSERVATION_FAULT_VERSION},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        good_observation();
        parts[1] = (struct observation_part){cases[i].version, strlen(cases[i].version)};
        expect_observation(cases[i].expected);
    }
}
END_TEST

START_TEST(another_topic_is_refused)
{
    good_observation();
    parts[0].count = 10;
    expect_observation(OBSERVATION_FAULT_TOPIC);
    parts[0] = (struct observation_part){"observations", 12};
    expect_observation(OBSERVATION_FAULT_TOPIC);
}
END_TEST

START_TEST(metadata_that_is_no_object_or_lacks_fields_is_refused)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\"x\"",
        "{\"timestamp_ns\": 1}",
        "{\"timestamp_ns\": 1.5, \"observation_timestamp_ns\": 1}",
        "{\"timestamp_ns\": 99999999999999999999, \"observation_timestamp_ns\": 1}",
        "{\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1}",
        "{\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1, \"joint_positions\": 3}",
        "{\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1, "
        "\"joint_positions\": {\"shape\": 18, \"dtype\": \"float32\"}}",
        "{\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1, "
        "\"joint_positions\": {\"shape\": [18.0], \"dtype\": \"float32\"}}",
        "{\"timestamp_ns\": 1, \"timestamp_ns\": 2, \"observation_timestamp_ns\": 1, "
        "\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        good_command();
        set_metadata(JOINT_COMMAND_PART_METADATA, texts[i]);
        expect_command(OBSERVATION_FAULT_JSON);
        good_observation();
        set_metadata(OBSERVATION_PART_METADATA, texts[i]);
        expect_observation(OBSERVATION_FAULT_JSON);
    }
}
END_TEST

START_TEST(negative_timestamps_are_refused)
{
    good_command();
    set_metadata(0, "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}, "
                    "\"timestamp_ns\": -1, \"observation_timestamp_ns\": 1}");
    expect_command(OBSERVATION_FAULT_TIMESTAMP);
    set_metadata(0, "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float32\"}, "
                    "\"timestamp_ns\": 1, \"observation_timestamp_ns\": -1}");
    expect_command(OBSERVATION_FAULT_TIMESTAMP);
}
END_TEST

START_TEST(wrong_dtypes_shapes_and_sizes_are_refused)
{
    good_command();
    set_metadata(0, "{\"joint_positions\": {\"shape\": [18], \"dtype\": \"float64\"}, "
                    "\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1}");
    expect_command(OBSERVATION_FAULT_DTYPE);
    set_metadata(0, "{\"joint_positions\": {\"shape\": [12], \"dtype\": \"float32\"}, "
                    "\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1}");
    expect_command(OBSERVATION_FAULT_SHAPE);
    set_metadata(0, "{\"joint_positions\": {\"shape\": [18, 1], \"dtype\": \"float32\"}, "
                    "\"timestamp_ns\": 1, \"observation_timestamp_ns\": 1}");
    expect_command(OBSERVATION_FAULT_SHAPE);
    good_command();
    parts[1].count--;
    expect_command(OBSERVATION_FAULT_SIZE);

    for (unsigned part = OBSERVATION_PART_JOINTS; part < OBSERVATION_PARTS; part++) {
        good_observation();
        parts[part].count--;
        expect_observation(OBSERVATION_FAULT_SIZE);
    }
    good_observation();
    char *side = strstr(metadata, "\"camera_height\": 2");
    ck_assert_ptr_nonnull(side);
    side[strlen("\"camera_height\": ")] = '3';
    expect_observation(OBSERVATION_FAULT_SHAPE);
}
END_TEST

START_TEST(nan_and_infinity_are_refused_wherever_they_stand)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned joint = 0; joint < OBSERVATION_JOINTS; joint++) {
            good_command();
            joints[joint] = bad[i];
            expect_command(OBSERVATION_FAULT_NOT_FINITE);
            good_observation();
            joints[joint] = bad[i];
            expect_observation(OBSERVATION_FAULT_NOT_FINITE);
        }
        good_observation();
        map[HEIGHT * WIDTH - 1] = bad[i];
        expect_observation(OBSERVATION_FAULT_NOT_FINITE);
    }
}
END_TEST

START_TEST(parts_need_not_be_aligned)
{
    static uint8_t shifted[sizeof(joints) + 1];

    good_command();
    memcpy(shifted + 1, joints, sizeof(joints));
    parts[1].bytes = shifted + 1;
    expect_command(OBSERVATION_FINE);
}
END_TEST

START_TEST(no_camera_means_empty_pictures)
{
    struct observation none = {.timestamp_ns = 1};

    good_observation();
    int count = observation_write_metadata(&none, metadata, sizeof(metadata));
    parts[2].count = (size_t)count;
    for (unsigned i = OBSERVATION_PART_RGB_1; i < OBSERVATION_PARTS; i++)
        parts[i] = (struct observation_part){"", 0};
    expect_observation(OBSERVATION_FINE);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("messages");
    Suite *suite = suite_create("hal_messages");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_test(cases, metadata_is_the_documented_text);
    tcase_add_test(cases, what_was_written_reads_back);
    tcase_add_test(cases, writing_refuses_what_reading_would);
    tcase_add_test(cases, any_other_number_of_parts_is_refused);
    tcase_add_test(cases, versions_other_than_1_x_are_refused);
    tcase_add_test(cases, another_topic_is_refused);
    tcase_add_test(cases, metadata_that_is_no_object_or_lacks_fields_is_refused);
    tcase_add_test(cases, negative_timestamps_are_refused);
    tcase_add_test(cases, wrong_dtypes_shapes_and_sizes_are_refused);
    tcase_add_test(cases, nan_and_infinity_are_refused_wherever_they_stand);
    tcase_add_test(cases, parts_need_not_be_aligned);
    tcase_add_test(cases, no_camera_means_empty_pictures);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
