/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines in each format, read back: as JSON by jansson, from the journal's socket, from stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include "base/log.h"
#include "base/log_line.h"
#include "tests/support.h"

static const struct log_line plain = {
    .level = "warning",
    .program = "simcastd",
    .thread = "bus-nats",
    .message = "the bus is away",
    .pid = 7,
    .priority = 4,
    .wall_ns = INT64_C(1769860800250000000),
};

START_TEST(a_line_of_text_says_who_and_how_bad)
{
    char text[128];

    size_t bytes = log_line_text(&plain, text, sizeof(text));
    ck_assert_int_eq(strncmp(text, "simcastd: warning: the bus is away\n", bytes), 0);
    struct log_line info = plain;
    info.priority = 6;
    bytes = log_line_text(&info, text, sizeof(text));
    ck_assert_int_eq(strncmp(text, "simcastd: the bus is away\n", bytes), 0);
}
END_TEST

START_TEST(json_has_all_fields)
{
    char text[512];
    const char *time = NULL;
    const char *message = NULL;
    const char *thread = NULL;
    int pid = 0;

    size_t bytes = log_line_json(&plain, text, sizeof(text));
    json_t *object = json_loadb(text, bytes, 0, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(json_unpack(object, "{s:s, s:s, s:s, s:i}", "time", &time, "message", &message,
                                 "thread", &thread, "pid", &pid),
                     0);
    ck_assert_str_eq(time, "2026-01-31T12:00:00.250000Z");
    ck_assert_str_eq(message, "the bus is away");
    ck_assert_str_eq(thread, "bus-nats");
    ck_assert_int_eq(pid, 7);
    json_decref(object);
}
END_TEST

/* Each is one message; none may end the line, the string or the field. */
static const char *const hostile[] = {
    "a\nMESSAGE=forged",
    "quote \" and \\ and tab\t",
    "\xff\xfe no text",
    "cut \xe2\x82",
    "overlong \xc0\xaf, surrogate \xed\xa0\x80, beyond \xf4\x90\x80\x80",
    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\xa4\x96",
    "\x7f\x01\x1b[31m",
};

START_TEST(nothing_in_a_message_breaks_out_of_it)
{
    struct log_line line = plain;
    char text[512];

    line.message = hostile[_i];
    size_t bytes = log_line_json(&line, text, sizeof(text));
    json_t *object = json_loadb(text, bytes, 0, NULL);
    ck_assert_msg(object != NULL, "no JSON: %.*s", (int)bytes, text);
    json_decref(object);
    ck_assert_ptr_eq(memchr(text, '\n', bytes), text + bytes - 1);
    bytes = log_line_text(&line, text, sizeof(text));
    ck_assert_ptr_eq(memchr(text, '\n', bytes), text + bytes - 1);
    bytes = log_line_journal(&line, text, sizeof(text));
    unsigned lines = 0;
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    ck_assert_uint_eq(lines, 4); /* the four fields */
}
END_TEST

START_TEST(text_that_is_utf8_stays_as_it_is)
{
    struct log_line line = plain;
    char text[512];

    line.message = hostile[5];
    size_t bytes = log_line_json(&line, text, sizeof(text));
    ck_assert_ptr_nonnull(memmem(text, bytes, hostile[5], strlen(hostile[5])));
}
END_TEST

START_TEST(a_buffer_of_any_size_ends_well)
{
    size_t (*const makers[])(const struct log_line *, char *, size_t) = {
        log_line_text, log_line_prefixed, log_line_json, log_line_journal};
    char text[256];

    for (unsigned i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        for (size_t size = 4; size < sizeof(text); size++) {
            memset(text, '#', sizeof(text));
            size_t bytes = makers[i](&plain, text, size);
            ck_assert_uint_le(bytes, size);
            ck_assert_int_eq(text[bytes - 1], '\n');
            ck_assert_int_eq(text[size], '#');
        }
    }
}
END_TEST

/* What log_warning writes on stderr in this format; NULL: nobody says which. */
static size_t written(const char *format, char *text, size_t text_bytes)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    if (format)
        ck_assert(log_read_format(NULL, format));
    log_init("test_log", LOG_LEVEL_WARNING);
    log_warning("number %d", 7);
    log_info("not written");
    dup2(before, STDERR_FILENO);
    close(ends[1]);
    ssize_t bytes = read(ends[0], text, text_bytes - 1);
    close(ends[0]);
    close(before);
    ck_assert_int_gt(bytes, 0);
    text[bytes] = '\0';
    return (size_t)bytes;
}

START_TEST(the_format_can_be_chosen)
{
    char text[512];

    written("text", text, sizeof(text));
    ck_assert_str_eq(text, "test_log: warning: number 7\n");
    size_t bytes = written("json", text, sizeof(text));
    json_t *object = json_loadb(text, bytes, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(object, "message")), "number 7");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "pid")), getpid());
    json_decref(object);
    ck_assert(!log_read_format(NULL, "xml"));
    ck_assert(!log_read_format(NULL, ""));
}
END_TEST

START_TEST(the_environment_chooses_too_but_less_strongly)
{
    char text[512];

    setenv("SIMCAST_LOG_FORMAT", "json", 1);
    written(NULL, text, sizeof(text));
    ck_assert_int_eq(text[0], '{');
    written("text", text, sizeof(text)); /* as by --log-format */
    ck_assert_str_eq(text, "test_log: warning: number 7\n");
}
END_TEST

START_TEST(the_journal_gets_fields)
{
    char dir[SUPPORT_PATH_BYTES];
    char text[512];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    support_dir_make(dir);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", dir);
    ck_assert_int_eq(log_journal_open(address.sun_path), -ENOENT);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(log_journal_open(address.sun_path), 0);
    log_init("test_log", LOG_LEVEL_WARNING);
    log_warning("two\nlines");
    ssize_t bytes = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    ck_assert_int_gt(bytes, 0);
    text[bytes] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "PRIORITY=4\nSYSLOG_IDENTIFIER=test_log\nSIMCAST_THREAD="));
    ck_assert_ptr_nonnull(strstr(text, "\nMESSAGE=two?lines\n"));

    /* Nobody reads: lines are lost, the caller is not held up. */
    for (int i = 0; i < 10000; i++)
        log_warning("flood");
    close(fd);
    unlink(address.sun_path);
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *lines = tcase_create("lines");
    TCase *process = tcase_create("process");

    tcase_add_test(lines, a_line_of_text_says_who_and_how_bad);
    tcase_add_test(lines, json_has_all_fields);
    tcase_add_loop_test(lines, nothing_in_a_message_breaks_out_of_it, 0,
                        sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(lines, text_that_is_utf8_stays_as_it_is);
    tcase_add_test(lines, a_buffer_of_any_size_ends_well);
    tcase_add_test(process, the_format_can_be_chosen);
    tcase_add_test(process, the_environment_chooses_too_but_less_strongly);
    tcase_add_test(process, the_journal_gets_fields);
    suite_add_tcase(suite, lines);
    suite_add_tcase(suite, process);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
