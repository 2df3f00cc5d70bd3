/* SPDX-License-Identifier: Apache-2.0 */
/* What the fan-out's clients are trusted with: to know each byte that is not as it was sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "bench/fanout_picture.h"
#include "bench/fanout_stream.h"
#include "proto/video.h"
#include "proto/viewer.h"
#include "tests/support.h"

#define PICTURE_BYTES 30000 /* more than one comment */
#define STREAM_BYTES (8 * (PICTURE_BYTES + 600))
#define SENT_NS 4711

static struct fanout_album *album;
static uint8_t *stream_bytes;
static size_t stream_count;
static uint64_t seed;

static void set_up(void)
{
    seed = support_seed("bench_fanout");
    ck_assert_int_eq(fanout_album_create(PICTURE_BYTES, &album), 0);
    stream_bytes = malloc(STREAM_BYTES);
    ck_assert_ptr_nonnull(stream_bytes);
    stream_count = 0;
}

static void tear_down(void)
{
    free(stream_bytes);
    fanout_album_destroy(album);
}

/* ---- what servers send --------------------------------------------------------------------- */

static void put(const void *bytes, size_t count)
{
    ck_assert_uint_le(stream_count + count, STREAM_BYTES);
    memcpy(stream_bytes + stream_count, bytes, count);
    stream_count += count;
}

static void put_picture(uint64_t seq)
{
    static uint8_t picture[PICTURE_BYTES];

    fanout_picture_draw(album, &(struct fanout_mark){seq, (int64_t)(1000 * seq)}, picture);
    put(picture, sizeof(picture));
}

static void put_simcast(uint64_t seq)
{
    static uint8_t packet[VIDEO_PAYLOAD_OFFSET + PICTURE_BYTES];
    struct video_header header = {
        .frame_seq = seq, .size = PICTURE_BYTES, .codec = VIDEO_CODEC_JPEG};

    header.crc32 = fanout_picture_draw(album, &(struct fanout_mark){seq, (int64_t)(1000 * seq)},
                                       packet + VIDEO_PAYLOAD_OFFSET);
    size_t first = video_packet_finish(packet, &header);
    put(packet + first, sizeof(packet) - first);
}

static void put_info(uint64_t seq)
{
    uint8_t frame[2 + FRAME_INFO_BYTES] = {0x82, FRAME_INFO_BYTES};
    struct frame_info info = {.frame_seq = seq};

    info.stamp_ns[FRAME_STAGE_SENT] = SENT_NS;
    frame_info_encode(&info, frame + 2);
    put(frame, sizeof(frame));
}

static void put_websocket(uint64_t seq)
{
    const uint8_t head[] = {0x82, 126, PICTURE_BYTES >> 8, PICTURE_BYTES & 0xff};

    put(head, sizeof(head));
    put_picture(seq);
}

static void put_part_head(size_t bytes)
{
    char head[128];
    int count =
        snprintf(head, sizeof(head),
                 "\r\n--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", bytes);

    put(head, (size_t)count);
}

static void put_part(uint64_t seq)
{
    put_part_head(PICTURE_BYTES);
    put_picture(seq);
}

/* ---- what becomes of it -------------------------------------------------------------------- */

/* Feeds all bytes in pieces of at most `piece`; returns pictures, or the error. */
static int take_all(enum fanout_protocol protocol, size_t piece, struct fanout_arrival *ret_last)
{
    struct fanout_stream stream;
    int pictures = 0;

    fanout_stream_init(&stream, protocol);
    for (size_t at = 0; at < stream_count;) {
        size_t left = stream_count - at;
        size_t count = 1 + support_random(&seed) % piece;
        struct fanout_bytes bytes = {stream_bytes + at, count < left ? count : left};
        at += bytes.count;
        int taken;
        while ((taken = fanout_stream_take(&stream, album, &bytes, ret_last)) == 1)
            pictures++;
        if (taken < 0)
            return taken;
    }
    return pictures;
}

START_TEST(a_picture_is_framed_as_a_jpeg_and_ends_once)
{
    static uint8_t picture[PICTURE_BYTES];
    const struct fanout_mark mark = {77, 123456789};
    uint32_t crc = fanout_picture_draw(album, &mark, picture);
    const uint8_t *end = memmem(picture, sizeof(picture), "\xff\xd9", 2);

    ck_assert_mem_eq(picture, "\xff\xd8\xff", 3);
    ck_assert_ptr_eq(end, picture + sizeof(picture) - 2);
    ck_assert_uint_eq(crc, video_crc32(picture, sizeof(picture)));
}
END_TEST

START_TEST(every_segment_of_a_picture_leads_to_the_next)
{
    static uint8_t picture[PICTURE_BYTES];
    size_t at = 2;

    fanout_picture_draw(album, &(struct fanout_mark){.seq = 5}, picture);
    while (at < sizeof(picture) - 2) {
        ck_assert_uint_eq(picture[at], 0xff);
        at += 2 + ((size_t)picture[at + 2] << 8 | picture[at + 3]);
    }
    ck_assert_uint_eq(at, sizeof(picture) - 2);
}
END_TEST

START_TEST(pieces_of_any_size_make_the_same_pictures)
{
    static const size_t pieces[] = {1, 7, 1000, 2 * PICTURE_BYTES};
    struct fanout_arrival last;

    for (uint64_t seq = 1; seq <= 3; seq++)
        put_simcast(seq);
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, pieces[_i], &last), 3);
    ck_assert_uint_eq(last.mark.seq, 3);
    ck_assert_int_eq(last.mark.published_ns, 3000);
    stream_count = 0;
    for (uint64_t seq = 1; seq <= 3; seq++)
        put_websocket(seq);
    ck_assert_int_eq(take_all(FANOUT_WEBSOCKET, pieces[_i], &last), 3);
    stream_count = 0;
    for (uint64_t seq = 1; seq <= 3; seq++)
        put_part(seq);
    ck_assert_int_eq(take_all(FANOUT_MULTIPART, pieces[_i], &last), 3);
}
END_TEST

START_TEST(a_flipped_bit_in_any_picture_is_found)
{
    struct fanout_arrival last;
    const size_t head = 10 + 1 + VIDEO_HEADER_BYTES;

    put_simcast(1);
    size_t second = stream_count;
    put_simcast(2);
    for (unsigned i = 0; i < 300; i++) {
        size_t at = second + head + support_random(&seed) % (stream_count - second - head);
        uint8_t bit = (uint8_t)(1U << (support_random(&seed) % 8));
        stream_bytes[at] ^= bit;
        ck_assert_msg(take_all(FANOUT_SIMCAST, 5000, &last) == -EBADMSG, "bit %u of byte %zu", bit,
                      at - second);
        stream_bytes[at] ^= bit;
    }
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 5000, &last), 2);
}
END_TEST

START_TEST(each_byte_of_a_mark_counts_without_a_header_too)
{
    struct fanout_arrival last;

    put_websocket(1);
    for (size_t i = 1; i <= FANOUT_MARK_BYTES; i++) {
        stream_bytes[stream_count - i] ^= 1;
        ck_assert_msg(take_all(FANOUT_WEBSOCKET, 5000, &last) == -EBADMSG, "byte %zu", i);
        stream_bytes[stream_count - i] ^= 1;
    }
}
END_TEST

START_TEST(a_picture_that_was_overwritten_half_way_is_found)
{
    static uint8_t next[PICTURE_BYTES];
    struct fanout_arrival last;

    put_websocket(1);
    fanout_picture_draw(album, &(struct fanout_mark){.seq = 2}, next);
    memcpy(stream_bytes + stream_count - PICTURE_BYTES / 2, next + PICTURE_BYTES / 2,
           PICTURE_BYTES / 2);
    ck_assert_int_eq(take_all(FANOUT_WEBSOCKET, 5000, &last), -EBADMSG);
}
END_TEST

START_TEST(gaps_are_counted_and_steps_back_refused)
{
    struct fanout_arrival last;

    put_simcast(1);
    put_simcast(5);
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 5000, &last), 2);
    ck_assert_uint_eq(last.missed, 3);
    put_simcast(4);
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 5000, &last), -EBADMSG);
}
END_TEST

START_TEST(what_is_no_picture_is_passed_over)
{
    static const uint8_t telemetry[] = {0x82, 3, 0x02, 'x', 'y'};
    static const uint8_t ping[] = {0x89, 1, 'p'};
    struct fanout_arrival last;

    put(telemetry, sizeof(telemetry));
    put(ping, sizeof(ping));
    put_info(1);
    put_simcast(1);
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 3, &last), 1);
    ck_assert_int_eq(last.sent_ns, SENT_NS);
    put_simcast(2);
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 3, &last), 2);
    ck_assert_int_eq(last.sent_ns, 0);
}
END_TEST

START_TEST(a_placeholder_among_parts_is_passed_over)
{
    static uint8_t other[PICTURE_BYTES];
    struct fanout_arrival last;

    put_part_head(5);
    put("other", 5);
    put_part_head(sizeof(other));
    put(other, sizeof(other));
    put_part(1);
    ck_assert_int_eq(take_all(FANOUT_MULTIPART, 3000, &last), 1);
}
END_TEST

START_TEST(what_is_no_websocket_is_refused)
{
    static const uint8_t masked[] = {0x82, 0x81, 0, 0, 0, 0, 0};
    static const uint8_t farewell[] = {0x88, 0};
    struct fanout_arrival last;

    put(masked, sizeof(masked));
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 100, &last), -EPROTO);
    stream_count = 0;
    put(farewell, sizeof(farewell));
    ck_assert_int_eq(take_all(FANOUT_SIMCAST, 100, &last), -EPIPE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_fanout");
    TCase *tests = tcase_create("clients");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_picture_is_framed_as_a_jpeg_and_ends_once);
    tcase_add_test(tests, every_segment_of_a_picture_leads_to_the_next);
    tcase_add_loop_test(tests, pieces_of_any_size_make_the_same_pictures, 0, 4);
    tcase_add_test(tests, a_flipped_bit_in_any_picture_is_found);
    tcase_add_test(tests, each_byte_of_a_mark_counts_without_a_header_too);
    tcase_add_test(tests, a_picture_that_was_overwritten_half_way_is_found);
    tcase_add_test(tests, gaps_are_counted_and_steps_back_refused);
    tcase_add_test(tests, what_is_no_picture_is_passed_over);
    tcase_add_test(tests, a_placeholder_among_parts_is_passed_over);
    tcase_add_test(tests, what_is_no_websocket_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
