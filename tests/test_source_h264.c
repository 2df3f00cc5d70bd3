/* SPDX-License-Identifier: Apache-2.0 */
/* Where one picture of an H.264 byte stream ends and the next begins. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "cli/source_h264.h"
#include "tests/support.h"

#define SPS "\0\0\0\1\x67\x42"
#define PPS "\0\0\0\1\x68\xce"
#define DELIMITER "\0\0\0\1\x09\x30"
#define IDR "\0\0\0\1\x65\x88idr"
#define IDR_REST "\0\0\1\x65\x40rest" /* not macroblock 0: a later slice of the same picture */
#define PICTURE "\0\0\1\x41\x9apicture"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static void expect(const struct h264_unit *unit, const uint8_t *bytes, size_t count, bool keyframe)
{
    ck_assert_uint_eq(unit->bytes_count, count);
    ck_assert_mem_eq(unit->bytes, bytes, count);
    ck_assert_int_eq(unit->keyframe, keyframe);
}

START_TEST(parameter_sets_and_slices_belong_to_their_picture)
{
    static const char stream[] = SPS PPS IDR IDR_REST PICTURE DELIMITER PICTURE SPS PPS IDR;
    struct h264_unit unit;

    size_t end = h264_unit_next(BYTES(stream), 0, &unit);
    expect(&unit, BYTES(SPS PPS IDR IDR_REST), true);
    end = h264_unit_next(BYTES(stream), end, &unit);
    expect(&unit, BYTES(PICTURE), false);
    end = h264_unit_next(BYTES(stream), end, &unit);
    expect(&unit, BYTES(DELIMITER PICTURE), false);
    end = h264_unit_next(BYTES(stream), end, &unit);
    expect(&unit, BYTES(SPS PPS IDR), true);
    ck_assert_uint_eq(h264_unit_next(BYTES(stream), end, &unit), 0);
}
END_TEST

START_TEST(what_holds_no_picture_gives_none)
{
    struct h264_unit unit = {.bytes_count = 7};

    ck_assert_uint_eq(h264_unit_next(BYTES(""), 0, &unit), 0);
    ck_assert_uint_eq(h264_unit_next(BYTES("no start code"), 0, &unit), 0);
    ck_assert_uint_eq(h264_unit_next(BYTES("\0\0\1"), 0, &unit), 0);
    ck_assert_uint_eq(h264_unit_next(BYTES("\0\0\0\1"), 0, &unit), 0);
    ck_assert_uint_eq(h264_unit_next(BYTES(SPS PPS), 0, &unit), 0);
    ck_assert_uint_eq(unit.bytes_count, 7);
}
END_TEST

/* The units tile the stream, whatever its bytes, and each read stays inside (a sanitizer sees it).
 */
START_TEST(any_bytes_are_taken_apart_without_a_rest)
{
    static const uint8_t alphabet[] = {0, 0, 0, 1, 1, 0x65, 0x41, 0x67, 0x88};
    uint64_t random = support_seed("source_h264");

    for (unsigned round = 0; round < 2000; round++) {
        size_t count = support_random(&random) % 64;
        uint8_t *stream = malloc(count + 1);
        struct h264_unit unit;
        for (size_t i = 0; i < count; i++)
            stream[i] = alphabet[support_random(&random) % sizeof(alphabet)];
        size_t at = 0;
        for (size_t end; (end = h264_unit_next(stream, count, at, &unit)) != 0; at = end) {
            ck_assert_uint_gt(end, at);
            ck_assert_uint_le(end, count);
            ck_assert_ptr_eq(unit.bytes + unit.bytes_count, stream + end);
            ck_assert(at == 0 || unit.bytes == stream + at);
        }
        free(stream);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source_h264");
    TCase *cases = tcase_create("source_h264");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, parameter_sets_and_slices_belong_to_their_picture);
    tcase_add_test(cases, what_holds_no_picture_gives_none);
    tcase_add_test(cases, any_bytes_are_taken_apart_without_a_rest);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
