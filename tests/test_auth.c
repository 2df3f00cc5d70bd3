/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/auth.h: which files are good, and whose tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "daemon/auth.h"

#define VIEWER "aaaaaaaaaaaaaaaa"
#define OPERATOR "bbbbbbbbbbbbbbbbbbbbbbbb"

static char path[] = "/tmp/simcast-test-auth-XXXXXX";
static char error[AUTH_ERROR_BYTES];
static struct auth *auth;

static void set_up(void)
{
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    auth = NULL;
}

static void tear_down(void)
{
    auth_free(auth);
    unlink(path);
}

static int load(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return auth_load(path, &auth, error);
}

START_TEST(tokens_have_their_roles_and_names)
{
    const char *name = NULL;

    ck_assert_int_eq(load("# who\n\nviewer wall " VIEWER "\n  operator\tada " OPERATOR), 0);
    ck_assert_int_eq(auth_check(auth, VIEWER, &name), AUTH_VIEWER);
    ck_assert_str_eq(name, "wall");
    ck_assert_int_eq(auth_check(auth, OPERATOR, &name), AUTH_OPERATOR);
    ck_assert_str_eq(name, "ada");
}
END_TEST

START_TEST(what_is_no_token_gets_nothing)
{
    static const char *const others[] = {
        "",         "a",   "aaaaaaaaaaaaaaa", VIEWER "a", "aaaaaaaaaaaaaaab", "Aaaaaaaaaaaaaaaa",
        VIEWER " ", "wall"};
    char longest[4096];
    const char *name = NULL;

    ck_assert_int_eq(load("viewer wall " VIEWER "\n"), 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_int_eq(auth_check(auth, others[i], &name), AUTH_NONE);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(auth_check(auth, longest, &name), AUTH_NONE);
    ck_assert_ptr_null(name);
}
END_TEST

static const struct {
    const char *text;
    const char *says;
} wrong[] = {
    {"", "no token"},
    {"# nothing\n", "no token"},
    {"viewer " VIEWER "\n", "ROLE NAME TOKEN"},
    {"viewer a " VIEWER " more\n", "ROLE NAME TOKEN"},
    {"admin a " VIEWER "\n", "role"},
    {"viewer a\"b " VIEWER "\n", "name"},
    {"viewer a short\n", "16 to 128"},
};

START_TEST(a_wrong_file_is_told_without_its_tokens)
{
    ck_assert_int_lt(load(wrong[_i].text), 0);
    ck_assert_msg(strstr(error, wrong[_i].says) != NULL, "%s", error);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_ptr_null(strstr(error, VIEWER));
}
END_TEST

START_TEST(a_file_that_everybody_may_read_is_refused)
{
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_lt(load("viewer wall " VIEWER "\n"), 0);
    ck_assert_ptr_nonnull(strstr(error, "chmod"));
    ck_assert_int_lt(auth_load("/nonexistent", &auth, error), 0);
}
END_TEST

START_TEST(bearer_headers_are_read)
{
    ck_assert_str_eq(auth_bearer("Bearer abc"), "abc");
    ck_assert_str_eq(auth_bearer("bearer  abc"), "abc");
    ck_assert_ptr_null(auth_bearer("Basic abc"));
    ck_assert_ptr_null(auth_bearer(""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *tcase = tcase_create("auth");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, tokens_have_their_roles_and_names);
    tcase_add_test(tcase, what_is_no_token_gets_nothing);
    tcase_add_loop_test(tcase, a_wrong_file_is_told_without_its_tokens, 0,
                        (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_test(tcase, a_file_that_everybody_may_read_is_refused);
    tcase_add_test(tcase, bearer_headers_are_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
