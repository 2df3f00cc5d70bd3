/* SPDX-License-Identifier: Apache-2.0 */
/* The legacy slot: every way in which its writer may misbehave. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/bytes.h"
#include "shm/legacy_slot_file.h"
#include "tests/support.h"

#define SLOT_BYTES 8192

static char dir[SUPPORT_PATH_BYTES];
static char path[SUPPORT_PATH_BYTES + 16];
static struct legacy_slot_file *file;
static struct video_packet_view packet;

static void setup(void)
{
    support_dir_make(dir);
    snprintf(path, sizeof(path), "%s/frames", dir);
    ck_assert_int_eq(legacy_slot_file_open(path, SLOT_BYTES, true, &file), 0);
}

static void teardown(void)
{
    legacy_slot_file_close(file);
    unlink(path);
    rmdir(dir);
}

/* Writes the way the existing writer does: everything, then the sequence. */
static void write_slot(uint64_t sequence, uint64_t length, const struct video_header *header,
                       const void *payload)
{
    uint8_t bytes[SLOT_BYTES] = {0};
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    put_le64(bytes, sequence);
    put_le64(bytes + 8, length);
    video_header_encode(header, bytes + 16);
    memcpy(bytes + 48, payload, header->size < 4096 ? header->size : 4096);
    ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    close(fd);
}

static void write_frame(uint64_t sequence, uint64_t frame_seq, const char *payload)
{
    struct video_header header = {
        .frame_id = frame_seq,
        .frame_seq = frame_seq,
        .size = (uint32_t)strlen(payload),
        .codec = VIDEO_CODEC_JPEG,
        .crc32 = video_crc32(payload, strlen(payload)),
    };

    write_slot(sequence, VIDEO_HEADER_BYTES + header.size, &header, payload);
}

static struct legacy_slot_counters counters_now(void)
{
    struct legacy_slot_counters counters;

    legacy_slot_file_counters(file, &counters);
    return counters;
}

START_TEST(a_frame_is_taken_once_and_comes_as_a_packet)
{
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -ENOENT);
    write_frame(1, 10, "picture");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    ck_assert_mem_eq(packet.payload, "picture", 7);
    ck_assert_uint_eq(packet.header.frame_seq, 10);
    ck_assert_uint_eq(packet.ws_frame[0], 0x82);
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EAGAIN);
    ck_assert_uint_eq(legacy_slot_file_sequence(file), 1);
    write_frame(2, 14, "another");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    ck_assert_mem_eq(packet.payload, "another", 7);
    ck_assert_uint_eq(counters_now().gaps, 3);
    ck_assert_uint_eq(counters_now().frames, 2);
}
END_TEST

START_TEST(a_signed_or_missing_crc_is_accepted_a_wrong_one_is_not)
{
    struct video_header header = {.size = 7, .codec = VIDEO_CODEC_H264};

    write_slot(1, 39, &header, "picture"); /* crc32 0: the writer has it off */
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    header.crc32 = 12345;
    write_slot(2, 39, &header, "picture");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EBADMSG);
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EAGAIN); /* told once */
    ck_assert_uint_eq(counters_now().bad_crc, 1);
    header.crc32 = video_crc32("picture", 7);
    write_slot(2, 39, &header, "picture"); /* the writer was in the middle of it */
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
}
END_TEST

START_TEST(a_restarted_replaced_or_vanished_file_is_followed)
{
    write_frame(100, 1, "before");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    write_frame(1, 2, "restarted"); /* the sequence ran backwards */
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    unlink(path);
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -ENOENT);
    write_frame(1, 3, "replaced"); /* the same sequence, another file */
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
    ck_assert_mem_eq(packet.payload, "replaced", 8);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EAGAIN);
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EAGAIN);
}
END_TEST

START_TEST(lying_lengths_are_counted_and_refused)
{
    const uint64_t lengths[] = {0, 31, 32, 38, 40, SLOT_BYTES - 16, SLOT_BYTES, UINT64_MAX};
    struct video_header header = {.size = 7, .codec = VIDEO_CODEC_JPEG};

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        write_slot(i + 1, lengths[i], &header, "picture");
        ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EPROTO);
        ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EAGAIN);
        ck_assert_uint_eq(counters_now().malformed, i + 1);
    }
    header.codec = 4;
    write_slot(50, 39, &header, "picture");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), -EPROTO);
    ck_assert_int_eq(truncate(path, 50), 0);
    write_frame(51, 1, "good again");
    ck_assert_int_eq(legacy_slot_file_take(file, &packet), 0);
}
END_TEST

/* A writer that does everything at once and never waits; whatever is accepted must be whole. */
START_TEST(a_garbling_writer_never_gets_a_torn_frame_through)
{
    uint64_t random = support_seed("legacy");
    pid_t writer = fork();

    if (writer == 0) {
        char payload[4000];
        for (uint64_t sequence = 1;; sequence++) {
            memset(payload, (int)(sequence % 255 + 1), sizeof(payload) - 1);
            payload[support_random(&random) % (sizeof(payload) - 1) + 1] = '\0';
            write_frame(sequence, sequence, payload);
            if (support_random(&random) % 50 == 0)
                unlink(path);
            else if (support_random(&random) % 50 == 0 && truncate(path, 100) < 0)
                _exit(1);
        }
    }
    ck_assert_int_gt(writer, 1);
    int64_t give_up_ns = clock_now_ns() + 20 * NS_PER_S;
    unsigned taken = 0;
    while (taken < 500 && clock_now_ns() < give_up_ns) {
        if (legacy_slot_file_take(file, &packet) < 0)
            continue;
        taken++;
        for (uint32_t i = 0; i < packet.header.size; i++)
            ck_assert_uint_eq(packet.payload[i], packet.header.frame_seq % 255 + 1);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    ck_assert_uint_ge(taken, 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("legacy_slot_file");
    TCase *cases = tcase_create("legacy_slot_file");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_frame_is_taken_once_and_comes_as_a_packet);
    tcase_add_test(cases, a_signed_or_missing_crc_is_accepted_a_wrong_one_is_not);
    tcase_add_test(cases, a_restarted_replaced_or_vanished_file_is_followed);
    tcase_add_test(cases, lying_lengths_are_counted_and_refused);
    tcase_add_test(cases, a_garbling_writer_never_gets_a_torn_frame_through);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
