/* SPDX-License-Identifier: Apache-2.0 */
/* Login files of the bus: what kind they are of, and what is none. The keys are of no server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "bus/login.h"
#include "tests/support.h"

#define SEED "SUANPAK2EQQ25DI2GRF67VVNLUPCB2MZPYDIYLPWDFLHO23NHETF2TLMGI"
#define PUBLIC "UBTONQX6QUFEGZ7J6EAD52PFH2IALZBXAC4MHJNTTY5LVKXJPIE3TE3Z"
#define SEED_OF_ACCOUNT "SAAECNPDYL6INZJZBTCWFNWBWQNBHZVVZM4N3PVLS72T5K23TROOUEQIBI"
#define CREDS                                                                                      \
    "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n"                          \
    "-----BEGIN USER NKEY SEED-----\n" SEED "\n------END USER NKEY SEED------\n"

static const char two_seeds[] = SEED "\n" SEED;
static char dir[SUPPORT_PATH_BYTES];
static char path[SUPPORT_PATH_BYTES + 16];

static int read_text(const char *text, size_t bytes, struct login *login, char *reason)
{
    support_dir_make(dir);
    snprintf(path, sizeof(path), "%s/login", dir);
    FILE *file = fopen(path, "w");
    fwrite(text, 1, bytes, file);
    fclose(file);
    int error = login_read(path, login, reason);
    unlink(path);
    rmdir(dir);
    return error;
}

static const struct {
    const char *text;
    enum login_kind kind;
    const char *user;
    const char *secret;
} good[] = {
    {"token", LOGIN_TOKEN, "", "token"},
    {"# comment\n\n  \ntoken with spaces\r\n", LOGIN_TOKEN, "", "token with spaces"},
    {"robot:secret\n", LOGIN_USER, "robot", "secret"},
    {"robot:se:cr:et", LOGIN_USER, "robot", "se:cr:et"},
    {SEED "\n", LOGIN_NKEY, "", SEED},
    {"# seed\n" SEED, LOGIN_NKEY, "", SEED},
    {CREDS, LOGIN_CREDS, "", ""},
    {"SUshort", LOGIN_TOKEN, "", "SUshort"},
    {SEED_OF_ACCOUNT, LOGIN_TOKEN, "", SEED_OF_ACCOUNT},
};

START_TEST(tells_what_stands_in_the_file)
{
    struct login login;
    char reason[LOGIN_REASON_BYTES];

    ck_assert_int_eq(read_text(good[_i].text, strlen(good[_i].text), &login, reason), 0);
    ck_assert_int_eq(login.kind, good[_i].kind);
    ck_assert_str_eq(login.user, good[_i].user);
    ck_assert_str_eq(login.secret, good[_i].secret);
}
END_TEST

START_TEST(refuses_what_is_no_login_without_repeating_it)
{
    static const char *const bad[] = {"",         "\n\n# nothing\n", "one\ntwo\n",
                                      ":hunter2", "user:",           two_seeds};
    struct login login = {.kind = LOGIN_TOKEN};
    char reason[LOGIN_REASON_BYTES];
    char large[20000];

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(read_text(bad[i], strlen(bad[i]), &login, reason), -EPROTO);
        ck_assert_uint_gt(strlen(reason), 0);
        ck_assert_ptr_null(strstr(reason, "hunter2"));
    }
    memset(large, 'x', sizeof(large));
    ck_assert_int_eq(read_text(large, sizeof(large), &login, reason), -EPROTO);
    ck_assert_int_eq(read_text(large, 2000, &login, reason), -EPROTO);
    ck_assert_int_eq(login_read("/nonexistent", &login, reason), -ENOENT);
    ck_assert_int_eq(login_read("/", &login, reason), -EISDIR);
    ck_assert_int_eq(login.kind, LOGIN_TOKEN); /* untouched */
}
END_TEST

START_TEST(knows_the_public_key_of_a_seed)
{
    char public[LOGIN_NKEY_BYTES];
    char changed[] = SEED;

    ck_assert_int_eq(login_nkey_public(SEED, public), 0);
    ck_assert_str_eq(public, PUBLIC);
    for (size_t i = 0; i < strlen(SEED); i++) {
        changed[i] = SEED[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(login_nkey_public(changed, public), -EPROTO);
        changed[i] = SEED[i];
    }
    ck_assert_int_eq(login_nkey_public("", public), -EPROTO);
    ck_assert_int_eq(login_nkey_public("SU", public), -EPROTO);
    ck_assert_int_eq(login_nkey_public(SEED SEED, public), -EPROTO);
    ck_assert_int_eq(login_nkey_public(PUBLIC, public), -EPROTO);
    ck_assert_int_eq(login_nkey_public(SEED_OF_ACCOUNT, public), -EPROTO);
    ck_assert_int_eq(login_nkey_public("su\xff\xfe", public), -EPROTO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("login");
    TCase *cases = tcase_create("login");
    SRunner *runner = srunner_create(suite);

    tcase_add_loop_test(cases, tells_what_stands_in_the_file, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_test(cases, refuses_what_is_no_login_without_repeating_it);
    tcase_add_test(cases, knows_the_public_key_of_a_seed);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
