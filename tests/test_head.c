/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/head.h: which heads pass, where others end and with what, in any pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/head.h"
#include "daemon/ws_request.h"

#define FIRST "GET / HTTP/1.1\r\n"

static const struct {
    const char *head;
    const char *passes; /* of it */
    const char *ending;
    enum head_status status;
} cases[] = {
    {FIRST "Host: a\r\n\r\nmore", FIRST "Host: a\r\n\r\n", "", HEAD_WHOLE},
    {FIRST "\r\n", FIRST "\r\n", "", HEAD_WHOLE},
    {FIRST "A~: :\t:\r\n", FIRST "A~: :\t:\r\n", "", HEAD_GOES_ON},
    {FIRST "X-Forwarded-Proto: a\r\n", FIRST "X-Forwarded-Proto: a\r\n", "", HEAD_GOES_ON},
    {FIRST "Conte: a\r\n", FIRST "Conte", "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST "SEC-WebSock: a\r\n", FIRST "SEC-WebSock", "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST "Put-by: a\r\n", FIRST "Put-by", "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST "no-colon\r\n\r\n", FIRST "no-colon", "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST ": a\r\n", FIRST, "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST " fold: a\r\n", FIRST, "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST "Host : a\r\n", FIRST "Host", "~:\r\n\r\n", HEAD_REFUSED},
    {FIRST "Host: a\n\n", FIRST "Host: a", "", HEAD_BROKEN},
    {FIRST "Host: a\r\r\n", FIRST "Host: a\r", "", HEAD_BROKEN},
    {FIRST "Host: \x01", FIRST "Host: ", "", HEAD_BROKEN},
    {"\x7f", "", "", HEAD_BROKEN},
};

/* Takes it in pieces of at most this size; returns how much passes. */
static size_t take(struct head *head, const char *text, size_t piece, enum head_status *ret_status)
{
    size_t size = strlen(text);
    size_t at = 0;

    *ret_status = HEAD_GOES_ON;
    while (at < size && *ret_status == HEAD_GOES_ON) {
        size_t passed;
        *ret_status = head_take(head, (const uint8_t *)text + at,
                                piece < size - at ? piece : size - at, &passed);
        at += passed;
    }
    return at;
}

START_TEST(a_head_ends_where_it_must)
{
    for (size_t piece = 1; piece < 40; piece++) {
        struct head head = {0};
        enum head_status status;
        size_t passed = take(&head, cases[_i].head, piece, &status);
        ck_assert_msg(status == cases[_i].status, "%s: %u", cases[_i].head, status);
        ck_assert_uint_eq(passed, strlen(cases[_i].passes));
        if (status != HEAD_REFUSED)
            continue;
        uint8_t ending[HEAD_ENDING_BYTES_MAX];
        size_t size = head_finish(&head, ending);
        ck_assert_uint_eq(size, strlen(cases[_i].ending));
        ck_assert_mem_eq(ending, cases[_i].ending, size);
    }
}
END_TEST

/* Wherever the limit falls, what follows ends the line that was cut. */
START_TEST(a_long_head_ends_at_its_limit)
{
    static const char *const lines[] = {"Cookie: ccccccccccccccccc\r\n", "Nnnnnnnnnnnnnn: c\r\n"};

    for (unsigned shift = 0; shift < 40; shift++) {
        struct head head = {0};
        enum head_status status = HEAD_GOES_ON;
        size_t passed = 0;
        char first[80];
        snprintf(first, sizeof(first), "GET /%.*s HTTP/1.1\r\n", (int)shift,
                 "////////////////////////////////////////");
        passed += take(&head, first, 7, &status);
        while (status == HEAD_GOES_ON)
            passed += take(&head, lines[shift % 2], 7, &status);
        ck_assert_int_eq(status, HEAD_TOO_LONG);
        ck_assert_uint_eq(passed, HEAD_BYTES_MAX + 1);
        uint8_t ending[HEAD_ENDING_BYTES_MAX];
        size_t size = head_finish(&head, ending);
        ck_assert_uint_eq(size, head.place == HEAD_NAME ? 6 : 4);
    }
}
END_TEST

START_TEST(names_that_libwebsockets_knows_pass_and_their_beginnings_do_not)
{
    static const char *const fine[] = {"host", "te", "sec-websocket-key", "x-y", "accept", "a~"};
    static const char *const misread[] = {"hos",    "t",   "x",       "sec-websocket-ke",
                                          "x-real", "put", "patch-id"};

    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        ck_assert_msg(!ws_request_misreads(fine[i], strlen(fine[i])), "%s", fine[i]);
    for (size_t i = 0; i < sizeof(misread) / sizeof(misread[0]); i++)
        ck_assert_msg(ws_request_misreads(misread[i], strlen(misread[i])), "%s", misread[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head");
    TCase *tcase = tcase_create("head");

    tcase_add_loop_test(tcase, a_head_ends_where_it_must, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, a_long_head_ends_at_its_limit);
    tcase_add_test(tcase, names_that_libwebsockets_knows_pass_and_their_beginnings_do_not);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
