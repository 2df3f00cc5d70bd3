/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry, frame information and clock messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "proto/telemetry.h"
#include "proto/viewer.h"

START_TEST(telemetry_goes_both_ways_within_its_limits)
{
    static uint8_t message[TELEMETRY_MESSAGE_BYTES_MAX];
    static char payload[TELEMETRY_PAYLOAD_BYTES_MAX + 1];
    char subject[TELEMETRY_SUBJECT_BYTES_MAX + 1];
    struct telemetry sent = {"telemetry.a", 11, "{}", 2};
    struct telemetry got;
    size_t bytes = 0;

    ck_assert_int_eq(telemetry_encode(&sent, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, 16);
    ck_assert_mem_eq(message, "\x02\x0b\x00telemetry.a{}", 16);
    ck_assert_int_eq(telemetry_decode(message, bytes, &got), 0);
    ck_assert_mem_eq(got.subject, "telemetry.a", got.subject_bytes);
    ck_assert_uint_eq(got.payload_bytes, 2);
    ck_assert_int_eq(telemetry_encode(&sent, message, 15, &bytes), -EMSGSIZE);
    for (size_t length = 0; length < 14; length++)
        ck_assert_int_eq(telemetry_decode(message, length, &got), -EPROTO);

    memset(subject, 's', sizeof(subject));
    memset(payload, 'p', sizeof(payload));
    sent = (struct telemetry){subject, 256, payload, 65536};
    ck_assert_int_eq(telemetry_encode(&sent, message, sizeof(message), &bytes), 0);
    ck_assert_uint_eq(bytes, sizeof(message));
    sent.subject_bytes = 257;
    ck_assert_int_eq(telemetry_encode(&sent, message, sizeof(message), &bytes), -EMSGSIZE);
    sent.subject_bytes = 256;
    sent.payload_bytes = 65537;
    ck_assert_int_eq(telemetry_encode(&sent, message, sizeof(message), &bytes), -EMSGSIZE);
}
END_TEST

START_TEST(frame_info_goes_both_ways)
{
    uint8_t message[FRAME_INFO_BYTES];
    struct frame_info sent = {3, 0x0201, 1ULL << 40, -5, {1, 2, 3, 4, 5, INT64_MAX}};
    struct frame_info got = {0};

    frame_info_encode(&sent, message);
    ck_assert_int_eq(frame_info_decode(message, sizeof(message), &got), 0);
    ck_assert_mem_eq(&got, &sent, sizeof(got));
    ck_assert_int_eq(frame_info_decode(message, sizeof(message) - 1, &got), -EPROTO);
    message[1] = 2;
    ck_assert_int_eq(frame_info_decode(message, sizeof(message), &got), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(the_clock_reply_repeats_the_question_and_adds_the_time)
{
    uint8_t request[CLOCK_REQUEST_BYTES] = {CLOCK_MESSAGE_TYPE, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3};
    uint8_t reply[CLOCK_REPLY_BYTES];

    ck_assert_int_eq(clock_reply_encode(request, sizeof(request), 0x0102, reply), 0);
    ck_assert_mem_eq(reply, request, sizeof(request));
    ck_assert_mem_eq(reply + 16, "\x02\x01\0\0\0\0\0\0", 8);
    ck_assert_int_eq(clock_reply_encode(request, 15, 0, reply), -EPROTO);
    request[0] = 7;
    ck_assert_int_eq(clock_reply_encode(request, 16, 0, reply), -EPROTO);
}
END_TEST

START_TEST(displayed_names_a_frame_of_a_stream_and_perhaps_when)
{
    const uint8_t message[DISPLAYED_TIMED_BYTES] = {7, 0, 0, 0, 3, 1, 0, 0, 1, 2, 0, 0,
                                                    0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1};
    struct displayed displayed = {.stream = 9};

    ck_assert_int_eq(displayed_decode(message, DISPLAYED_TIMED_BYTES - 1, &displayed), -EPROTO);
    ck_assert_int_eq(displayed_decode(message, DISPLAYED_BYTES - 1, &displayed), -EPROTO);
    ck_assert_int_eq(displayed_decode(message + 8, 0, &displayed), -EPROTO);
    ck_assert_int_eq(displayed_decode(message + 8, DISPLAYED_BYTES, &displayed), -EPROTO);
    ck_assert_uint_eq(displayed.stream, 9);
    ck_assert_int_eq(displayed_decode(message, DISPLAYED_BYTES, &displayed), 0);
    ck_assert_uint_eq(displayed.frame_seq, 0x0201);
    ck_assert_uint_eq(displayed.stream, 0x0103);
    ck_assert_int_eq(displayed.shown_ns, 0);
    ck_assert_int_eq(displayed_decode(message, DISPLAYED_TIMED_BYTES, &displayed), 0);
    ck_assert_int_eq(displayed.shown_ns, 0x0100000000000005);
}
END_TEST

START_TEST(metadata_says_of_which_frame_of_which_stream)
{
    const uint8_t expected[] = {8, 1, 0, 0, 2, 1, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 'p', 'o', 's', 'e'};
    uint8_t message[METADATA_HEADER_BYTES + 4];

    ck_assert_uint_eq(
        metadata_encode(
            &(struct metadata){.stream = 0x0102, .frame_seq = 0x0304, .bytes = "pose", .size = 4},
            message),
        sizeof(expected));
    ck_assert_mem_eq(message, expected, sizeof(expected));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("messages");
    TCase *cases = tcase_create("messages");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, telemetry_goes_both_ways_within_its_limits);
    tcase_add_test(cases, frame_info_goes_both_ways);
    tcase_add_test(cases, the_clock_reply_repeats_the_question_and_adds_the_time);
    tcase_add_test(cases, displayed_names_a_frame_of_a_stream_and_perhaps_when);
    tcase_add_test(cases, metadata_says_of_which_frame_of_which_stream);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
