/* SPDX-License-Identifier: Apache-2.0 */
/* The viewer's measuring: what counts as whole, what as torn, and what the demo tells of it. */
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "base/clock.h"
#include "cli/measure.h"
#include "cli/report.h"
#include "proto/video.h"

#define PAYLOAD "a picture"
#define PAYLOAD_BYTES (sizeof(PAYLOAD) - 1)
#define T0 (1000 * NS_PER_MS)

static struct measure measure;
static int64_t now_ns;

static void begin(void)
{
    measure = (struct measure){0};
    now_ns = T0;
    measure_connected(&measure);
}

static struct video_header header_of(uint64_t seq, bool keyframe)
{
    return (struct video_header){
        .frame_id = seq,
        .frame_seq = seq,
        .size = PAYLOAD_BYTES,
        .flags = keyframe ? VIDEO_FLAG_KEYFRAME : 0,
        .codec = VIDEO_CODEC_H264,
        .crc32 = video_crc32(PAYLOAD, PAYLOAD_BYTES),
    };
}

static void send_info(uint64_t seq)
{
    uint8_t message[FRAME_INFO_BYTES];
    struct frame_info info = {
        .frame_seq = seq,
        .missed = 2,
        .stamp_ns = {[FRAME_STAGE_PUBLISHED] = now_ns - 10 * NS_PER_MS,
                     [FRAME_STAGE_ENCODE_BEGIN] = now_ns - 9 * NS_PER_MS,
                     [FRAME_STAGE_ENCODE_END] = now_ns - 5 * NS_PER_MS,
                     [FRAME_STAGE_PACKET_PUBLISHED] = now_ns - 3 * NS_PER_MS},
    };

    frame_info_encode(&info, message);
    measure_message(&measure, message, sizeof(message), now_ns);
}

static void send_video(const struct video_header *header)
{
    uint8_t message[1 + VIDEO_HEADER_BYTES + PAYLOAD_BYTES] = {VIDEO_MESSAGE_TYPE};

    video_header_encode(header, message + 1);
    memcpy(message + 1 + VIDEO_HEADER_BYTES, PAYLOAD, PAYLOAD_BYTES);
    measure_message(&measure, message, sizeof(message), now_ns);
    now_ns += 100 * NS_PER_MS;
}

static void send_frame(uint64_t seq, bool keyframe)
{
    struct video_header header = header_of(seq, keyframe);

    send_info(seq);
    send_video(&header);
}

static void expect(uint64_t frames, uint64_t torn)
{
    ck_assert_uint_eq(measure.frames, frames);
    ck_assert_uint_eq(measure.torn, torn);
    ck_assert_int_eq(torn == 0, measure.torn_why == NULL);
}

START_TEST(frames_in_order_are_whole_and_timed)
{
    for (uint64_t seq = 7; seq < 18; seq++)
        send_frame(seq, seq == 7);
    expect(11, 0);
    ck_assert_double_eq_tol(measure_fps(&measure), 10.0, 1e-9);
    ck_assert_uint_eq(measure.missed, 22);
    ck_assert_uint_eq(measure.codec, VIDEO_CODEC_H264);
    const int64_t expected_ms[] = {1, 4, 2, 3, 10};
    for (unsigned i = 0; i < MEASURE_STAGE_COUNT; i++) {
        int64_t p50_ns = histogram_percentile_ns(&measure.stages[i], 50);
        ck_assert_int_ge(p50_ns, expected_ms[i] * NS_PER_MS);
        ck_assert_int_le(p50_ns, expected_ms[i] * NS_PER_MS * 104 / 100);
    }
}
END_TEST

START_TEST(a_gap_is_fine_before_a_keyframe_only)
{
    send_frame(1, true);
    send_frame(5, true);
    expect(2, 0);
    send_frame(7, false);
    expect(2, 1);
}
END_TEST

START_TEST(a_sequence_that_does_not_grow_is_torn)
{
    send_frame(5, true);
    send_frame(5, true);
    send_frame(4, true);
    expect(1, 2);
}
END_TEST

START_TEST(each_connection_starts_on_a_keyframe)
{
    send_frame(1, false);
    expect(0, 1);
    send_frame(2, true);
    measure_connected(&measure);
    send_frame(9, true);
    expect(2, 1);
    measure_connected(&measure);
    send_frame(10, false);
    expect(2, 2);
    ck_assert_uint_eq(measure.connections, 3);
}
END_TEST

START_TEST(broken_bytes_are_torn)
{
    struct video_header headers[4];

    for (unsigned i = 0; i < 4; i++)
        headers[i] = header_of(1, true);
    headers[0].crc32 ^= 1;
    headers[1].size++;
    headers[2].codec = VIDEO_CODEC_NONE;
    headers[3].codec = 4;
    for (unsigned i = 0; i < 4; i++) {
        measure_connected(&measure);
        send_info(1);
        send_video(&headers[i]);
        expect(0, i + 1);
    }
    uint8_t cut[VIDEO_HEADER_BYTES] = {VIDEO_MESSAGE_TYPE};
    measure_message(&measure, cut, sizeof(cut), now_ns);
    expect(0, 5);
}
END_TEST

START_TEST(a_crc_of_zero_was_not_computed)
{
    struct video_header header = header_of(1, true);

    header.crc32 = 0;
    send_info(1);
    send_video(&header);
    expect(1, 0);
}
END_TEST

START_TEST(a_frame_needs_its_own_info)
{
    struct video_header header = header_of(1, true);

    send_video(&header);
    expect(0, 1);
    measure_connected(&measure);
    send_info(2);
    send_video(&header);
    expect(0, 2);
}
END_TEST

START_TEST(other_messages_count_as_nothing)
{
    static const uint8_t telemetry[] = "\x02\x01\0a{}";
    static const uint8_t unknown[] = "\x77";

    measure_message(&measure, telemetry, sizeof(telemetry) - 1, now_ns);
    measure_message(&measure, unknown, 1, now_ns);
    measure_message(&measure, unknown, 0, now_ns);
    expect(0, 0);
    ck_assert_double_eq(measure_fps(&measure), 0);
}
END_TEST

START_TEST(the_status_line_says_what_is_going_on)
{
    char text[REPORT_BYTES];
    struct observation seen = {0};
    struct report_status status = {.elapsed_ns = 3 * NS_PER_S, .seen = &seen};

    report_status(&status, text);
    ck_assert_str_eq(text, "   3 s  waiting for simcastd");
    status.answering = true;
    report_status(&status, text);
    ck_assert_str_eq(text, "   3 s  nobody watches, so nothing is rendered");
    status.health = (struct health){.clients = 1, .gate = "HOLD", .gate_reason = "starting"};
    report_status(&status, text);
    ck_assert_str_eq(text, "   3 s  waiting for the first frame");
    seen = (struct observation){.codec = VIDEO_CODEC_JPEG, .width = 320, .height = 240};
    status.fps = 29.96;
    status.p50_ns = 4100000;
    report_status(&status, text);
    ck_assert_str_eq(text, "   3 s   30.0 fps  coded in 4.1 ms  jpeg 320x240  1 viewer  "
                           "HOLD (starting)");
    status.health = (struct health){.clients = 2, .gate = "ARMED", .gate_reason = "none"};
    status.to_viewer = true;
    report_status(&status, text);
    ck_assert_str_eq(text, "   3 s   30.0 fps  seen in 4.1 ms  jpeg 320x240  2 viewers  ARMED");
}
END_TEST

static json_t *json_of(const struct observation *seen)
{
    char text[REPORT_BYTES];

    report_json(&measure, seen, NULL, text);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json != NULL, "not JSON: %s", text);
    return json;
}

static double number(const json_t *json, const char *object, const char *key)
{
    const json_t *value = json_object_get(object ? json_object_get(json, object) : json, key);

    ck_assert_msg(json_is_number(value), "%s is not a number", key);
    return json_number_value(value);
}

START_TEST(the_json_line_tells_what_was_measured)
{
    struct observation seen = {
        .frames_rendered = 13, .frames_encoded = 12, .width = 640, .height = 480};

    for (uint64_t seq = 1; seq < 12; seq++)
        send_frame(seq, seq == 1);
    json_t *json = json_of(&seen);
    ck_assert_double_eq(number(json, NULL, "frames_rendered"), 13);
    ck_assert_double_eq(number(json, NULL, "frames_encoded"), 12);
    ck_assert_double_eq(number(json, NULL, "frames_delivered"), 11);
    ck_assert_double_eq(number(json, NULL, "torn_frames"), 0);
    ck_assert_double_eq_tol(number(json, NULL, "fps"), 10, 0.01);
    ck_assert_double_eq_tol(number(json, "latency_ms", "p50"), 10, 0.4);
    ck_assert_double_eq_tol(number(json, "latency_ms", "p99"), 10, 0.4);
    ck_assert_double_eq_tol(number(json, "stages_ms", "ring"), 1, 0.04);
    ck_assert_double_eq_tol(number(json, "stages_ms", "encode"), 4, 0.16);
    ck_assert_double_eq_tol(number(json, "stages_ms", "packet"), 2, 0.08);
    ck_assert_double_eq_tol(number(json, "stages_ms", "fanout"), 3, 0.12);
    ck_assert_str_eq(json_string_value(json_object_get(json, "codec")), "h264");
    ck_assert_str_eq(json_string_value(json_object_get(json, "resolution")), "640x480");
    json_decref(json);
}
END_TEST

START_TEST(the_json_line_of_nothing_has_nulls)
{
    struct observation seen = {0};
    json_t *json = json_of(&seen);

    ck_assert(json_is_null(json_object_get(json_object_get(json, "latency_ms"), "p50")));
    ck_assert_double_eq(number(json, NULL, "frames_delivered"), 0);
    json_decref(json);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        frames_in_order_are_whole_and_timed,
        a_gap_is_fine_before_a_keyframe_only,
        a_sequence_that_does_not_grow_is_torn,
        each_connection_starts_on_a_keyframe,
        broken_bytes_are_torn,
        a_crc_of_zero_was_not_computed,
        a_frame_needs_its_own_info,
        other_messages_count_as_nothing,
        the_status_line_says_what_is_going_on,
        the_json_line_tells_what_was_measured,
        the_json_line_of_nothing_has_nulls,
    };
    Suite *suite = suite_create("measure");
    TCase *tcase = tcase_create("measure");
    tcase_add_checked_fixture(tcase, begin, NULL);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
