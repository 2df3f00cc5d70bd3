/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from the kernel's line, and from lines that it would not write. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "encoder/idle_cores.h"

static unsigned idle_of(const char *text, unsigned cores)
{
    char path[] = "/tmp/test_idle_cores.XXXXXX";
    int fd = mkstemp(path);
    struct idle_cores idle;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    idle_cores_open(&idle, path);
    idle.cores = cores;
    unsigned count = idle_cores_count(&idle);
    idle_cores_close(&idle);
    unlink(path);
    return count;
}

START_TEST(each_runnable_thread_takes_a_core)
{
    ck_assert_uint_eq(idle_of("0.20 0.18 0.12 1/80 11206\n", 8), 7);
    ck_assert_uint_eq(idle_of("0.20 0.18 0.12 3/80 11206\n", 8), 5);
    ck_assert_uint_eq(idle_of("9.20 0.18 0.12 8/80 11206\n", 8), 0);
    ck_assert_uint_eq(idle_of("9.20 0.18 0.12 99/800 11206\n", 8), 0);
    ck_assert_uint_eq(idle_of("0.00 0.00 0.00 0/80 11206\n", 8), 7); /* we run */
    ck_assert_uint_eq(idle_of("0.00 0.00 0.00 1/80 1\n", 1), 0);
}
END_TEST

START_TEST(what_cannot_be_read_leaves_all_cores)
{
    static const char *const texts[] = {
        "", "\n", "1 2 3", "0.1 0.2 0.3 /80", "0.1 0.2 0.3 -1/80", "a b c d e", "0.1 0.2 0.3 2 80"};

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        ck_assert_uint_eq(idle_of(texts[i], 4), 3);
    ck_assert_uint_eq(idle_of("0.1 0.2 0.3 99999999999999999999/80 1", 4), 0);
    struct idle_cores idle;
    idle_cores_open(&idle, "/nonexistent/file");
    ck_assert_uint_eq(idle_cores_count(&idle), idle.cores - 1);
    idle_cores_close(&idle);
}
END_TEST

START_TEST(the_kernel_tells)
{
    struct idle_cores idle;

    idle_cores_open(&idle, IDLE_CORES_FILE);
    ck_assert_int_ge(idle.fd, 0);
    ck_assert_uint_ge(idle.cores, 1);
    ck_assert_uint_lt(idle_cores_count(&idle), idle.cores);
    idle_cores_close(&idle);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idle cores");
    TCase *cases = tcase_create("idle cores");

    tcase_add_test(cases, each_runnable_thread_takes_a_core);
    tcase_add_test(cases, what_cannot_be_read_leaves_all_cores);
    tcase_add_test(cases, the_kernel_tells);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
