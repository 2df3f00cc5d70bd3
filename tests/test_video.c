/* SPDX-License-Identifier: Apache-2.0 */
/* The video message, its header, and pixel layouts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "proto/pixel.h"
#include "proto/video.h"

/* Lengths on both sides of each form of the WebSocket length field. */
static const size_t payload_lengths[] = {1, 92, 93, 1000, 65535 - 33, 65536 - 33, 100000};

START_TEST(a_packet_carries_its_websocket_frame_ready_to_send)
{
    static uint8_t packet[VIDEO_PAYLOAD_OFFSET + 100000];

    for (size_t i = 0; i < sizeof(payload_lengths) / sizeof(payload_lengths[0]); i++) {
        size_t length = payload_lengths[i];
        struct video_header header = {
            7, 9, (uint32_t)length, VIDEO_FLAG_KEYFRAME, VIDEO_CODEC_H264, 0x12345678, 42};
        struct video_packet_view view = {0};
        memset(packet, 0xee, sizeof(packet));
        size_t start = video_packet_finish(packet, &header);
        ck_assert_int_eq(video_packet_parse(packet, VIDEO_PAYLOAD_OFFSET + length, &view), 0);
        ck_assert_ptr_eq(view.ws_frame, packet + start);
        ck_assert_ptr_eq(view.payload, packet + VIDEO_PAYLOAD_OFFSET);
        ck_assert_int_eq(memcmp(&view.header, &header, sizeof(header)), 0);
        ck_assert_uint_eq(view.message_bytes, 33 + length);
        ck_assert_uint_eq(view.message[0], 0x01);
        /* Read the frame header as RFC 6455 section 5.2 says. */
        ck_assert_uint_eq(view.ws_frame[0], 0x82);
        uint64_t told = view.ws_frame[1];
        size_t header_bytes = told < 126 ? 2 : told == 126 ? 4 : 10;
        if (told >= 126) {
            told = 0;
            for (size_t k = 2; k < header_bytes; k++)
                told = told << 8 | view.ws_frame[k];
        }
        ck_assert_uint_eq(told, view.message_bytes);
        ck_assert_uint_eq(view.ws_frame_bytes, header_bytes + view.message_bytes);
        ck_assert_uint_eq(view.ws_frame[header_bytes], 0x01);
    }
}
END_TEST

START_TEST(the_header_has_the_bytes_of_the_wire_document)
{
    uint8_t bytes[VIDEO_HEADER_BYTES];
    struct video_header header = {0x0102030405060708, 0x1112131415161718, 0x21222324, 1, 3,
                                  0x31323334,         0x41424344};
    const uint8_t expected[] = {8,    7,    6,    5,    4,    3,    2,    1,    0x18, 0x17, 0x16,
                                0x15, 0x14, 0x13, 0x12, 0x11, 0x24, 0x23, 0x22, 0x21, 1,    0,
                                3,    0,    0x34, 0x33, 0x32, 0x31, 0x44, 0x43, 0x42, 0x41};

    video_header_encode(&header, bytes);
    ck_assert_mem_eq(bytes, expected, sizeof(expected));
    ck_assert_uint_eq(video_crc32("123456789", 9), 0xcbf43926); /* the CRC's check value */
}
END_TEST

START_TEST(a_packet_that_contradicts_itself_is_refused)
{
    uint8_t packet[VIDEO_PAYLOAD_OFFSET + 200] = {0};
    struct video_header header = {.size = 200, .codec = VIDEO_CODEC_JPEG};
    struct video_packet_view view;

    video_packet_finish(packet, &header);
    ck_assert_int_eq(video_packet_parse(packet, sizeof(packet), &view), 0);
    ck_assert_int_eq(video_packet_parse(packet, sizeof(packet) - 1, &view), -EPROTO);
    for (size_t length = 0; length <= VIDEO_PAYLOAD_OFFSET; length++)
        ck_assert_int_eq(video_packet_parse(packet, length, &view), -EPROTO);
    for (size_t at = VIDEO_TYPE_OFFSET - 4; at <= VIDEO_TYPE_OFFSET; at++) {
        packet[at] ^= 0x40;
        ck_assert_int_eq(video_packet_parse(packet, sizeof(packet), &view), -EPROTO);
        packet[at] ^= 0x40;
    }
    packet[VIDEO_HEADER_OFFSET + 22] = 9; /* a codec that does not exist */
    ck_assert_int_eq(video_packet_parse(packet, sizeof(packet), &view), -EPROTO);
}
END_TEST

START_TEST(codec_names_go_both_ways)
{
    enum video_codec codec = VIDEO_CODEC_NONE;

    ck_assert_int_eq(video_codec_parse("h264", &codec), 0);
    ck_assert_int_eq(codec, VIDEO_CODEC_H264);
    ck_assert_int_eq(video_codec_parse("mjpeg", &codec), 0);
    ck_assert_int_eq(codec, VIDEO_CODEC_JPEG);
    ck_assert_int_eq(video_codec_parse("av1", &codec), -EINVAL);
    ck_assert_int_eq(codec, VIDEO_CODEC_JPEG);
    ck_assert_str_eq(video_codec_name(VIDEO_CODEC_HEVC), "hevc");
    ck_assert_str_eq(video_codec_name(99), "none");
}
END_TEST

START_TEST(a_frame_size_is_told_only_when_it_makes_sense)
{
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_RGB24, 640, 480, 1920), 640 * 480 * 3);
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_RGBA, 3, 2, 64), 128);
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_NV12, 5, 5, 6), 6 * 8);
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_RGB24, 640, 480, 1919), 0);
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_RGB24, 0, 480, 1920), 0);
    ck_assert_uint_eq(pixel_frame_bytes(0, 640, 480, 1920), 0);
    ck_assert_uint_eq(pixel_frame_bytes(PIXEL_RGBA, UINT32_MAX, UINT32_MAX, UINT32_MAX), 0);
    ck_assert_str_eq(pixel_name(PIXEL_BGRA), "bgra");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("video");
    TCase *cases = tcase_create("video");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, a_packet_carries_its_websocket_frame_ready_to_send);
    tcase_add_test(cases, the_header_has_the_bytes_of_the_wire_document);
    tcase_add_test(cases, a_packet_that_contradicts_itself_is_refused);
    tcase_add_test(cases, codec_names_go_both_ways);
    tcase_add_test(cases, a_frame_size_is_told_only_when_it_makes_sense);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
