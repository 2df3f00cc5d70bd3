/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/frames.h: what passes, what ends a connection and with which status, in any pieces. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/frames.h"
#include "support.h"

#define MESSAGE_BYTES_MAX 300

static struct frames frames;
static uint8_t out[8192];
static size_t out_bytes;

static unsigned pings;

static void on_ping(void *data, const uint8_t *payload, size_t size)
{
    ck_assert_ptr_eq(data, &frames);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(payload[i], 'x');
    pings++;
}

static void set_up(void)
{
    frames_init(&frames, MESSAGE_BYTES_MAX, on_ping, &frames);
    out_bytes = 0;
    pings = 0;
}

static void take(const void *bytes, size_t size)
{
    uint8_t passed[8192];
    size_t count = frames_filter(&frames, bytes, size, passed);

    ck_assert_uint_le(count, size + FRAMES_HELD_BYTES_MAX);
    ck_assert_uint_le(out_bytes + count, sizeof(out));
    memcpy(out + out_bytes, passed, count);
    out_bytes += count;
}

/* A masked frame with a payload of `size` bytes 'x'; its length in the shortest form. */
static size_t frame(uint8_t *at, unsigned first, size_t size)
{
    size_t header = 2;

    at[0] = (uint8_t)first;
    at[1] = (uint8_t)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        at[2] = (uint8_t)(size >> 8);
        at[3] = (uint8_t)size;
        header = 4;
    }
    memset(at + header, 7, 4);
    memset(at + header + 4, 'x' ^ 7, size);
    return header + 4 + size;
}

static void ends_with(unsigned status)
{
    ck_assert(frames.ended);
    ck_assert_uint_eq(frames.status, status);
}

START_TEST(good_frames_pass_as_they_are)
{
    uint8_t in[2048];
    size_t size = frame(in, 0x82, 0);

    size += frame(in + size, 0x81, 125);
    size += frame(in + size, 0x02, 150);
    size += frame(in + size, 0x00, 1);
    size += frame(in + size, 0x8a, 0);
    size += frame(in + size, 0x80, 149);
    size += frame(in + size, 0x82, MESSAGE_BYTES_MAX);
    /* A character across fragments, and then binary that would be no text. */
    static const uint8_t across[] = {0x01, 0x82, 0,    0,    0,    0,    'x',  0xe2, 0x00, 0x81,
                                     0,    0,    0,    0,    0x82, 0x80, 0x81, 1,    1,    1,
                                     1,    0xad, 0x82, 0x81, 0,    0,    0,    0,    0xff};
    memcpy(in + size, across, sizeof(across));
    size += sizeof(across);
    take(in, size);
    ck_assert(!frames.ended);
    ck_assert_uint_eq(out_bytes, size);
    ck_assert_mem_eq(out, in, size);
    ck_assert_uint_eq(frames.controls, 1);
}
END_TEST

/* However the bytes are cut, the same comes out. */
START_TEST(pieces_make_no_difference)
{
    uint64_t seed = support_seed("frames");
    uint8_t in[2048];
    size_t size = frame(in, 0x02, 130);

    size += frame(in + size, 0x80, 5);
    size_t good = size;
    size += frame(in + size, 0x89, 3);
    size += frame(in + size, 0x89, 0);
    size += frame(in + size, 0xc2, 3); /* a reserved bit */
    size += frame(in + size, 0x82, 3);
    for (unsigned round = 0; round < 200; round++) {
        set_up();
        for (size_t at = 0, piece = 0; at < size; at += piece) {
            piece = 1 + (size_t)(support_random(&seed) % 9);
            piece = piece < size - at ? piece : size - at;
            take(in + at, piece);
        }
        ends_with(FRAMES_PROTOCOL_ERROR);
        ck_assert_uint_eq(out_bytes, good);
        ck_assert_mem_eq(out, in, good);
        ck_assert_uint_eq(pings, 2);
    }
}
END_TEST

static const struct {
    const char *what;
    const char *bytes;
    size_t size;
    unsigned status;
} faults[] = {
#define FAULT(what, bytes, status)                                                                 \
    {                                                                                              \
        what, bytes, sizeof(bytes) - 1, status                                                     \
    }
    FAULT("unmasked", "\x82\x01x", 1002),
    FAULT("unmasked and empty", "\x82\x00", 1002),
    FAULT("unmasked ping", "\x89\x00", 1002),
    FAULT("reserved bit 1", "\xc2\x80", 1002),
    FAULT("reserved bit 2", "\xa2\x80", 1002),
    FAULT("reserved bit 3", "\x92\x80", 1002),
    FAULT("opcode 3", "\x83\x80", 1002),
    FAULT("opcode 7", "\x87\x80", 1002),
    FAULT("opcode 11", "\x8b\x80", 1002),
    FAULT("opcode 15", "\x8f\x80", 1002),
    FAULT("a long ping", "\x89\xfe\0\x7e\0\0\0\0", 1002),
    FAULT("a long close", "\x88\xfe\0\x7e\0\0\0\0", 1002),
    FAULT("a ping in fragments", "\x09\x80\0\0\0\0", 1002),
    FAULT("a continuation of nothing", "\x80\x80\0\0\0\0", 1002),
    FAULT("a message in a message", "\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 1002),
    FAULT("a continuation after the end", "\x82\x80\0\0\0\0\x80\x80\0\0\0\0", 1002),
    FAULT("16 bits for 125", "\x82\xfe\0\x7d\0\0\0\0", 1002),
    FAULT("64 bits for 65535", "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 1002),
    FAULT("a negative length", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1002),
    FAULT("a message too long", "\x82\xfe\x01\x2d\0\0\0\0", 1009),
    FAULT("a very long message", "\x82\xff\x7f\0\0\0\0\0\0\0\0\0\0\0", 1009),
    FAULT("fragments too long", "\x02\x81\0\0\0\0x\x80\xfe\x01\x2c\0\0\0\0", 1009),
    FAULT("text that is none", "\x81\x81\0\0\0\0\xff", 1007),
    FAULT("text that is cut off", "\x81\x81\0\0\0\0\xe2", 1007),
    FAULT("text that an empty fragment cuts off", "\x01\x81\0\0\0\0\xe2\x80\x80\0\0\0\0", 1007),
    FAULT("masked text that is none", "\x81\x82\1\2\3\4\x79\xfd", 1007),
    FAULT("a surrogate", "\x81\x83\0\0\0\0\xed\xa0\x80", 1007),
    FAULT("a close with half a status", "\x88\x81\0\0\0\0\x03", 1002),
    FAULT("close 999", "\x88\x82\0\0\0\0\x03\xe7", 1002),
    FAULT("close 1004", "\x88\x82\0\0\0\0\x03\xec", 1002),
    FAULT("close 1005", "\x88\x82\0\0\0\0\x03\xed", 1002),
    FAULT("close 1006", "\x88\x82\0\0\0\0\x03\xee", 1002),
    FAULT("close 1015", "\x88\x82\0\0\0\0\x03\xf7", 1002),
    FAULT("close 2999", "\x88\x82\0\0\0\0\x0b\xb7", 1002),
    FAULT("close 5000", "\x88\x82\0\0\0\0\x13\x88", 1002),
    FAULT("a reason cut off", "\x88\x84\0\0\0\0\x03\xe8\xe2\x82", 1007),
    FAULT("a reason with a surrogate", "\x88\x85\0\0\0\0\x03\xe8\xed\xa0\x80", 1007),
    FAULT("a reason longer than needed", "\x88\x84\0\0\0\0\x03\xe8\xc0\x80", 1007),
    FAULT("a reason beyond Unicode", "\x88\x86\0\0\0\0\x03\xe8\xf4\x90\x80\x80", 1007),
#undef FAULT
};

START_TEST(faults_end_with_their_status)
{
    take(faults[_i].bytes, faults[_i].size);
    ck_assert_msg(frames.ended, "%s passed", faults[_i].what);
    ends_with(faults[_i].status);
    size_t before = out_bytes;
    take("\x82\x80\0\0\0\0", 6);
    ck_assert_uint_eq(out_bytes, before);
}
END_TEST

START_TEST(a_proper_close_passes_and_is_the_last)
{
    take("\x88\x88\x01\x02\x03\x04\x02\xea\xe1\x85\xad\x63\x6d\x61", 14);
    ck_assert(frames.ended);
    ck_assert_uint_eq(frames.status, FRAMES_FINE);
    ck_assert_uint_eq(out_bytes, 14);
    ck_assert_mem_eq(out, "\x88\x88\0\0\0\0\x03\xe8\xe2\x81\xac\x61\x6e\x65", 14);
    set_up();
    take("\x88\x80\1\2\3\4", 6);
    ck_assert(frames.ended);
    ck_assert_mem_eq(out, "\x88\x80\0\0\0\0", 6);
}
END_TEST

START_TEST(who_is_refused_ends_at_the_next_frame)
{
    uint8_t in[64];
    size_t size = frame(in, 0x82, 20);

    take(in, 10);
    frames_refuse(&frames, FRAMES_VIOLATION);
    take(in + 10, size - 10);
    ck_assert(!frames.ended);
    ck_assert_mem_eq(out, in, size);
    take(in, 2);
    ends_with(FRAMES_VIOLATION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frames");
    TCase *tcase = tcase_create("frames");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, good_frames_pass_as_they_are);
    tcase_add_test(tcase, pieces_make_no_difference);
    tcase_add_loop_test(tcase, faults_end_with_their_status, 0,
                        (int)(sizeof(faults) / sizeof(faults[0])));
    tcase_add_test(tcase, a_proper_close_passes_and_is_the_last);
    tcase_add_test(tcase, who_is_refused_ends_at_the_next_frame);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
